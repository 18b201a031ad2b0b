"""What the book says of MLflow's registry, and of Unity Catalog by MLflow's own client, without a cell."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store._unity_catalog.registry.rest_store import UcModelRegistryStore
from mlflow.store.artifact.utils.models import _parse_model_uri

pytestmark = pytest.mark.filterwarnings("ignore:.*(version_stage|latest_versions).*:FutureWarning")


@pytest.fixture
def iris(own_store: Path) -> mlflow.MlflowClient:
    """The client, with two versions of the registered model Iris; in each one's file stands its number."""
    client = mlflow.MlflowClient()
    client.create_registered_model("Iris")
    for number in ("1", "2"):
        files = own_store / "mlruns" / "0" / number
        files.mkdir(parents=True)
        (files / "number").write_text(number, encoding="utf-8")
        client.create_model_version("Iris", files.as_uri(), run_id=client.create_run("0").info.run_id)
    return client


def test_latest_and_v1_are_no_aliases(iris: mlflow.MlflowClient) -> None:
    for alias in ("latest", "v1", "Latest", "V2"):
        with pytest.raises(MlflowException):
            iris.set_registered_model_alias("Iris", alias, "1")
    assert _parse_model_uri("models:/Iris/v1").version is None, "no address of a version"


def test_two_versions_in_production_mean_the_higher_number(iris: mlflow.MlflowClient) -> None:
    for version in ("2", "1"):
        iris.transition_model_version_stage("Iris", version, "Production")
    assert iris.get_model_version("Iris", "2").current_stage == "Production"
    found = Path(mlflow.artifacts.download_artifacts("models:/Iris/Production"))
    assert (found / "number").read_text(encoding="utf-8") == "2"


def test_a_number_is_given_to_no_other_version_as_long_as_the_model_exists(iris: mlflow.MlflowClient) -> None:
    source = iris.get_model_version("Iris", "1").source
    iris.delete_model_version("Iris", "2")
    assert str(iris.create_model_version("Iris", source).version) == "3"
    iris.delete_registered_model("Iris")
    iris.create_registered_model("Iris")
    assert str(iris.create_model_version("Iris", source).version) == "1"


def rows(store: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(store / "mlflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]


def test_a_stage_overwrites_the_one_before(iris: mlflow.MlflowClient, own_store: Path) -> None:
    for stage in ("Staging", "Production"):
        iris.transition_model_version_stage("Iris", "1", stage)
    assert [row["current_stage"] for row in rows(own_store, "model_versions")] == ["Production", "None"]


def test_of_a_deleted_version_nobody_can_tell_any_more(iris: mlflow.MlflowClient, own_store: Path) -> None:
    iris.set_registered_model_alias("Iris", "champion", "2")
    iris.delete_model_version("Iris", "2")
    with pytest.raises(MlflowException):
        iris.get_model_version("Iris", "2")
    assert iris.get_registered_model("Iris").aliases == {}
    (deleted,) = [row for row in rows(own_store, "model_versions") if row["version"] == 2]
    assert "REDACTED" in deleted["source"]
    assert "REDACTED" in deleted["run_id"]


def test_the_older_question_has_the_same_answer_as_an_alias(iris: mlflow.MlflowClient) -> None:
    iris.transition_model_version_stage("Iris", "2", "Production")
    iris.set_registered_model_alias("Iris", "champion", "2")
    (found,) = iris.get_latest_versions("Iris", stages=["Production"])
    assert found.version == iris.get_model_version_by_alias("Iris", "champion").version


def test_stages_are_deprecated_since_2_9_and_refused_by_unity_catalog(iris: mlflow.MlflowClient) -> None:
    with pytest.warns(FutureWarning, match=r"deprecated since 2\.9\.0"):
        iris.transition_model_version_stage("Iris", "1", "Production")
    catalog = UcModelRegistryStore("databricks-uc", "databricks")
    with pytest.raises(MlflowException, match="'transition_model_version_stage' is unsupported"):
        catalog.transition_model_version_stage("a.b.c", "1", "Production", False)
    with pytest.raises(MlflowException, match="unsupported for models in the Unity Catalog"):
        catalog.get_latest_versions("a.b.c", ["Production"])


def test_the_older_address_of_a_run_s_model_works_and_warns(
    own_store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with mlflow.start_run() as logged:
        mlflow.pyfunc.log_model(
            name="model", python_model=lambda model_input: model_input, pip_requirements=[]
        )
    capfd.readouterr()
    mlflow.register_model(f"runs:/{logged.info.run_id}/model", "Old")
    assert "has no artifacts at artifact path 'model'" in capfd.readouterr().err
