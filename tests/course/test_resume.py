"""A batch that is interrupted goes on where it was, and ends as if nobody had touched it."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from autograder.nbgrader.course_files import Course
from autograder.nbgrader.record import is_check
from autograder.reports import VerdictKind
from tests.conftest import ASSIGNMENT, SAMPLES, environment, make_course, run

#: Five who did nothing, two who did some of it, one whose file is damaged.
CLASS = {
    **{name: SAMPLES["untouched"] for name in ("ada", "ben", "dia", "eve", "gil")},
    "cem": SAMPLES["logs-metrics-but-no-model"],
    "hal": SAMPLES["logs-metrics-but-no-model"],
    "fay": SAMPLES["is-not-json"],
}
KIT = ("mlflow-kit", "grade", ASSIGNMENT)
NBGRADER = ("nbgrader", "autograde", ASSIGNMENT)
#: Of an undisturbed batch, the share of its start and of one submission, about.
START, ONE = 0.2, 0.1
#: Seconds that anything here may take at most.
PATIENCE = 120

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="batches are graded on Linux")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class's course before anything was graded, with its secret."""
    folder = make_course(tmp_path_factory.mktemp("fresh") / "course", CLASS)
    Course(folder).secret()
    return folder


@pytest.fixture
def two(fresh: Path, tmp_path: Path) -> Path:
    """A copy of the course in which two have handed in."""
    folder = Path(shutil.copytree(fresh, tmp_path / "course"))
    for student in CLASS.keys() - {"ada", "cem"}:
        shutil.rmtree(folder / "submitted" / student)
    return folder


