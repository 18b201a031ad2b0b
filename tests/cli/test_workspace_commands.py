"""What `mlflow-kit serve`, `ui` and `token` do, and MLflow's UI on a workspace."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from autograder.databricks import server as server_module
from autograder.databricks.listen import listen
from autograder.databricks.server import Server, free_socket, start_server
from autograder.databricks.state import State, WorkspaceError
from tests.conftest import environment, run

pytestmark = pytest.mark.xdist_group("commands")


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


REVOKED = """
import os, requests
from autograder.workspace import open_workspace
from autograder.databricks.state import State
from autograder.databricks.tokens import list_tokens, revoke_token
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
