"""What several tests share: the kit's folders, a course of its own for each test, real commands."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

import autograder.pipeline.rehearsal
import autograder.sandbox.running
from autograder.authoring.samples import Sample, hand_in, load_samples
from autograder.databricks.database import sqlite_uri
from autograder.pipeline.reader import Reader
from autograder.rubrics import assignments
from autograder.workspace.environment import REDIRECTING
from autograder.workspace.prepared import put_store
from tests.support.quick import pytest_collection_modifyitems, pytest_ignore_collect, pytest_runtest_protocol

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_runtest_protocol",
]  # pytest finds them here

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "01-tracking"
ALL_SAMPLES = {name: load_samples(ROOT / "tests" / "submissions" / name) for name in assignments()}
SAMPLES = ALL_SAMPLES[ASSIGNMENT]
#: Also handed in to nbgrader: the usual ones of each assignment, besides those marked ``in_nbgrader``.
USUAL = ("solution", "untouched")
#: So many of an assignment's samples are graded as one class; classes are graded side by side.
CLASS_SIZE = 25
HANDED_IN = {
    assignment: sorted(
        name
        for name, sample in samples.items()
        if name in USUAL or sample.in_nbgrader or sample.only_nbgrader
    )
    for assignment, samples in ALL_SAMPLES.items()
}
# A shell starts what it puts into the background deaf to Ctrl-C, and so is every process below it.
# Tests interrupt what they started, so it must hear that however the tests themselves were started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))

needs_browser = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs a browser: install Debian's package chromium"
)


def environment(**changes: str) -> dict[str, str]:
    """This environment with the tools of this interpreter first, byte code kept, and changes.

    What MLflow wrote into it is left out: ``set_experiment`` of a test that ran before in this
    process tells the processes after it, too.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    left_out = {"PYTHONDONTWRITEBYTECODE", *REDIRECTING}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PATH": path, **changes}


def run(
    *command: str, folder: Path, timeout: float = 600, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; standard output and error are both in ``stdout``."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**changes),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


def make_course(folder: Path, samples: dict[str, Sample], assignment: str = ASSIGNMENT) -> Path:
    """A course in ``folder`` with a fresh gradebook, in which each sample of an assignment was handed in."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for part in ("solutions", "exercises"):
        for name in assignments():
            target = folder / part / name
            target.mkdir(parents=True)
            shutil.copy(ROOT / part / name / f"{name}.ipynb", target)
    hand_in(samples, folder, assignment)
    return folder


@pytest.fixture(autouse=True)
def _mlflow_forgets() -> Iterator[None]:
    """MLflow remembers a test's registry, and its experiment by number: the next test's store has others."""
    yield
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)
    if fluent := sys.modules.get("mlflow.tracking.fluent"):
        fluent._active_experiment_id = None  # type: ignore[attr-defined]
        sys.modules["mlflow"].set_registry_uri(None)


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    """Reads the stores that are left without a box, and scores their models."""
    with Reader(sandbox=False) as reader:
        yield reader


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    """What is run without a box runs in processes that start in a moment, and is read by one process."""
    from tests.support.forked_kernel import ForkedKernelManager

    monkeypatch.setattr(autograder.sandbox.running, "BoundedKernelManager", ForkedKernelManager)
    monkeypatch.setattr(autograder.pipeline.rehearsal, "Reader", lambda sandbox: nullcontext(reader))


@pytest.fixture
def course(tmp_path: Path) -> Callable[..., Path]:
    """Make a course with the samples of these names handed in."""

    def make(*names: str) -> Path:
        return make_course(tmp_path / "course", {name: SAMPLES[name] for name in names})

    return make


def graded_in(assignment: str, name: str) -> str:
    """Which of the classes a sample is in; neighbours are in different ones, so that classes are alike."""
    names = HANDED_IN[assignment]
    return f"{assignment}-{names.index(name) % (1 + len(names) // CLASS_SIZE)}"


@pytest.fixture(scope="session")
def class_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The course in which the class that a sample is in was graded by stock nbgrader, once a worker.

    What ``nbgrader autograde`` said is in the course's ``autograde.log``.
    """

    @cache
    def graded(assignment: str, which: str) -> Path:
        own = ALL_SAMPLES[assignment]
        samples = {name: own[name] for name in HANDED_IN[assignment] if graded_in(assignment, name) == which}
        course = make_course(tmp_path_factory.mktemp("class") / "course", samples, assignment)
        done = run("nbgrader", "autograde", assignment, folder=course, timeout=900)
        assert done.returncode == 0, done.stdout[-5000:]
        (course / "autograde.log").write_text(done.stdout, encoding="utf-8")
        return course

    return lambda assignment, name: graded(assignment, graded_in(assignment, name))


@pytest.fixture(scope="session")
def exercise() -> NotebookNode:
    """The exercise's notebook, as committed."""
    return nbformat.read(ROOT / "exercises" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store."""
    assert put_store(tmp_path)
    return tmp_path


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Path]:
    """An empty store of the test's own, which MLflow logs to."""
    import mlflow

    put_store(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(sqlite_uri(tmp_path))
    mlflow.set_registry_uri(sqlite_uri(tmp_path))
    yield tmp_path
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
