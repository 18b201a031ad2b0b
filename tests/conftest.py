"""What several tests share: the kit's folders, a course of its own for each test, real commands."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.samples import Sample, hand_in, load_samples
from autograder.workspace.store import REDIRECTING

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "01-tracking"
SAMPLES = load_samples(ROOT / "tests" / "submissions" / ASSIGNMENT)
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


def make_course(folder: Path, samples: dict[str, Sample]) -> Path:
    """A course in ``folder`` with a fresh gradebook, in which each sample was handed in."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for part in ("solutions", "exercises"):
        for assignment in (ROOT / part).iterdir():
            target = folder / part / assignment.name
            target.mkdir(parents=True)
            shutil.copy(assignment / f"{assignment.name}.ipynb", target)
    hand_in(samples, folder, ASSIGNMENT)
    return folder


@pytest.fixture
def course(tmp_path: Path) -> Callable[..., Path]:
    """Make a course with the samples of these names handed in."""

    def make(*names: str) -> Path:
        return make_course(tmp_path / "course", {name: SAMPLES[name] for name in names})

    return make


@pytest.fixture(scope="session")
def solution() -> NotebookNode:
    """The solution's notebook, as committed."""
    return nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)


@pytest.fixture(scope="session")
def exercise() -> NotebookNode:
    """The exercise's notebook, as committed."""
    return nbformat.read(ROOT / "exercises" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
