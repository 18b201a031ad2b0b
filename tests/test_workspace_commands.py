"""What `mlflow-kit serve`, `ui` and `token` do, and a tracking server that is named."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
import requests

from autograder.workspace import server as server_module
from autograder.workspace.prepared import put_store
from autograder.workspace.server import Server, free_socket, start_server
from autograder.workspace.serving.listen import listen
from autograder.workspace.serving.state import State, WorkspaceError
from autograder.workspace.serving.tokens import create_token
from tests.conftest import environment, run

pytestmark = pytest.mark.xdist_group("commands")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store."""
    assert put_store(tmp_path)
    return tmp_path


def start(*command: str, folder: Path, **changes: str) -> tuple["subprocess.Popen[str]", str]:
    """Start a command that serves; the process and the address it prints."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1", COLUMNS="200", **changes),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    line = process.stdout.readline()
    assert "http://127.0.0.1:" in line, line + process.stdout.read()
    return process, line.split()[-1]


def asked(url: str) -> requests.Response:
    """The answer to the first question that is answered, within a minute and more."""
    for _ in range(600):
        try:
            return requests.get(url, timeout=30)
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_serve_serves_until_ctrl_c_and_comes_back_at_the_same_address(folder: Path) -> None:
    addresses = []
    for _ in range(2):
        process, url = start("mlflow-kit", "serve", folder=folder)
        addresses.append(url)
        token = run("mlflow-kit", "token", "create", folder=folder).stdout.split()[0]
        listed = requests.get(
            f"{url}/api/2.0/serving-endpoints", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        assert listed.json() == {"endpoints": []}
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130, -signal.SIGINT)
        assert "Traceback" not in process.stdout.read()
    assert addresses[0] == addresses[1]


def test_a_second_server_of_a_folder_leaves_the_first_one_its_address(folder: Path) -> None:
    def started(port: int | None = None) -> Server:
        return start_server(folder, f"sqlite:///{folder}/mlflow.db", port)

    servers = [started(), started()]
    first, second = (server.url for server in servers)
    assert first != second
    servers[0].close()
    servers[0] = started()
    assert servers[0].url == first, "restarted while the second one runs"
    with listen() as free:
        port = free.getsockname()[1]
    servers.append(started(port))
    servers[0].close()
    servers[0] = started()
    assert servers[0].url == first, "restarted while one at a port that was named runs"
    for server in servers:
        server.close()
    free_socket(State(folder), port).close()
    with free_socket(State(folder)) as last:
        assert last.getsockname()[1] == port, "the one that was named last, as nobody else is there"


def test_a_server_that_does_not_start_in_time_is_ended_and_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(
        f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(120)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "slow")
    monkeypatch.setattr(server_module, "PATIENCE", 3.0)
    began = time.monotonic()
    with pytest.raises(WorkspaceError, match=r"said nothing for 3 seconds.*sitecustomize"):
        start_server(folder, f"sqlite:///{folder}/mlflow.db")
    assert time.monotonic() - began < 60
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_ui_opens_mlflow_s_ui_in_the_browser(folder: Path) -> None:
    browser = folder / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened\n')
    browser.chmod(0o755)
    process, url = start("mlflow-kit", "ui", folder=folder, BROWSER=f"{browser} %s")
    page = asked(url)
    assert "MLflow" in page.text
    found = requests.post(
        f"{url}/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 5}, timeout=30
    )
    assert [e["name"] for e in found.json()["experiments"]] == ["Default"]
    assert (folder / "opened").read_text().strip() == url
    process.send_signal(signal.SIGINT)
    process.wait(20)


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


def test_a_port_that_is_taken_and_a_folder_without_a_store_are_told(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = run("mlflow-kit", "serve", "--port", str(other.getsockname()[1]), folder=folder)
    assert done.returncode == 1
    assert "cannot be had" in done.stdout
    assert "Name another" in done.stdout
    done = run("mlflow-kit", "serve", "--port", "65536", folder=folder, COLUMNS="200")
    assert done.returncode == 2
    assert "less than or equal to 65535" in done.stdout
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (["serve"], ["ui"]):
        done = run("mlflow-kit", *command, folder=empty)
        assert done.returncode == 1
        assert "There is no mlflow.db" in done.stdout
    done = run("mlflow-kit", "token", "list", folder=empty)
    assert done.returncode == 2
    assert "there is neither mlflow.db" in " ".join(done.stdout.split())
    assert list(empty.iterdir()) == []


def test_tokens_are_made_listed_and_revoked(folder: Path) -> None:
    made = run(
        "mlflow-kit", "token", "create", "--user", "bob", "--permission", "CAN_QUERY", "--comment", "an app",
        folder=folder,
    )  # fmt: skip
    text, token_id = made.stdout.split()[0], made.stdout.split()[0][4:12]
    run("mlflow-kit", "token", "create", "--lifetime", "0.001", folder=folder)
    listed = run("mlflow-kit", "token", "list", folder=folder, COLUMNS="200").stdout
    assert text not in listed
    (line,) = [line for line in listed.splitlines() if token_id in line]
    for word in ("bob", "CAN_QUERY", "an app", "never", "valid"):
        assert word in line
    assert "expired" in listed
    assert "opens nothing" in run("mlflow-kit", "token", "revoke", token_id, folder=folder).stdout
    assert "revoked" in run("mlflow-kit", "token", "list", folder=folder, COLUMNS="200").stdout
    wrong = run("mlflow-kit", "token", "revoke", "nonsense", folder=folder)
    assert wrong.returncode == 1
    assert token_id in wrong.stdout
    for lifetime in ("0", "-5", "nan"):
        assert run("mlflow-kit", "token", "create", "--lifetime", lifetime, folder=folder).returncode == 1


@pytest.fixture(scope="module")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real tracking server with a registered model."""
    home = tmp_path_factory.mktemp("server")
    assert put_store(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home}/mlflow.db",
        "--artifacts-destination",
        str(home / "art"),
    ]
    process = subprocess.Popen(
        command,
        cwd=home,
        env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    asked(f"{url}/health")
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


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
    read = run(sys.executable, "-m", "autograder.evidence", tracking_server, "files", ".", folder=tmp_path)
    facts = json.loads(read.stdout)
    assert [endpoint["name"] for endpoint in facts["endpoints"]] == ["i"]
    assert [call["status"] for call in facts["requests"]] == [200]


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
from autograder.workspace.database import StoreError
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


REVOKED = """
import os, requests
from autograder.workspace import open_workspace
from autograder.workspace.serving.state import State
from autograder.workspace.serving.tokens import list_tokens, revoke_token
workspace = open_workspace()
state = State(workspace.folder)
revoke_token(state, list_tokens(state)[0].id)
for _ in range(2):
    headers = {"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
    answer = requests.get(f"{workspace.host}/api/2.0/serving-endpoints", headers=headers)
    print(answer.status_code, answer.json().get("message"), sep="\\n")
    open_workspace()
"""


def test_opening_again_mends_a_token_that_was_revoked(tmp_path: Path) -> None:
    said = run(sys.executable, "-c", REVOKED, folder=tmp_path).stdout
    assert [line for line in said.splitlines() if line.isdigit()] == ["403", "200"]
    assert "was revoked. In a notebook, run its first cell again" in said
    assert "`mlflow-kit token create` makes one" in said


def test_files_of_registered_models_can_be_had_from_mlflow_s_ui(tmp_path: Path) -> None:
    script = (
        "import mlflow, requests\nfrom autograder.workspace import open_workspace\nw = open_workspace()\n"
        "from sklearn.dummy import DummyClassifier\n"
        "model = DummyClassifier().fit([[0]], [1])\n"
        "mlflow.sklearn.log_model(model, name='m', registered_model_name='Const')\n"
        "asked = {'name': 'Const', 'version': '1', 'path': 'MLmodel'}\n"
        "answer = requests.get(w.host + '/model-versions/get-artifact', params=asked)\n"
        "print(answer.status_code, 'flavors' in answer.text)"
    )
    assert "200 True" in run(sys.executable, "-c", script, folder=tmp_path).stdout
