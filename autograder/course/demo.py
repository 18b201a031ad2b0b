"""The demonstration: the book built, the exercises generated, a sample class graded, all for real.

Every step is a command that a reader could type; what it prints goes to a log file. A step whose
result is still valid is done quickly by the tool itself: the book's cache, nbgrader's timestamps.
"""

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from autograder.base.names import EVIDENCE_FILES
from autograder.course.grade_class import tools_environment
from autograder.nbgrader.course_files import Course
from autograder.reports import class_table
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.probe import check_sandbox

ASSIGNMENT = "01-tracking"
#: The sample class: a few of each kind under tests/submissions/.
CLASS = (
    "calls-the-guides-artifact-path",
    "is-not-json",
    "logs-a-metric-after-the-block",
    "logs-a-metric-the-model-does-not-reach",
    "logs-metrics-but-no-model",
    "prints-its-own-number",
    "right-with-a-pipeline",
    "right-with-the-client",
    "solution",
    "stays-in-the-default-experiment",
    "untouched",
)
#: Strict: a warning, a broken link or a failing cell is an error. Run in book/, where its cache is.
BOOK_COMMAND = ["jupyter-book", "build", ".", "-W", "--keep-going", "-n"]
console = Console()


class Step(NamedTuple):
    """A command of the demonstration; a line that contains ``part_starts`` begins one of its parts."""

    title: str
    name: str
    command: list[str]
    folder: Path
    parts: int = 1
    part_starts: str = "\0"


def run(root: Path, hand_in: Callable[[Path, Path, str, Sequence[str]], None]) -> int:
    """Run the demonstration for the kit in ``root``; 0 when every step did its work.

    ``hand_in`` gets the kit's folder, the course, an assignment and names of known submissions, and hands
    these in.
    """
    started = time.monotonic()
    course = _course(root)
    logs = root / "demo" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with _progress() as progress:
        for step in _steps(root, course):
            task = progress.add_task(step.title, total=step.parts)
            if step.name == "autograde":
                hand_in(root, course.root, ASSIGNMENT, CLASS)
            log = logs / f"{step.name}.log"
            if _run(step, log, lambda: progress.advance(task)) != 0:  # noqa: B023  called at once
                console.print(f"[red]{step.title} failed.[/red] What it printed is in {log}")
                return 1
            progress.update(task, completed=step.parts)
    verdicts = course.verdicts(ASSIGNMENT)
    console.print(class_table(ASSIGNMENT, verdicts))
    console.print(f"Book      {root / 'book' / '_build' / 'html' / 'index.html'}", soft_wrap=True)
    console.print(f"Feedback  {course.root / 'feedback'}", soft_wrap=True)
    console.print(f"Results   mlflow-kit results {ASSIGNMENT} --course {course.root}", soft_wrap=True)
    console.print(f"Done in {time.monotonic() - started:.0f} s. One submission is damaged on purpose.")
    return 0 if len(verdicts) == len(CLASS) else 1


def _steps(root: Path, course: Course) -> list[Step]:
    nbgrader = [sys.executable, "-m", "nbgrader"]
    generate = [*nbgrader, "generate_assignment", ASSIGNMENT, "--force"]
    return [
        Step("Building the book", "book", BOOK_COMMAND, root / "book"),
        Step("Generating the exercises", "generate_assignment", generate, course.root),
        Step(
            "Grading the sample class",
            "autograde",
            [*nbgrader, "autograde", ASSIGNMENT, *_without_a_sandbox()],
            course.root,
            parts=len(CLASS),
            part_starts="Running pre-convert hook",
        ),
        Step(
            "Writing the feedback",
            "generate_feedback",
            [*nbgrader, "generate_feedback", ASSIGNMENT],
            course.root,
        ),
    ]


def _without_a_sandbox() -> list[str]:
    """What makes nbgrader run the kit's own samples where there is no sandbox; says so."""
    try:
        check_sandbox()
    except NoSandbox as error:
        console.print(f"[yellow]{error}[/yellow]")
        console.print("The sample class is the kit's own, so it is graded here without a sandbox.")
        return ["--SubmissionExporter.unsafe_no_sandbox=True"]
    return []


def build_book(root: Path) -> int:
    """Build the book of the kit in ``root``, showing what Jupyter Book prints; its exit status."""
    return subprocess.run(BOOK_COMMAND, cwd=root / "book", env=tools_environment(), check=False).returncode


def _course(root: Path) -> Course:
    """The demonstration's own course folder, emptied when the kit has changed since the last time."""
    folder = root / "demo" / "course"
    stamp = root / "demo" / "made-from"
    fingerprint = _fingerprint(root)
    if not stamp.is_file() or stamp.read_text() != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(fingerprint)
    shutil.copy(root / "nbgrader_config.py", folder)
    shutil.copytree(
        root / "solutions" / ASSIGNMENT,
        folder / "solutions" / ASSIGNMENT,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".ipynb_checkpoints", *EVIDENCE_FILES),
    )
    return Course(folder)


def _fingerprint(root: Path) -> str:
    """A hash of everything that the demonstration's grades depend on."""
    digest = hashlib.sha256()
    for pattern in ("autograder/**/*.py", "solutions/**/*.ipynb", "tests/submissions/**/*.toml", "*.lock"):
        for path in sorted(root.glob(pattern)):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _run(step: Step, log: Path, part_started: Callable[[], None]) -> int:
    """Run a step's command, its output going to ``log``; its exit status."""
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            step.command,
            cwd=step.folder,
            env=tools_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout
        for line in process.stdout:
            file.write(line)
            if step.part_starts in line:
                part_started()
    return process.returncode


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(finished_text="✔"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
