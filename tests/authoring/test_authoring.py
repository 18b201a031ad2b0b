"""What course authors use: the course is consistent, faults are found, a new assignment works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder.authoring.consistency import NOT_YET, TOPICS, problems
from autograder.authoring.new_assignment import CannotBegin, begin_assignment
from tests.conftest import ROOT, environment

NEW = "03-comparing"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The parts of the kit that an author changes."""
    aside = shutil.ignore_patterns(
        "mlflow.db*", "mlruns", "workspace", "_build", ".jupyter_cache", "__pycache__"
    )
    for folder in ("autograder", "solutions", "exercises", "tests/submissions", "book"):
        ignored = aside if folder != "autograder" else shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    return tmp_path


def kit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The copy's own ``mlflow-kit``."""
    return subprocess.run(
        ["mlflow-kit", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_course_is_consistent() -> None:
    assert not list(problems(ROOT))


def test_every_topic_of_the_guide_is_either_checked_or_named_as_not_yet() -> None:
    practices = {f"P{n}" for n in range(1, 8)}
    others = {"W4", "W5", *(f"C{n}" for n in range(1, 6)), *(f"S{n}" for n in range(2, 8))}
    others |= {"L1", "L2", "L3", "T1–T5", *(f"N{n}" for n in range(1, 5))}
    assert set(NOT_YET) >= {"C3", "C5", "S7", "P3", "P6", "T1–T5"}
    assert practices | others == set(TOPICS) | set(NOT_YET)


def test_faults_are_named(copy: Path) -> None:
    path = copy / "solutions" / "05-promotion" / "05-promotion.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.id == "task-aliases":
            cell.source = cell.source.replace("Hint", "Help")
        if cell.id == "check-promote":
            cell.metadata.nbgrader.points = 99
    nbformat.write(notebook, path)
    samples = copy / "tests" / "submissions" / "05-promotion"
    for name in ("keeps-the-challenger", "half-done"):
        (samples / f"{name}.toml").unlink()
    for path in sorted(samples.glob("right-*.toml"))[3:]:
        path.unlink()
    chapter = copy / "book" / "chapters" / "promotion.md"
    chapter.write_text(chapter.read_text("utf-8").replace("## Roll back", "## Go back"), "utf-8")
    found = "\n".join(problems(copy))
    assert "the task aliases has no folded hint" in found
    assert "promote has 99 points in the notebook, 8 in the rubric" in found
    assert "no sample submission loses exactly challenger-gone" in found
    assert "05-promotion: the sample 'half-done' is missing" in found
    assert "begin with right-): 3; expected 4" in found
    assert "chapters/promotion has no section “roll-back”" in found
    (failed,) = re.findall("05-promotion: generating it fails: (.*)", found)
    assert "promote: 99.0 points in the notebook, 8 in the rubric" in failed
    assert "04-registry" not in found


def test_a_new_assignment_works_in_all_its_places(copy: Path) -> None:
    done = kit(copy, "new", NEW, "--title", "Compare runs")
    assert done.returncode == 0, done.stderr
    assert f"solutions/{NEW}/{NEW}.ipynb" in done.stdout
    assert "dev check`. It will ask for:\n  the sample 'half-done' is missing\n  right answers" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", NEW],
        cwd=copy,
        env={**environment(), "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert kit(copy, "dev", "table").returncode == 0
    add_what_is_missing(copy / "tests" / "submissions" / NEW)
    done = kit(copy, "dev", "check")
    assert done.stdout.strip() == "The course is consistent."
    assert done.returncode == 0
    rehearsed = kit(copy, "rehearse", NEW, f"solutions/{NEW}/{NEW}.ipynb")
    assert "1 of 1 points" in rehearsed.stdout, rehearsed.stdout + rehearsed.stderr


def add_what_is_missing(samples: Path) -> None:
    """The other right answers, and one that is half done."""
    one = (samples / "right-with-another-metric.toml").read_text("utf-8")
    for n in range(3):
        (samples / f"right-{n}.toml").write_text(one.replace("log_loss", f"metric-{n}"), "utf-8")
    shutil.copy(samples / "untouched.toml", samples / "half-done.toml")


@pytest.mark.parametrize("name", ["comparing", "3-comparing", "03-Comparing", "03_comparing", "../03-x"])
def test_a_name_that_is_none_is_refused(copy: Path, name: str) -> None:
    with pytest.raises(CannotBegin, match="two digits and words"):
        begin_assignment(copy, name, "Compare runs")


def test_nothing_that_exists_is_overwritten(copy: Path) -> None:
    before = (copy / "book" / "chapters" / "tracking.md").read_bytes()
    with pytest.raises(CannotBegin, match="exists already"):
        begin_assignment(copy, "03-tracking", "Compare runs")
    assert (copy / "book" / "chapters" / "tracking.md").read_bytes() == before
    assert not (copy / "solutions" / "03-tracking").exists()
