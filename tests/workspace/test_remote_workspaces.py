"""A tracking server, or Databricks, that is named is worked with; what is wrong with it is told."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from autograder.base.child import Child
from autograder.databricks.server import start_server
from autograder.databricks.state import State
from autograder.databricks.tokens import create_token
from autograder.evidence import load
from tests.cli.test_workspace_commands import asked, start
from tests.conftest import run
from tests.support.tracking_server import serving

pytestmark = pytest.mark.xdist_group("commands")


def test_ui_on_a_tracking_server_opens_that_server_s_own(folder: Path, tracking_server: str) -> None:
    browser = folder / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened\n')
    browser.chmod(0o755)
    command = ["mlflow-kit", "ui", "--tracking-uri", tracking_server]
    process, url = start(*command, folder=folder, BROWSER=f"{browser} %s")
    sent = asked(f"{url}/ajax-api/2.0/mlflow/experiments/search?max_results=5")
    assert sent.url == f"{tracking_server}/ajax-api/2.0/mlflow/experiments/search?max_results=5"
    assert [hop.status_code for hop in sent.history] == [307]
    assert "Default" in [found["name"] for found in sent.json()["experiments"]]
    assert (folder / "opened").read_text().strip() == tracking_server
    process.send_signal(signal.SIGINT)
    process.wait(20)


@pytest.fixture(scope="module")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real tracking server."""
    with serving(tmp_path_factory.mktemp("server") / "home") as address:
        yield address


REMOTE = """
import os, sys, time
import mlflow, requests
from autograder.workspace import load_flowers, open_workspace
workspace = open_workspace(remote=sys.argv[1])
from sklearn.linear_model import LogisticRegression
data = load_flowers()
model = LogisticRegression(max_iter=500).fit(data.X_train, data.y_train)
mlflow.set_experiment("iris")
with mlflow.start_run():
    mlflow.sklearn.log_model(model, name="model", registered_model_name="Iris")
from mlflow.deployments import get_deploy_client
search = workspace.host + "/api/2.0/mlflow/registered-models/search?max_results=7"
print("UI:", requests.get(workspace.host, timeout=30).url, requests.get(search, timeout=30).json())
client = get_deploy_client("databricks")
client.create_endpoint(name="i", config={"served_entities": [{"entity_name": "Iris", "entity_version": "1"}]})
while client.get_endpoint("i")["state"]["ready"] != "READY":
    time.sleep(0.1)
print(client.predict(endpoint="i", inputs={"dataframe_records": data.X_test.head(2).to_dict("records")}))
"""


def test_a_tracking_server_that_is_named_is_used_and_its_models_are_served(
    tracking_server: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(REMOTE)
    done = run(sys.executable, "script.py", tracking_server, folder=tmp_path)
    assert f"Your work goes to {tracking_server}, as you asked" in done.stdout, done.stdout
    assert f"MLflow's UI is at {tracking_server}." in done.stdout
    assert f"UI: {tracking_server}/ {{'registered_models': [{{'name': 'Iris'" in done.stdout
    assert "predictions" in done.stdout
    assert not (tmp_path / "mlflow.db").exists()
    client = mlflow.MlflowClient(tracking_server, tracking_server)
    assert [v.name for v in client.search_model_versions("name = 'Iris'")] == ["Iris"]
    checked = run(
        "mlflow-kit", "check", "01-tracking", "--tracking-uri", tracking_server, "--experiment", "iris",
        folder=tmp_path,
    )  # fmt: skip
    assert "points" in checked.stdout
    with Child.start("autograder.evidence", folder=tmp_path) as child:
        asked = {"store": tracking_server, "downloads": "files", "workspace": "."}
        facts = load(str(child.ask(asked, seconds=120, most=32 << 20)["facts"]))
    assert [endpoint.name for endpoint in facts.endpoints] == ["i"]
    assert [call.status for call in facts.requests] == [200]


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        ("http://127.0.0.1:1", "does not answer as expected"),
        ("elsewhere", "expected the address of a tracking server"),
        ("sqlite:///other.db", "expected the address of a tracking server"),
        ("http://ann:swordfish@127.0.0.1:1", "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_a_remote_that_is_none_is_told(remote: str, words: str, tmp_path: Path) -> None:
    script = "import sys\nfrom autograder.workspace import open_workspace\nopen_workspace(remote=sys.argv[1])"
    done = run(sys.executable, "-c", script, remote, folder=tmp_path, timeout=60)
    assert done.returncode == 1
    assert words in done.stdout
    assert "swordfish" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["serve"], ["ui"], ["check", "01-tracking"]])
def test_a_password_in_an_address_is_refused_and_not_repeated(command: list[str], folder: Path) -> None:
    remote = "http://ann:open@sesame@127.0.0.1:1/mlflow"
    done = run("mlflow-kit", *command, "--tracking-uri", remote, folder=folder, timeout=60, COLUMNS="500")
    assert done.returncode == 2
    assert "http://127.0.0.1:1/mlflow has a user name or a password in it" in done.stdout
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stdout
    assert "open@" not in done.stdout
    assert "sesame" not in done.stdout


THERE_AND_BACK = """
import os, sys
import mlflow
from autograder.workspace import open_workspace
here = open_workspace()
mlflow.set_experiment("the first of mine")
mlflow.set_experiment("the second of mine")
mlflow.start_run(run_name="begun here")
open_workspace(remote=sys.argv[1])
assert mlflow.active_run() is None
assert mlflow.get_registry_uri() == sys.argv[1]
with mlflow.start_run(run_name="without an experiment") as run:
    assert run.info.experiment_id == "0", "the number is the local store's"
there = open_workspace(remote="databricks")
assert not here.server.running
assert os.environ["DATABRICKS_HOST"] == there.host
assert mlflow.get_registry_uri() == "databricks-uc", mlflow.get_registry_uri()
mlflow.set_experiment("/Shared/mine")
mlflow.start_run(run_name="sent there")
back = open_workspace()
assert mlflow.get_registry_uri() == back.tracking_uri
with mlflow.start_run(run_name="kept here"):
    pass
"""


def runs(folder: Path) -> dict[str, str]:
    """The runs of a store by name, with their status."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run.info.status for run in client.search_runs(experiments)}


def test_databricks_is_used_when_it_is_named_after_a_local_workspace_was_open(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A workspace of this kit stands for Databricks: it is asked by the same client, in the same way."""
    home = tmp_path_factory.mktemp("home")
    server = start_server(folder, f"sqlite:///{folder}/mlflow.db")
    named = {"DATABRICKS_HOST": server.url, "DATABRICKS_TOKEN": create_token(State(folder))[0]}
    done = run(sys.executable, "-c", THERE_AND_BACK, server.url, folder=home, **named)
    server.close()
    assert done.returncode == 0, done.stdout
    assert "Your work goes to databricks, as you asked" in done.stdout
    assert runs(folder) == {"without an experiment": "FINISHED", "sent there": "FINISHED"}
    assert runs(home) == {"begun here": "FINISHED", "kept here": "FINISHED"}


FAILS = """
import os, mlflow
from autograder.workspace import open_workspace
from autograder.databricks.database import StoreError
workspace = open_workspace()
before = dict(os.environ)
try:
    open_workspace(remote="http://127.0.0.1:1")
except StoreError:
    assert dict(os.environ) == before
    assert mlflow.get_tracking_uri() == workspace.tracking_uri
    assert workspace.server.running
    print("as before")
"""


def test_a_remote_that_does_not_answer_leaves_everything_as_it_was(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", FAILS, folder=tmp_path)
    assert "as before" in done.stdout, done.stdout
