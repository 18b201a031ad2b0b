"""What the book says of MLflow without a cell that shows it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from autograder.execution.run import private_channel
from autograder.workspace.prepared import put_store
from autograder.workspace.store import sqlite_uri
from tests.conftest import environment, run

pytestmark = pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*:FutureWarning")
LOGS_A_RUN = """
import mlflow
with mlflow.start_run() as logged:
    pass
print(mlflow.get_run(logged.info.run_id).data.tags.get("mlflow.source.git.commit"))
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Path]:
    """An empty store of the test's own, which MLflow logs to."""
    put_store(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(sqlite_uri(tmp_path))
    mlflow.set_registry_uri(sqlite_uri(tmp_path))
    yield tmp_path
    mlflow.set_tracking_uri(before)


@pytest.fixture
def iris(store: Path) -> mlflow.MlflowClient:
    """The client, with two versions of the registered model Iris; in each one's file stands its number."""
    client = mlflow.MlflowClient()
    client.create_registered_model("Iris")
    for number in ("1", "2"):
        files = store / "mlruns" / "0" / number
        files.mkdir(parents=True)
        (files / "number").write_text(number, encoding="utf-8")
        client.create_model_version("Iris", files.as_uri(), run_id=client.create_run("0").info.run_id)
    return client


def test_three_depths_all_get_the_thirty_flowers_right() -> None:
    X_train, X_test, y_train, y_test = train_test_split(
        *load_iris(return_X_y=True, as_frame=True), test_size=0.2, random_state=42
    )
    for depth in (1, 2, 5):
        forest = RandomForestClassifier(n_estimators=120, max_depth=depth, random_state=42)
        assert forest.fit(X_train, y_train).score(X_test, y_test) == 1


def test_artifact_path_still_works_with_the_types_named(capfd: pytest.CaptureFixture[str]) -> None:
    tree = DecisionTreeClassifier(max_depth=1).fit([[0], [1]], [0, 1])
    with mlflow.start_run():
        named = mlflow.sklearn.log_model(
            tree, artifact_path="model", skops_trusted_types=["sklearn.tree._tree.Tree"], pip_requirements=[]
        )
    assert mlflow.sklearn.load_model(named.model_uri).predict([[1]]).tolist() == [1]
    assert "`artifact_path` is deprecated" in capfd.readouterr().err


def test_a_run_s_name_may_have_what_a_registered_model_s_may_not() -> None:
    with mlflow.start_run(run_name="forest / lr 0.01: first") as logged:
        pass
    assert mlflow.get_run(logged.info.run_id).info.run_name == "forest / lr 0.01: first"
    for name in ("a/b", "a:b"):
        with pytest.raises(MlflowException):
            mlflow.MlflowClient().create_registered_model(name)


def test_latest_and_a_number_are_no_aliases(iris: mlflow.MlflowClient) -> None:
    for alias in ("latest", "v1"):
        with pytest.raises(MlflowException):
            iris.set_registered_model_alias("Iris", alias, "1")


def test_two_versions_in_production_mean_the_higher_number(iris: mlflow.MlflowClient) -> None:
    for version in ("2", "1"):
        iris.transition_model_version_stage("Iris", version, "Production")
    assert iris.get_model_version("Iris", "2").current_stage == "Production"
    found = Path(mlflow.artifacts.download_artifacts("models:/Iris/Production"))
    assert (found / "number").read_text(encoding="utf-8") == "2"


def test_a_parameter_is_not_changed_afterwards() -> None:
    with mlflow.start_run():
        mlflow.log_param("max_depth", 5)
        with pytest.raises(MlflowException):
            mlflow.log_param("max_depth", 6)


def test_a_dictionary_replaces_and_a_table_adds() -> None:
    with mlflow.start_run() as logged:
        for value in (1, 2):
            mlflow.log_dict({"found": value}, "kept.json")
            mlflow.log_table(pd.DataFrame({"found": [value]}), "table.json")
    assert mlflow.artifacts.load_dict(f"runs:/{logged.info.run_id}/kept.json") == {"found": 2}
    assert mlflow.load_table("table.json", run_ids=[logged.info.run_id])["found"].tolist() == [1, 2]


def test_after_close_the_current_figure_is_empty_and_one_in_a_variable_is_not() -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], linewidth=40, color="black")
    plt.close()
    assert darkest(figure) == 0
    current = plt.gcf()
    assert darkest(current) == 1
    plt.close()


def darkest(figure: Figure) -> float:
    """The darkest colour of the picture that MLflow keeps of a figure: 0 is black, 1 is white."""
    with mlflow.start_run() as logged:
        mlflow.log_figure(figure, "figure.png")
    path = mlflow.artifacts.download_artifacts(f"runs:/{logged.info.run_id}/figure.png")
    return float(plt.imread(path).min())


@pytest.fixture
def repository(store: Path) -> Path:
    """A Git repository with one commit, in which train.py logs a run and prints the commit it recorded."""
    repository = store / "repository"
    repository.mkdir()
    (repository / "train.py").write_text(LOGS_A_RUN, encoding="utf-8")
    for arguments in ("init -q", "add .", "-c user.name=a -c user.email=a@example.org commit -q -m first"):
        subprocess.run(["git", *arguments.split()], cwd=repository, check=True)
    return repository


def test_a_script_records_its_commit(store: Path, repository: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, check=True)
    done = run(sys.executable, "train.py", folder=repository, MLFLOW_TRACKING_URI=sqlite_uri(store))
    assert head.stdout.decode().strip() in done.stdout


def test_a_notebook_does_not(store: Path, repository: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell(LOGS_A_RUN)])
    with tempfile.TemporaryDirectory(prefix="kit-") as channel:
        client = NotebookClient(
            notebook,
            timeout=120,
            resources={"metadata": {"path": repository}},
            config=private_channel(Path(channel)),
        )
        client.execute(env=environment(MLFLOW_TRACKING_URI=sqlite_uri(store)))
    printed = [output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout"]
    assert "".join(printed).strip() == "None"
