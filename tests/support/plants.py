"""Feature tables of plants, and models that were trained on features from them, for several tests."""

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from autograder.databricks.features import FeatureLookup, Features

PLANTS = pd.DataFrame({"plant_id": [1, 2, 3], "petal length (cm)": [1.0, 2.0, 3.0], "visits": [10, 20, 30]})
#: What a sensor measured: the value of plant 1 on the 10th is what an ordinary join would leak.
READINGS = pd.DataFrame(
    {
        "plant_id": [1, 1, 1, 2],
        "seen": pd.to_datetime(["2026-01-01", "2026-01-05", "2026-01-10", "2026-01-01"]),
        "moisture": [0.1, 0.5, 0.9, 0.2],
    }
)
TRAINING = pd.DataFrame({"plant_id": [1, 2, 3], "height": [100.0, 200.0, 300.0], "y": [1.0, 2.0, 3.0]})
PLANT_LOOKUP = FeatureLookup("plants", "plant_id", rename_outputs={"visits": "n"})
TIMED = pd.DataFrame({"plant_id": [1, 2], "when": pd.to_datetime(["2026-01-07"] * 2), "y": [1.0, 2.0]})
READING_LOOKUP = FeatureLookup("readings", "plant_id", timestamp_lookup_key="when")


def create_tables(features: Features) -> None:
    """The feature tables ``plants`` and ``readings``."""
    features.create_table("plants", PLANTS, "plant_id")
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")


def log_sum(
    features: Features,
    lookup: FeatureLookup,
    frame: pd.DataFrame,
    signature: bool = True,
    registered: str | None = None,
) -> str:
    """Log a model in a run of its own that was trained on a training set and adds up its inputs; its URI."""
    training_set = features.create_training_set(
        frame, [lookup], label="y", exclude_columns=[c for c in ("plant_id", "when") if c in frame]
    )
    loaded = training_set.load_df()
    X = loaded.drop(columns="y")
    model = LinearRegression(fit_intercept=False).fit(X, loaded["y"])
    model.coef_ = np.ones(X.shape[1])
    with mlflow.start_run(nested=True):
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            metadata=training_set.metadata,
            signature=infer_signature(X, model.predict(X)) if signature else None,
            pip_requirements=["scikit-learn"],
            registered_model_name=registered,
        )
    return str(info.model_uri)


FLOWERS = pd.DataFrame(
    {
        "plant_id": ["a", "b", "c"],
        "petal length (cm)": [1.4, 4.7, 6.0],
        "visits": [1, 2, 3],
        "seen": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    }
)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("plant_id", ignore_index=True)
