"""The flowers with XGBoost: boosted trees."""

import mlflow
from xgboost import XGBClassifier

from steps import work_through

PARAMS = {"n_estimators": 60, "max_depth": 2, "random_state": 42}


def fit(X, y):
    """Boosted trees that were trained on these rows."""
    return XGBClassifier(**PARAMS).fit(X, y)


if __name__ == "__main__":
    work_through(
        "xgboost",
        PARAMS,
        fit,
        mlflow.xgboost.log_model,
        needs=["xgboost"],
    )
