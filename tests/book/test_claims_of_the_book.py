"""What the book says of MLflow without a cell that shows it."""

import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import mlflow.cli
import pandas as pd
import pytest
import requests
from click.testing import CliRunner
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.server.auth import _validate_bootstrap_admin_password
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.permissions import RESOURCE_GRANTABLE_PERMISSIONS
from mlflow.server.security_utils import get_default_allowed_hosts, is_allowed_host_header
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from autograder.databricks.database import sqlite_uri
from autograder.sandbox.running import private_channel
from tests.conftest import ROOT, environment, run

pytestmark = pytest.mark.usefixtures("own_store")
LOGS_A_RUN = """
import mlflow
with mlflow.start_run() as logged:
    pass
print(mlflow.get_run(logged.info.run_id).data.tags.get("mlflow.source.git.commit"))
"""


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
def repository(own_store: Path) -> Path:
    """A Git repository with one commit, in which train.py logs a run and prints the commit it recorded."""
    repository = own_store / "repository"
    repository.mkdir()
    (repository / "train.py").write_text(LOGS_A_RUN, encoding="utf-8")
    for arguments in ("init -q", "add .", "-c user.name=a -c user.email=a@example.org commit -q -m first"):
        subprocess.run(["git", *arguments.split()], cwd=repository, check=True)
    return repository


def test_a_script_records_its_commit(own_store: Path, repository: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, check=True)
    done = run(sys.executable, "train.py", folder=repository, MLFLOW_TRACKING_URI=sqlite_uri(own_store))
    assert head.stdout.decode().strip() in done.stdout


def printed_by_a_notebook(code: str, folder: Path, own_store: Path) -> str:
    notebook = new_notebook(cells=[new_code_cell(code)])
    with tempfile.TemporaryDirectory(prefix="kit-") as channel:
        client = NotebookClient(
            notebook,
            timeout=120,
            resources={"metadata": {"path": folder}},
            config=private_channel(Path(channel)),
        )
        client.execute(env=environment(MLFLOW_TRACKING_URI=sqlite_uri(own_store)))
    printed = [output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout"]
    return "".join(printed).strip()


def test_a_notebook_does_not(own_store: Path, repository: Path) -> None:
    assert printed_by_a_notebook(LOGS_A_RUN, repository, own_store) == "None"


def test_a_notebook_can_write_the_commit_by_the_book_s_lines(own_store: Path, repository: Path) -> None:
    page = (ROOT / "book" / "chapters" / "iterate.md").read_text("utf-8")
    (lines,) = re.findall(r"```python\n(import subprocess\n.*?)```", page, re.DOTALL)
    code = LOGS_A_RUN.replace("    pass\n", textwrap.indent(lines, "    "))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, check=True)
    assert printed_by_a_notebook(code, repository, own_store) == head.stdout.decode().strip()


def test_after_show_the_current_figure_of_a_notebook_is_empty(own_store: Path) -> None:
    code = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()\n"
    assert printed_by_a_notebook(code + "print(len(plt.gcf().axes))", own_store, own_store) == "0"


def test_a_script_s_stray_run_collects_what_comes_and_ends_with_it(own_store: Path) -> None:
    code = "import mlflow\nmlflow.log_metric('a', 1)\nmlflow.log_metric('b', 2)\n"
    run(sys.executable, "-c", code, folder=own_store, MLFLOW_TRACKING_URI=sqlite_uri(own_store))
    (stray,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stray.info.status == "FINISHED"
    assert set(stray.data.metrics) == {"a", "b"}


def test_metrics_have_a_history_over_steps() -> None:
    with mlflow.start_run() as logged:
        for step, loss in enumerate((1.0, 0.9, 0.8)):
            mlflow.log_metric("loss", loss, step=step)
    history = mlflow.MlflowClient().get_metric_history(logged.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 1.0), (1, 0.9), (2, 0.8)]


