"""Opening a workspace in a notebook: one line, and everything it starts ends with the kernel."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat.v4
import psutil
import pytest

from autograder.data.settings import Conditions
from autograder.databricks.database import sqlite_uri
from autograder.databricks.state import State, WorkspaceError
from autograder.databricks.tokens import list_tokens
from autograder.sandbox.running import run_notebook
from autograder.workspace.store import Workspace
from tests.conftest import run
from tests.support.workspace_kernel import CALL, ENDPOINT, FORKS, MODEL, OPEN, Kernel, answers, ends, where

pytestmark = pytest.mark.xdist_group("workspace")


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    yield made
    made.end()


def test_one_line_says_where_things_are_and_whose_the_token_is(kernel: Kernel) -> None:
    said = kernel.run(OPEN)
    url, _ = where(kernel)
    assert "mlflow.db" in said
    assert url in said
    user = kernel.run("import getpass; print(getpass.getuser())").strip()
    assert f"The token in DATABRICKS_TOKEN is yours ({user})" in said
    token = kernel.run("print(os.environ['DATABRICKS_TOKEN'])").strip()
    assert token.startswith("dapi")
    assert token not in said


def test_a_token_for_somebody_else_is_made_in_the_notebook(kernel: Kernel, tmp_path: Path) -> None:
    made = """
text = workspace.create_token("an app", lifetime_seconds=60, permission="CAN_QUERY")
print(text)
"""
    text = kernel.run(OPEN, made).split()[-1]
    (app,) = [token for token in list_tokens(State(tmp_path)) if token.comment == "an app"]
    assert text.startswith(f"dapi{app.id}")
    assert (app.comment, app.permission, app.expires) == ("an app", "CAN_QUERY", app.created + 60_000)
    asked = """