def state(course: Path) -> dict[str, Any]:
    """All that a batch decides: the gradebook by student and cell, verdicts, what feedback will show."""
    found: dict[str, Any] = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for submission in gradebook.assignment_submissions(ASSIGNMENT):
            student = submission.student.id
            found[student] = {
                grade.name: (grade.auto_score, grade.needs_manual_grade, grade.max_score)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            path = course / "autograded" / student / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
            found[student]["verdict"] = Course(course).verdict(ASSIGNMENT, student)
            found[student]["mode"] = path.stat().st_mode
            found[student]["shown"] = [
                output.data["text/plain"]
                for cell in nbformat.read(path, as_version=4).cells
                for output in (cell.outputs if is_check(cell) else [])
                if output.output_type == "execute_result"
            ]
    with sqlite3.connect(course / "gradebook.db") as database:
        found["version"] = database.execute("SELECT version_num FROM alembic_version").fetchall()
    found["unfinished"] = Course(course).unfinished(ASSIGNMENT)
    return found


class Batch:
    """A batch in a process group of its own; ``begun`` waits until it begins with a submission."""

    def __init__(self, course: Path, *command: str) -> None:
        self.course = course
        self.before = self._marks()
        self.process = subprocess.Popen(
            command,
            cwd=course,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _marks(self) -> set[tuple[str, int]]:
        folder = self.course / "kept" / ASSIGNMENT
        return {(str(path), path.stat().st_mtime_ns) for path in folder.glob("*/unfinished")}

    def begun(self) -> None:
        wait_until(lambda: self._marks() - self.before or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()[0]

    def kill(self, number: int) -> str:
        """Signal the whole process group; nothing of what it started is left. What it printed."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, number)
        output, _ = self.process.communicate(timeout=PATIENCE)
        wait_until(lambda: not [process for process in started if alive(process)])
        return output


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """What a batch that nobody disturbs decides, and the seconds it takes."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("undisturbed") / "course"))
    started = time.monotonic()
    done = run(*KIT, folder=folder)
    seconds = time.monotonic() - started
    assert done.returncode == 1, done.stdout  # one file is damaged
    assert "8 of 8  hal: graded, 10 of 25" in done.stdout
    return state(folder), seconds


@pytest.mark.xdist_group("resume")
def test_killed_ten_times_and_stopped_once_it_ends_as_if_undisturbed(
    fresh: Path, undisturbed: tuple[dict[str, Any], float], tmp_path: Path
) -> None:
    course = Path(shutil.copytree(fresh, tmp_path / "course"))
    chance = random.Random(2026)
    expected, seconds = undisturbed
    for kill in range(10):
        batch = Batch(course, *KIT)
        if kill % 3 == 2:  # while it works on a submission, or between two
            batch.begun()
            time.sleep(chance.uniform(0, ONE) * seconds)
        else:  # while it starts, mostly
            time.sleep(chance.uniform(0, START) * seconds)
        batch.kill(signal.SIGKILL)
    batch = Batch(course, *KIT)
    batch.begun()
    output = batch.kill(signal.SIGINT)
    assert batch.process.returncode == 130
    assert f"`mlflow-kit grade {ASSIGNMENT}` goes on where this was" in output
    assert "Traceback" not in output
    assert not (course / "autograded" / "hal").exists(), "it was through before the last of them"
    done = run(*KIT, folder=course)
    assert done.returncode == 1, done.stdout
    assert state(course) == expected


@pytest.mark.xdist_group("resume")
def test_nbgrader_itself_goes_on_after_a_kill_in_the_middle_of_a_submission(
    two: Path, undisturbed: tuple[dict[str, Any], float]
) -> None:
    for student in ("ada", "cem"):
        handed_in = two / "submitted" / student / ASSIGNMENT / "timestamp.txt"
        handed_in.write_text("2026-11-20 12:00:00 UTC")
    batch = Batch(two, *NBGRADER)
    batch.begun()
    wait_until((two / "autograded" / "ada" / ASSIGNMENT / "timestamp.txt").exists)
    time.sleep(0.5)
    batch.kill(signal.SIGKILL)
    shown = run("mlflow-kit", "results", ASSIGNMENT, folder=two, COLUMNS="200")
    assert shown.returncode == 1
    assert f"ada: grading it did not come to an end. Run `mlflow-kit grade {ASSIGNMENT}`" in shown.stdout
    done = run(*NBGRADER, folder=two)
    assert done.returncode == 0, done.stdout
    assert f"{ASSIGNMENT}, ada: it is graded again" in done.stdout
    after = state(two)
    assert {name: after[name] for name in ("ada", "cem")} == {
        name: undisturbed[0][name] for name in ("ada", "cem")
    }
    assert after["unfinished"] == []


@pytest.mark.xdist_group("resume")
def test_nbgrader_stopped_by_ctrl_c_blames_no_submission_for_it(
    two: Path, undisturbed: tuple[dict[str, Any], float]
) -> None:
    batch = Batch(two, *NBGRADER)
    batch.begun()
    time.sleep(ONE / 2)
    batch.kill(signal.SIGINT)
    assert Course(two).unfinished(ASSIGNMENT) == ["ada"]
    done = run(*KIT, folder=two)
    assert done.returncode == 0, done.stdout
    assert state(two)["ada"] == undisturbed[0]["ada"]


@pytest.mark.xdist_group("resume")
def test_a_submission_that_ends_nbgrader_does_not_end_the_batch(two: Path) -> None:
    config = two / "nbgrader_config.py"
    config.write_text(
        config.read_text() + "\nimport os\nimport autograder.nbgrader.exporter as room\n"
        "def die(coursedir, assignment, student):\n    student != 'ada' or os._exit(7)\n"
        "room.start_at_zero = die\n"
    )
    done = run(*KIT, folder=two, COLUMNS="200")
    assert done.returncode == 1
    assert "1 of 2  ada: could not be graded" in done.stdout
    assert "2 of 2  cem: graded, 10 of 25" in done.stdout
    assert Course(two).verdict(ASSIGNMENT, "ada").kind is VerdictKind.UNGRADED
    assert Course(two).unfinished(ASSIGNMENT) == ["ada"]


def test_what_is_graded_is_not_graded_again(two: Path) -> None:
    course = Course(two)
    folder = two / "autograded" / "ada" / ASSIGNMENT
    folder.mkdir(parents=True)
    assert not course.is_graded(ASSIGNMENT, "ada"), "half a folder"
    (folder / f"{ASSIGNMENT}.ipynb").touch()
    assert course.is_graded(ASSIGNMENT, "ada")
    assert not course.grade_again(ASSIGNMENT, "ada")
    (folder / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
    handed_in = two / "submitted" / "ada" / ASSIGNMENT / "timestamp.txt"
    for time_, graded in (
        ("2026-11-20 12:00:00 UTC", True),
        ("2026-11-20 13:00:00 CET", True),
        ("2026-11-21", False),
        ("nonsense", True),
        ("", True),
    ):
        handed_in.write_text(time_)
        assert course.is_graded(ASSIGNMENT, "ada") is graded
    handed_in.unlink()
    course.begin(ASSIGNMENT, "ada")
    assert not course.is_graded(ASSIGNMENT, "ada")
    assert course.grade_again(ASSIGNMENT, "ada")
    assert course.unfinished(ASSIGNMENT) == []
    assert not course.is_graded(ASSIGNMENT, "ada")
    course.begin(ASSIGNMENT, "ada")
    course.end(ASSIGNMENT, "ada")
    assert course.is_graded(ASSIGNMENT, "ada")
    assert course.grade_again(ASSIGNMENT, "ada", force=True)
    assert not course.is_graded(ASSIGNMENT, "ada")
    assert folder.exists(), "it is cleared when it begins"