def test_a_deleted_run_can_be_brought_back() -> None:
    client, found = mlflow.MlflowClient(), mlflow.MlflowClient().create_run("0").info.run_id
    client.delete_run(found)
    assert mlflow.search_runs(["0"]).empty
    client.restore_run(found)
    assert len(mlflow.search_runs(["0"])) == 1


def test_datasets_are_searched_by_three_fields_only() -> None:
    for key in ("name", "digest", "context"):
        mlflow.search_runs(["0"], f"dataset.{key} = 'x'")
    for key in ("version", "source"):
        with pytest.raises(MlflowException, match="Invalid dataset key"):
            mlflow.search_runs(["0"], f"dataset.{key} = '1'")


def test_what_a_digest_covers_and_what_not() -> None:
    def digest(frame: pd.DataFrame) -> str:
        return mlflow.data.from_pandas(frame, source="x.csv").digest

    frame = pd.DataFrame({"n": [1, 2], "text": ["a", "b"], "gap": ["a", None], "yes": [True, False]})
    others = [frame.rename(columns={"n": "m"}), frame.assign(text="z"), frame.head(1), frame.set_axis([5, 6])]
    assert digest(frame) not in map(digest, others)
    alike = frame.assign(yes=True, gap=["z", None])
    assert digest(alike) == digest(frame)


def test_log_dict_writes_yaml_and_load_table_reads_several_runs() -> None:
    ids = []
    for value in (1, 2):
        with mlflow.start_run() as logged:
            mlflow.log_table({"v": [value]}, "t.json")
            mlflow.log_dict({"a": [1]}, "d.yaml")
        ids.append(logged.info.run_id)
    assert sorted(mlflow.load_table("t.json", run_ids=ids)["v"]) == [1, 2]
    assert mlflow.artifacts.load_text(f"runs:/{ids[0]}/d.yaml").startswith("a:")


def test_the_ui_takes_its_store_from_its_own_folder_not_from_the_tracking_uri(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////nowhere/elsewhere.db")
    started: dict[str, object] = {}
    monkeypatch.setattr("mlflow.server._run_server", lambda **settings: started.update(settings))
    said = CliRunner().invoke(mlflow.cli.cli, ["ui"])
    assert started["file_store_path"] == "sqlite:///mlflow.db", said.output


def test_an_older_mlflow_s_folder_beside_it_stops_mlflow(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_store / "elsewhere").mkdir()
    monkeypatch.chdir(own_store / "elsewhere")
    mlflow.set_tracking_uri(None)
    assert mlflow.get_tracking_uri().endswith("/mlflow.db")
    Path("mlruns/0").mkdir(parents=True)
    Path("mlruns/0/meta.yaml").touch()
    with pytest.raises(MlflowException, match="migrate-filestore"):
        mlflow.search_experiments()


def test_a_shared_server_lets_all_read_by_default_and_wants_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_AUTH_CONFIG_PATH", raising=False)
    shipped = read_auth_config()
    assert (shipped.default_permission, shipped.admin_password) == ("READ", None)
    assert {"READ", "USE", "EDIT", "MANAGE"} <= set(RESOURCE_GRANTABLE_PERMISSIONS)
    assert not is_allowed_host_header(get_default_allowed_hosts(), "mlflow.example.org")
    for password in (None, "password1234"):
        with pytest.raises(MlflowException):
            _validate_bootstrap_admin_password("admin", password)


def test_a_token_with_a_line_end_would_be_shown_by_the_error() -> None:
    with pytest.raises(requests.exceptions.InvalidHeader, match="secret"):
        requests.get("http://127.0.0.1:9", headers={"Authorization": "Bearer secret\n"}, timeout=9)


def test_the_ui_has_the_words_that_the_book_tells_to_look_for() -> None:
    scripts = (Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js").rglob("*.js")
    text = "\n".join(path.read_text("utf-8") for path in scripts)
    for words in (
        "Model training",
        "Show diff only",
        "Register model",
        "Parallel Coordinates",
        "Scatter Plot",
    ):
        assert words in text
