"""The flowers with scikit-learn: a random forest."""

import mlflow
from sklearn.ensemble import RandomForestClassifier

from steps import work_through

PARAMS = {"n_estimators": 120, "max_depth": 5, "random_state": 42}


def fit(X, y):
    """A forest that was trained on these rows."""
    return RandomForestClassifier(**PARAMS).fit(X, y)


if __name__ == "__main__":
    work_through(
        "sklearn",
        PARAMS,
        fit,
        mlflow.sklearn.log_model,
        needs=["scikit-learn", "skops"],
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
