"""The box under a umask that keeps files from others, as hardened machines set it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

import autograder
from autograder.data.settings import Conditions
from autograder.sandbox.probe import UNKNOWN, check_sandbox
from autograder.sandbox.running import run_notebook
from tests.conftest import ROOT, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

WORK = """
from pathlib import Path
print(Path("beside.txt").read_text(), Path("/etc/passwd").read_text()[:7])
Path("left.txt").write_text("left")
from autograder.workspace import open_workspace
import mlflow
open_workspace()
with mlflow.start_run():
    mlflow.log_metric("accuracy", 1)
"""


@pytest.fixture(params=[0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_notebook_runs_in_its_box(umask: int, tmp_path: Path) -> None:
    check_sandbox()
    work = tmp_path / "work"
    work.mkdir()
    (work / "beside.txt").write_text("beside")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WORK)])
    execution = run_notebook(notebook, work, Conditions(7))
    assert execution.stopped is None
    outputs = execution.notebook.cells[0].outputs
    assert not [output for output in outputs if output.output_type == "error"], outputs
    assert outputs[0].text.startswith("beside student")
    assert (execution.folder / "left.txt").read_text() == "left"
    assert (execution.folder / "mlflow.db").is_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is another in the box")
@pytest.mark.parametrize("private", ["everything", "one part", "one file"])
def test_a_kit_that_only_root_may_read_is_named_with_the_chmod_that_helps(
    tmp_path: Path, private: str
) -> None:
    copy = tmp_path / "R&D kit" / "autograder"
    shutil.copytree(ROOT / "autograder", copy, ignore=shutil.ignore_patterns("__pycache__"))
    closed = {"everything": copy, "one part": copy / "base", "one file": copy / "notebook.py"}[private]
    subprocess.run(["chmod", "-R", "go-rwx", closed], check=True)
    looking = "import autograder.sandbox.probe as s, autograder as a; print(a.__path__[0]); s.check_sandbox()"

    def looked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", looking],
            cwd=copy.parent,
            env=environment(PYTHONPATH=str(copy.parent)),
            capture_output=True,
            text=True,
            check=False,
        )

    done = looked()
    assert done.stdout.strip() == str(copy)
    assert f"NoSandbox: The sandbox does not work here: {closed} (" in done.stderr
    *_, last = done.stderr.strip().splitlines()
    chmod = last.rpartition("Run `")[2].removesuffix("`.")
    assert chmod == f"chmod -R go+rX '{copy}'"
    subprocess.run(chmod, shell=True, check=True)
    assert looked().returncode == 0


def test_what_the_doctor_prints_does_not_send_to_the_doctor() -> None:
    assert "doctor" not in UNKNOWN
    package = Path(autograder.__path__[0]) / "sandbox"
    assert not [
        path for path in package.glob("*.py") if "mlflow-kit doctor" in path.read_text(encoding="utf-8")
    ]
