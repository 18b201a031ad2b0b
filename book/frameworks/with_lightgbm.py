"""The flowers with LightGBM: boosted trees once more."""

import mlflow
from lightgbm import LGBMClassifier

from steps import work_through

PARAMS = {"n_estimators": 60, "max_depth": 2, "random_state": 42}


def fit(X, y):
    """Boosted trees that were trained on these rows."""
    return LGBMClassifier(**PARAMS, verbosity=-1).fit(X, y)


if __name__ == "__main__":
    work_through(
        "lightgbm",
        PARAMS,
        fit,
        mlflow.lightgbm.log_model,
        needs=["lightgbm", "skops"],
    )
