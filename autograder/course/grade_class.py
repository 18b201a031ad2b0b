"""Grade a class with stock nbgrader: watched, taken up where it was interrupted, ended by no submission."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from autograder.base.text import plain
from autograder.nbgrader.course_files import KEPT, Course
from autograder.nbgrader.one_batch import BatchLock
from autograder.reports import VerdictKind
from autograder.reports.as_text import points

#: Seconds between two looks at what nbgrader has done.
INTERVAL = 0.25
LOG = "autograde.log"


class Batch(NamedTuple):
    """What to grade: with ``force`` also what is graded already; ``unsafe`` does without the sandbox.

    ``student`` is a name or a pattern, as nbgrader's.
    """

    course: Course
    assignment: str
    student: str = "*"
    force: bool = False
    unsafe: bool = False


def grade_class(batch: Batch, console: Console) -> int:
    """Grade what was handed in and is not graded yet; nbgrader's exit status.

    Where a submission ends nbgrader's own batch, the others are graded without it. Whoever is killed
    here, or interrupted, goes on by calling this again, without ``force``. Raises GradedAlready.
    """
    with batch.course.lock(batch.assignment) as lock:
        return _grade(batch, console, lock)


def _grade(batch: Batch, console: Console, lock: BatchLock) -> int:
    course, assignment, student, force, _ = batch
    students = course.handed_in(assignment, student)
    for name in students:
        course.grade_again(assignment, name, force)
    tried: set[str] = set()
    left, status = _left(course, assignment, students, tried), 0
    with _watching(course, assignment, left, console) as watch:
        while left:
            with _nbgrader(batch, sorted(tried), lock) as process:
                while process.poll() is None:
                    time.sleep(INTERVAL)
                    watch.look()
            status = process.returncode
            tried.update(course.unfinished(assignment))
            before, left = left, _left(course, assignment, students, tried)
            if status == 0 or left == before:
                break
        watch.look(ended=True)
    return status


def what_went_wrong(course: Course, assignment: str) -> str:
    """The last that nbgrader said of the last batch, and where the rest of it is."""
    path = _log_file(course, assignment)
    last = path.read_text(encoding="utf-8", errors="replace").split("\n[")[-1].strip()
    return f"nbgrader had problems; all it said is in {path}, and at last:\n{plain(last)}"


def _log_file(course: Course, assignment: str) -> Path:
    return course.root / KEPT / assignment / LOG


def tools_environment() -> dict[str, str]:
    """This environment, with the tools of this interpreter first and byte code kept."""
    scripts = str(Path(sys.executable).parent)
    path = scripts + os.pathsep + os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"}  # their output goes to log files
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _left(course: Course, assignment: str, students: list[str], tried: set[str]) -> list[str]:
    return [name for name in students if name not in tried and not course.is_graded(assignment, name)]


@contextmanager
def _nbgrader(batch: Batch, leave_out: list[str], lock: BatchLock) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``nbgrader autograde`` on its own, so that it sees no Ctrl-C; it does not outlive this process.

    Ctrl-C reaches nbclient as well as nbgrader: it ends the kernel, takes it for the student's fault
    and grades on. Killed at once, nbgrader leaves only what the next batch takes up.
    """
    course, assignment, student, _, unsafe = batch
    command = [sys.executable, "-m", "nbgrader", "autograde", assignment, f"--student={student}"]
    if unsafe:
        command.append("--SubmissionExporter.unsafe_no_sandbox=True")
    if leave_out:
        command.append(f"--SubmissionExporter.leave_out={json.dumps(leave_out)}")
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    path = _log_file(course, assignment)
    path.parent.mkdir(parents=True, exist_ok=True)
    handed_on, open_files = lock.handed_on()
    with (
        tempfile.TemporaryDirectory(prefix="kit-", ignore_cleanup_errors=True) as scratch,
        path.open("ab" if leave_out else "wb") as log,
        subprocess.Popen(
            command,
            cwd=course.root,
            env={**tools_environment(), "TMPDIR": scratch, **handed_on},
            pass_fds=open_files,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


class _Watch:
    """Shows how far a batch is: a bar in a terminal, elsewhere a line for each submission."""

    def __init__(self, course: Course, assignment: str, students: list[str], progress: Progress) -> None:
        self.course, self.assignment, self.waiting = course, assignment, students
        self.total, self.failed, self.progress = len(students), 0, progress
        self.started = time.monotonic()
        self.task = progress.add_task(assignment, total=self.total, **self._fields())

    def look(self, ended: bool = False) -> None:
        """Show what has happened since the last look; ``ended`` when nbgrader grades no more."""
        begun = [name for name in self.course.unfinished(self.assignment) if name in self.waiting]
        *given_up, running = begun or [""]
        if ended:
            given_up.append(running)
            running = ""
        for student in list(self.waiting):
            if student in given_up or self.course.is_graded(self.assignment, student):
                self.waiting.remove(student)
                self._say(student)
        done = self.total - len(self.waiting)
        self.progress.update(self.task, completed=done, **self._fields(plain(running)))

    def _say(self, student: str) -> None:
        verdict = self.course.verdict(self.assignment, student)
        graded = verdict.kind is not VerdictKind.UNGRADED
        self.failed += not graded
        if not self.progress.console.is_terminal:
            score = f", {points(verdict.earned)} of {points(verdict.maximum)}" if graded else ""
            number = self.total - len(self.waiting)
            line = f"{number} of {self.total}  {plain(student)}: {verdict.kind}{score}"
            self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _fields(self, running: str = "") -> dict[str, Any]:
        done = self.total - len(self.waiting)
        rate = done / (time.monotonic() - self.started) * 60
        return {
            "running": running,
            "failed": f"[red]{self.failed} failed[/red]" if self.failed else "none failed",
            "rate": f"{rate:.0f} a minute" if done else "",
        }


@contextmanager
def _watching(course: Course, assignment: str, students: list[str], console: Console) -> Iterator[_Watch]:
    progress = Progress(
        SpinnerColumn(finished_text="✔"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[running]}", style="dim", markup=False),
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=600,
    )
    with progress:
        yield _Watch(course, assignment, list(students), progress)