import requests
url = f"{workspace.host}/api/2.0/serving-endpoints"
headers = {"Authorization": f"Bearer {text}"}
listed = requests.get(url, headers=headers, timeout=60)
made = requests.post(url, headers=headers, json={"name": "x", "config": {}}, timeout=60)
print(listed.status_code, made.status_code, made.json()["message"])
"""
    said = kernel.run(asked)
    assert said.startswith("200 403 ")
    assert "has the permission CAN_QUERY; this needs CAN_MANAGE" in said


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"permission": "CAN_FLY"}, "no permission “CAN_FLY”; the permissions are CAN_QUERY and CAN_MANAGE"),
        ({"lifetime_seconds": 0}, "lifetime is 0 seconds; expected more than 0"),
        ({"lifetime_seconds": -1.5}, "lifetime is -1.5 seconds; expected more than 0"),
        ({"lifetime_seconds": float("nan")}, "lifetime is nan seconds; expected more than 0"),
        ({"lifetime_seconds": 1e12}, "at most 316224000, ten years"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    workspace = Workspace(tmp_path, sqlite_uri(tmp_path), 1)
    with pytest.raises(WorkspaceError, match=re.escape(words)):
        workspace.create_token("of a test", **asked)
    assert list_tokens(State(tmp_path)) == []


def test_a_workspace_that_is_opened_twice_has_one_server(kernel: Kernel) -> None:
    kernel.run(OPEN)
    before = where(kernel)
    kernel.run("os.chdir('..')", OPEN)
    assert where(kernel) == before


def test_endpoints_survive_a_restart_of_the_kernel_at_the_same_address(kernel: Kernel) -> None:
    assert "200" in kernel.run(OPEN, MODEL, ENDPOINT, CALL)
    url, pid = where(kernel)
    kernel.client.stop_channels()
    kernel.manager.restart_kernel()
    kernel.connect()
    assert ends(pid)
    kernel.run(OPEN)
    assert where(kernel)[0] == url
    assert "200" in kernel.run(CALL)
    calls = kernel.run("print(len(workspace.metrics('iris').calls))")
    assert int(calls) == 2


def test_who_interrupts_a_cell_does_not_end_the_server(kernel: Kernel) -> None:
    kernel.run(OPEN, MODEL, ENDPOINT)
    kernel.client.execute("import time; time.sleep(60)", stop_on_error=False)
    time.sleep(1)
    kernel.manager.interrupt_kernel()
    assert kernel.client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
    assert "200" in kernel.run(CALL)


@pytest.mark.parametrize("used", [False, True], ids=["never called", "called"])
@pytest.mark.parametrize(
    "busy", ["", "import time; time.sleep(60)", FORKS], ids=["idle", "busy", "with a child that lives on"]
)
def test_the_server_ends_with_a_kernel_that_is_killed(kernel: Kernel, busy: str, used: bool) -> None:
    kernel.run(OPEN, *(["import requests; requests.get(workspace.host + '/ping')"] if used else []))
    url, pid = where(kernel)
    children = [child.pid for child in psutil.Process(kernel.manager.provisioner.pid).children()]
    assert pid in children
    if busy:
        kernel.client.execute(busy)
        time.sleep(1)
    os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
    assert ends(pid)
    assert not answers(url)


READS_INPUT = """
import mlflow
class Asks(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import sys
        return [repr(sys.stdin.read())] * len(model_input)
mlflow.pyfunc.log_model(name="model", python_model=Asks(), pip_requirements=[], registered_model_name="Iris")
"""


def test_who_reads_standard_input_in_the_server_does_not_wait_for_the_notebook(kernel: Kernel) -> None:
    """On Windows even an import that asks about it would: the pipe from the notebook is elsewhere."""
    kernel.run(OPEN, READS_INPUT, ENDPOINT)
    assert kernel.run(CALL).strip() == """200 {"predictions": ["''"]}"""


def test_a_server_that_was_killed_is_started_again(kernel: Kernel) -> None:
    kernel.run(OPEN, MODEL, ENDPOINT)
    _, pid = where(kernel)
    os.kill(pid, signal.SIGKILL)
    kernel.run("workspace.server.process.wait()", OPEN)
    assert where(kernel)[1] != pid
    assert "200" in kernel.run(CALL)


def test_two_kernels_in_one_folder_share_the_workspace(tmp_path: Path) -> None:
    first, second = Kernel(tmp_path), Kernel(tmp_path)
    try:
        first.run(OPEN, MODEL, ENDPOINT)
        second.run(OPEN)
        assert where(first)[0] != where(second)[0]
        assert "200" in second.run(CALL)
        assert int(first.run("print(len(workspace.metrics('iris').calls))")) == 1
    finally:
        first.end()
        second.end()


def test_what_the_environment_names_is_set_aside_and_said_so(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, DATABRICKS_HOST="https://elsewhere.invalid", DATABRICKS_TOKEN="theirs")
    try:
        said = kernel.run(OPEN)
        assert "Your environment names another place (DATABRICKS_HOST, DATABRICKS_TOKEN)" in said
        found = kernel.run("print(os.environ['DATABRICKS_HOST'], os.environ['DATABRICKS_TOKEN'])").split()
        assert found[0] == where(kernel)[0]
        assert found[1] != "theirs"
        assert "another place" not in kernel.run(OPEN)
    finally:
        kernel.end()


def test_a_workspace_works_in_the_box(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (OPEN, MODEL, ENDPOINT, CALL)]
    (tmp_path / "work").mkdir()
    execution = run_notebook(nbformat.v4.new_notebook(cells=cells), tmp_path / "work", Conditions(7))
    assert execution.stopped is None, execution
    assert execution.notebook.cells[-1].outputs[0].text.startswith("200")
    from autograder.databricks import journal

    (call,) = journal.read(execution.folder).to_pylist()
    assert call["status_code"] == 200
    assert call["requester"] == "student"


def test_a_script_that_a_cell_starts_works_in_the_same_place(kernel: Kernel, tmp_path: Path) -> None:
    said = kernel.run(
        OPEN,
        "import subprocess, sys\n"
        "script = 'from autograder.workspace import open_workspace; open_workspace()'\n"
        "print(subprocess.run([sys.executable, '-c', script], capture_output=True, text=True).stdout)",
    )
    assert "another place" not in said
    assert said.count(str(tmp_path / "mlflow.db")) == 2


def test_a_notebook_that_calls_no_endpoint_hardly_pays_for_one(tmp_path: Path) -> None:
    """The server imports nothing until it is called: a few megabytes instead of hundreds."""
    script = (
        "import psutil, time\nfrom autograder.workspace import open_workspace\nw = open_workspace()\n"
        "time.sleep(1)\nprint(psutil.Process(w.server.process.pid).memory_info().rss >> 20)"
    )
    done = run(sys.executable, "-c", script, folder=tmp_path)
    assert int(done.stdout.split()[-1]) < 40
