"""A model looks its features up: in batches, and when it is served."""

import json
from pathlib import Path

import mlflow
import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from autograder.databricks.features import Features, with_lookup
from autograder.databricks.fitting import TableError
from autograder.databricks.served import served_schema
from tests.support.plants import (
    PLANT_LOOKUP,
    PLANTS,
    READING_LOOKUP,
    READINGS,
    TIMED,
    TRAINING,
    create_tables,
    log_sum,
)


@pytest.fixture
def plants_uri(features: Features, own_store: Path) -> str:
    features.create_table("plants", PLANTS, "plant_id")
    return log_sum(features, PLANT_LOOKUP, TRAINING)


@pytest.fixture
def readings_uri(features: Features, own_store: Path) -> str:
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    return log_sum(features, READING_LOOKUP, TIMED)


def test_a_model_keeps_the_record_in_its_mlmodel_file(features: Features, plants_uri: str) -> None:
    record = mlflow.models.get_model_info(plants_uri).metadata["feature_lookups"]
    assert record == json.loads(json.dumps(record))
    assert record["label"] == "y"
    assert record["inputs"] == ["height", "petal length (cm)", "n"]
    assert record["lookups"] == [
        {
            "table_name": "plants",
            "table_version": 1,
            "primary_keys": ["plant_id"],
            "lookup_key": ["plant_id"],
            "timestamp_column": None,
            "timestamp_lookup_key": None,
            "features": {"petal length (cm)": "petal length (cm)", "visits": "n"},
        }
    ]


def test_a_batch_is_scored_with_the_features_as_they_are_now(features: Features, plants_uri: str) -> None:
    batch = pd.DataFrame({"plant_id": [3, 1], "height": [300.0, 100.0]}, index=[5, 6])
    features.write_table("plants", PLANTS.iloc[:1].assign(visits=11))
    scored = features.score_batch(plants_uri, batch)
    assert list(scored.columns) == ["plant_id", "height", "petal length (cm)", "n", "prediction"]
    assert list(scored.index) == [5, 6]
    assert list(scored.prediction) == [333.0, 112.0]
    given = features.score_batch(plants_uri, batch.assign(**{"petal length (cm)": [0.0, None]}))
    assert list(given.prediction) == [330.0, 112.0], "what the batch brings wins, where it brings it"
    with pytest.raises(TableError, match="There is no `plant_id` among the columns `height`"):
        features.score_batch(plants_uri, batch[["height"]])


def test_a_batch_is_scored_as_of_its_times(features: Features, readings_uri: str) -> None:
    batch = pd.DataFrame({"plant_id": [1, 1], "when": pd.to_datetime(["2026-01-02", "2026-01-20"])})
    assert list(features.score_batch(readings_uri, batch).prediction) == [0.1, 0.9]
    with pytest.raises(TableError, match="There is no `when` among the columns"):
        features.score_batch(readings_uri, batch[["plant_id"]])


def test_a_model_without_a_record_is_left_as_it_is(features: Features, own_store: Path) -> None:
    X = TRAINING[["height"]]
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(X, TRAINING.y),
            name="model",
            pip_requirements=["scikit-learn"],
            signature=infer_signature(X),
        )
    model = mlflow.pyfunc.load_model(info.model_uri)
    assert with_lookup(model, features.tables) is model
    assert served_schema(model) == model.metadata.get_input_schema()
    with pytest.raises(TableError, match="records no feature lookups"):
        features.score_batch(info.model_uri, X)


def test_the_served_schema_asks_for_keys_and_not_for_features(
    features: Features, plants_uri: str, own_store: Path
) -> None:
    schema = served_schema(with_lookup(mlflow.pyfunc.load_model(plants_uri), features.tables))
    assert schema is not None
    asked = {spec.name: (spec.type.name, spec.required) for spec in schema.inputs}
    assert asked == {
        "plant_id": ("long", True),
        "height": ("double", True),
        "petal length (cm)": ("double", False),
        "n": ("long", False),
    }
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    timed = with_lookup(mlflow.pyfunc.load_model(log_sum(features, READING_LOOKUP, TIMED)), features.tables)
    schema = served_schema(timed)
    assert schema is not None
    assert {spec.name: (spec.type.name, spec.required) for spec in schema.inputs} == {
        "plant_id": ("long", True),
        "when": ("datetime", False),
        "moisture": ("double", False),
    }


def test_a_column_that_only_the_training_set_had_may_be_sent_and_no_other(
    features: Features, own_store: Path
) -> None:
    create_tables(features)
    when = TIMED.assign(height=[100.0, 200.0])
    made = features.create_training_set(when, [PLANT_LOOKUP, READING_LOOKUP], "y", ["plant_id", "when"])
    X = made.load_df()[["height", "n"]]
    with mlflow.start_run():
        uri = mlflow.sklearn.log_model(
            LinearRegression(fit_intercept=False).fit(X, when.y),
            name="model",
            metadata=made.metadata,
            signature=infer_signature(X),
            pip_requirements=["scikit-learn"],
        ).model_uri
    model = with_lookup(mlflow.pyfunc.load_model(uri), features.tables)
    row = pd.DataFrame({"plant_id": [1], "height": [100.0]})
    unused = row.assign(when=when.when[:1], moisture=0.5, **{"petal length (cm)": 7.0})
    assert model.predict(unused) == model.predict(row) == pytest.approx([1.0])
    for other in ("y", "whenn", "PLANT_ID"):
        with pytest.raises(MlflowException, match=f"There is no `{other}` among what the model") as raised:
            model.predict(row.assign(**{other: 1}))
        assert raised.value.error_code == "INVALID_PARAMETER_VALUE"
