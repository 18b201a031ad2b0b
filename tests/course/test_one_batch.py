"""One batch at a time, which checks first and clears each submission when it begins."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.nbgrader.course_files import Course
from autograder.nbgrader.one_batch import BatchLock, GradedAlready
from tests.conftest import ASSIGNMENT, SAMPLES, environment, make_course
from tests.support.forked_command import run

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="batches are graded on Linux"),
    pytest.mark.xdist_group("one-batch"),
]

GRADE = ("mlflow-kit", "grade", ASSIGNMENT)
AUTOGRADE = ("nbgrader", "autograde", ASSIGNMENT)
HOLD = "import time\nfrom pathlib import Path\nfrom autograder.nbgrader.course_files import Course\n"
HOLD += f"lock = Course(Path()).lock({ASSIGNMENT!r})\nprint('held', flush=True)\ntime.sleep(120)\n"


@pytest.fixture(scope="module")
def graded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which two files that are empty were handed in, which takes no run, and graded."""
    students = {name: SAMPLES["untouched"] for name in ("ada", "ben")}
    folder = make_course(tmp_path_factory.mktemp("graded") / "course", students)
    for student in students:
        (folder / "submitted" / student / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").write_text("")
    assert run(*AUTOGRADE, folder=folder).returncode == 0
    return folder


@pytest.fixture
def two(graded_once: Path, tmp_path: Path) -> Path:
    """A copy of that course."""
    return Path(shutil.copytree(graded_once, tmp_path / "course"))


@pytest.fixture
def holder(two: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock on the assignment."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=two, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def graded(course: Path) -> set[str]:
    return {path.parents[1].name for path in (course / "autograded").glob("*/*/*.ipynb")}


@pytest.mark.parametrize("command", [GRADE, AUTOGRADE])
def test_a_second_batch_on_an_assignment_is_refused_until_the_first_is_killed(
    two: Path, holder: subprocess.Popen[str], command: tuple[str, ...]
) -> None:
    refused = run(*command, "--force", folder=two)
    assert refused.returncode != 0
    text = " ".join(refused.stdout.split())
    assert f"{ASSIGNMENT} is being graded already: by " in text
    assert f"(process {holder.pid} on {os.uname().nodename}) since 2" in text
    assert "then run this again" in text
    assert "Traceback" not in refused.stdout
    assert graded(two) == {"ada", "ben"}, "nothing was cleared"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert "being graded already" not in run(*command, "--force", folder=two).stdout


def test_other_assignments_are_graded_meanwhile(two: Path, holder: subprocess.Popen[str]) -> None:
    with Course(two).lock("02-logging-patterns"), pytest.raises(GradedAlready):
        Course(two).lock(ASSIGNMENT)


def test_a_child_takes_part_in_its_parent_s_lock_and_does_not_release_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchLock(tmp_path, ASSIGNMENT) as held:
        variables, (number,) = held.handed_on()
        (name,) = variables
        monkeypatch.setenv(name, str(os.dup(number)))
        with BatchLock(tmp_path, ASSIGNMENT):
            pass
        monkeypatch.setenv(name, "0")  # an open file, but another
        with pytest.raises(GradedAlready):
            BatchLock(tmp_path, ASSIGNMENT)
    BatchLock(tmp_path, ASSIGNMENT).release()


def test_a_note_of_the_holder_that_is_damaged_is_no_reason_to_grade(tmp_path: Path) -> None:
    with BatchLock(tmp_path, ASSIGNMENT):
        (tmp_path / ".lock").write_text("[")
        with pytest.raises(GradedAlready, match="by another user"):
            BatchLock(tmp_path, ASSIGNMENT)


@pytest.mark.parametrize("command", [GRADE, AUTOGRADE])
@pytest.mark.parametrize("wrong", ["settings", "sandbox", "points"])
def test_what_ends_a_batch_before_it_begins_clears_nothing(
    two: Path, command: tuple[str, ...], wrong: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (two / "autograded").rglob("*.ipynb")}
    verdicts = Course(two).verdicts(ASSIGNMENT)
    changes = {}
    settings = two / "solutions" / ASSIGNMENT / "settings.toml"
    if wrong == "settings":
        settings.write_text("late_penalti = 0.1\n")
    elif wrong == "points":
        settings.write_text("[points]\nno-such-criterion = 3\n")
    else:
        changes["MLFLOW_KIT_BWRAP"] = "/nowhere/bwrap"
    done = run(*command, "--force", folder=two, **changes)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (two / "autograded").rglob("*.ipynb")} == before
    assert Course(two).verdicts(ASSIGNMENT) == verdicts
    with Gradebook(f"sqlite:///{two / 'gradebook.db'}") as gradebook:
        assert len(gradebook.assignment_submissions(ASSIGNMENT)) == 2


def test_with_force_each_submission_is_cleared_when_it_begins_and_an_interruption_loses_none(
    two: Path,
) -> None:
    config = two / "nbgrader_config.py"
    text = config.read_text()
    config.write_text(
        text + "\nimport os\nimport autograder.nbgrader.exporter as room\nusual = room.start_at_zero\n"
        "def die(coursedir, assignment, student):\n"
        "    assert student != 'ada' or os.path.exists('autograded/ben')\n"
        "    student != 'ben' or os._exit(7)\n    usual(coursedir, assignment, student)\n"
        "room.start_at_zero = die\n"
    )
    assert run(*AUTOGRADE, "--force", folder=two).returncode == 7
    assert graded(two) == {"ada"}
    (two / "solutions" / ASSIGNMENT / "settings.toml").unlink(missing_ok=True)
    config.write_text(text)
    time.sleep(0.01)
    before = (two / "autograded" / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").stat().st_mtime_ns
    assert "ben: it is graded again" in run(*AUTOGRADE, folder=two).stdout
    assert graded(two) == {"ada", "ben"}
    after = (two / "autograded" / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").stat().st_mtime_ns
    assert after == before, "what was done is not done again"
