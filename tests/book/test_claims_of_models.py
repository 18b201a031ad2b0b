"""What the book says of logged models and of autologging without a cell that shows it."""

import importlib.metadata
import inspect
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.sklearn import _get_default_serialization_format
from sklearn.tree import DecisionTreeClassifier

pytestmark = [pytest.mark.usefixtures("own_store"), pytest.mark.filterwarnings("ignore::UserWarning")]
FRAME = pd.DataFrame({"a": [0.0, 1.0]})
TREE = DecisionTreeClassifier().fit(FRAME, [0, 1])
TYPES = ["sklearn.tree._tree.Tree"]


def listed(run_id: str | None = None, **more: object) -> set[str]:
    """The packages on the list that a model is logged with, in a run, without their versions."""
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.sklearn.log_model(TREE, name="m", skops_trusted_types=TYPES, **more)
    lines = Path(mlflow.pyfunc.get_model_dependencies(logged.model_uri)).read_text("utf-8").split()
    return {line.partition("==")[0] for line in lines}


def test_a_list_of_one_s_own_replaces_all_but_mlflow_which_brings_some_version_of_the_rest() -> None:
    assert listed(pip_requirements=["pandas"]) == {"mlflow", "pandas"}
    needed = importlib.metadata.requires("mlflow") or []
    for package in ("scikit-learn", "skops"):
        assert any(need.startswith(package) for need in needed)
    assert not any(need.startswith("xgboost") for need in needed if "extra" not in need)


def test_a_conda_environment_works_but_not_beside_a_list() -> None:
    environment = {"name": "e", "channels": ["c"], "dependencies": ["python=3.11", {"pip": ["pandas"]}]}
    assert "pandas" in listed(conda_env=environment)
    with pytest.raises(ValueError, match="Only one of"):
        listed(conda_env=environment, pip_requirements=["pandas"])


def test_a_file_of_packages_in_the_run_is_read_by_nothing() -> None:
    with mlflow.start_run() as logged:
        mlflow.log_text("lightgbm==4.6.0", "requirements.txt")
    packages = listed(run_id=logged.info.run_id)
    assert "scikit-learn" in packages
    assert "lightgbm" not in packages


def test_trees_have_to_be_named() -> None:
    with mlflow.start_run(), pytest.raises(MlflowException, match=r"sklearn\.tree\._tree\.Tree"):
        mlflow.sklearn.log_model(TREE, name="m", pip_requirements=[])


@pytest.mark.parametrize("name", ["lr0.01", "a/b", "a:b"])
def test_the_name_of_a_logged_model_has_no_point_slash_or_colon(name: str) -> None:
    with mlflow.start_run(), pytest.raises(MlflowException):
        mlflow.sklearn.log_model(TREE, name=name, skops_trusted_types=TYPES, pip_requirements=[])


@pytest.mark.parametrize("example", [FRAME, None])
def test_the_signature_comes_from_the_input_example(own_store: Path, example: pd.DataFrame | None) -> None:
    folder = own_store / "saved"
    mlflow.sklearn.save_model(
        TREE, folder, input_example=example, pip_requirements=["pandas"], skops_trusted_types=TYPES
    )
    told = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    assert told["flavors"]["python_function"]["loader_module"] == "mlflow.sklearn"
    assert "pandas" in (folder / "requirements.txt").read_text("utf-8")
    inputs = told["signature"]["inputs"] if example is not None else ""
    assert ('"name": "a"' in inputs) == (example is not None)
    assert ("signature" in told) == (example is not None)


def test_the_default_format_depends_on_the_place_and_autologging_has_its_own() -> None:
    here = mlflow.get_tracking_uri()
    assert _get_default_serialization_format() == "skops"
    mlflow.set_tracking_uri("databricks")
    assert _get_default_serialization_format() == "cloudpickle"
    mlflow.set_tracking_uri(here)
    own = inspect.signature(mlflow.sklearn.autolog).parameters["serialization_format"]
    assert own.default == "cloudpickle"


def test_while_autologging_is_on_every_fit_is_a_run_and_later_figures_are_logged() -> None:
    mlflow.sklearn.autolog(log_models=False)
    try:
        for depth in (1, 2):
            DecisionTreeClassifier(max_depth=depth).fit(FRAME, [0, 1])
        with mlflow.start_run() as logged:
            tree = DecisionTreeClassifier().fit(FRAME, [0, 1])
            X_test = FRAME
            tree.score(X_test, [0, 1])
    finally:
        mlflow.sklearn.autolog(disable=True)
    DecisionTreeClassifier().fit(FRAME, [0, 1])
    assert len(mlflow.search_runs(["0"])) == 3
    metrics = mlflow.get_run(logged.info.run_id).data.metrics
    assert metrics["DecisionTreeClassifier_score_X_test"] == 1
    assert metrics["training_accuracy_score"] == 1
