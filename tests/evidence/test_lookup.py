"""A model is found by whatever it is called, in a real registry."""

from pathlib import Path

import mlflow
import mlflow.sklearn
import pytest
from sklearn.linear_model import LogisticRegression

from autograder.evidence import Evidence, find_model, find_version
from autograder.evidence.store_reader import read_store
from autograder.workspace import load_flowers
from autograder.workspace.prepared import put_store


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, list[str], str]:
    """Two versions of one registered model: the evidence, the ids of their models, the run's id."""
    home: Path = tmp_path_factory.mktemp("registry")
    put_store(home)
    uri = f"sqlite:///{home / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    try:
        flowers = load_flowers(1)
        location = (home / "mlruns").as_uri()
        mlflow.set_experiment(experiment_id=mlflow.create_experiment("mine", artifact_location=location))
        with mlflow.start_run() as run:
            model = LogisticRegression(max_iter=500).fit(flowers.X_train, flowers.y_train)
            logged = [
                mlflow.sklearn.log_model(model, name=name, pip_requirements=["scikit-learn"])
                for name in ("one", "two")
            ]
        client = mlflow.MlflowClient(uri, uri)
        for info in logged:
            mlflow.register_model(info.model_uri, "Iris")
        client.set_registered_model_alias("Iris", "champion", 1)
        with pytest.warns(FutureWarning):
            client.transition_model_version_stage("Iris", "1", "Production")
        return read_store(uri), [info.model_id for info in logged], run.info.run_id
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_every_way_to_name_a_model_finds_it(registry: tuple[Evidence, list[str], str]) -> None:
    evidence, (first, second), run_id = registry
    expected = {
        f"models:/{first}": first,
        first: first,
        f"runs:/{run_id}/two": second,
        "models:/Iris/1": first,
        "models:/Iris/2": second,
        "models:/Iris/latest": second,
        "models:/Iris@champion": first,
        "models:/Iris/Production": first,
        "models:/Iris/production": first,
    }
    for reference, model_id in expected.items():
        found = find_model(evidence, reference)
        assert found is not None, reference
        assert found.model_id == model_id, reference
    assert find_version(evidence, "models:/Iris@champion") == evidence.registered[0].versions[0]


NOTHING = [
    "models:/m-x",
    "models:/Iris/3",
    "models:/Iris@other",
    "models:/Rose/1",
    "runs:/x/one",
    "",
    "models:/Iris/²",
    "models:/Iris/" + "1" * 5000,
]


@pytest.mark.parametrize("reference", NOTHING)
def test_what_is_not_there_is_not_found(registry: tuple[Evidence, list[str], str], reference: str) -> None:
    assert find_model(registry[0], reference) is None
