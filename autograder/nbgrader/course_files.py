"""A course's folders and files as the kit uses them, besides nbgrader's own."""

import glob
import os
import secrets
import shlex
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder.data.seeded import grading_seed
from autograder.grading import Report
from autograder.nbgrader.handed_at import handed_at
from autograder.nbgrader.handed_in import SUBMITTED, Submitted, submissions
from autograder.nbgrader.one_batch import BatchLock
from autograder.reports import Verdict, VerdictKind, dump_verdict, load_verdict
from autograder.rubrics import Rubric

SECRET_FILE = ".course-secret"
SECRET_VARIABLE = "MLFLOW_KIT_COURSE_SECRET"
KEPT = "kept"
#: This file in a submission's kept folder says that grading it has begun and not ended.
UNFINISHED = "unfinished"
#: This one says that it is to be graded again, whatever an earlier batch left.
AGAIN = "again"
#: The notebooks of a submission, in its kept folder while it is graded.
NOTEBOOKS = "notebooks"

#: Why a submission is partly graded whose written part is graded by hand.
WAITS = "some criteria wait for a person"


@dataclass(slots=True)
class Submission:
    """One student's notebook on its way through a batch.

    ``at_intake`` is what its verdict says of its files, whatever becomes of it.
    """

    student: str
    assignment: str
    at_intake: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ungradable: str | None = None
    next_step: str = ""
    report: Report | None = None


class Course:
    """The course in ``root``, the folder that holds ``nbgrader_config.py``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def seed(self, assignment: str) -> int:
        """The seed that a whole batch is graded under: the same until the course's secret changes."""
        return grading_seed(self.secret(), assignment)

    def secret(self) -> str:
        """MLFLOW_KIT_COURSE_SECRET, or the content of ``.course-secret``, made when there is none."""
        if os.environ.get(SECRET_VARIABLE):
            return os.environ[SECRET_VARIABLE]
        path = self.root / SECRET_FILE
        if not path.is_file():
            write_whole(path, secrets.token_hex(16), mode=0o600)
        return path.read_text().strip()

    def kept(self, assignment: str, student: str) -> Path:
        """The folder that keeps a submission's evidence, report and verdict."""
        return self.root / KEPT / assignment / student

    def submissions(self, assignment: str, student: str = "*") -> list[Submitted]:
        """What was handed in, see :func:`autograder.nbgrader.handed_in.submissions`."""
        return submissions(self.root, assignment, student)

    def handed_in(self, assignment: str, student: str = "*") -> list[str]:
        """The students whose submissions can be graded, by name; ``student`` may be a pattern."""
        return [one.student for one in self.submissions(assignment, student) if not one.refused]

    def lock(self, assignment: str) -> BatchLock:
        """The lock of the one batch that may grade an assignment. Raises GradedAlready."""
        return BatchLock(self.root / KEPT / assignment, assignment)

    def begin(self, assignment: str, student: str) -> None:
        """Note that a submission is to be graded; whoever is interrupted after this begins it again."""
        folder = self.kept(assignment, student)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / UNFINISHED).touch()
        (folder / AGAIN).unlink(missing_ok=True)

    def end(self, assignment: str, student: str) -> None:
        """Note that nothing is left to do for a submission that was begun."""
        (self.kept(assignment, student) / UNFINISHED).unlink(missing_ok=True)

    def unfinished(self, assignment: str) -> list[str]:
        """The students whose submissions were begun and did not end, in the order in which they were."""
        marks = (self.root / KEPT / assignment).glob(f"*/{UNFINISHED}")
        return [mark.parent.name for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime_ns)]

    def is_graded(self, assignment: str, student: str) -> bool:
        """Whether what a student handed in was graded to the end; not, when it is newer or half done."""
        done, handed_in = (self.root / step / student / assignment for step in ("autograded", SUBMITTED))
        if not (done / f"{assignment}.ipynb").is_file():
            return False
        if any((self.kept(assignment, student) / mark).exists() for mark in (UNFINISHED, AGAIN)):
            return False
        new, old = handed_at(handed_in).time, handed_at(done).time
        return new is None or old is None or new <= old

    def grade_again(self, assignment: str, student: str, force: bool = False) -> bool:
        """Note that a submission is to be graded again where grading it was interrupted, or with ``force``.

        Nothing is removed: that happens when it begins. Whether there is something to be graded again.
        """
        folder = self.kept(assignment, student)
        interrupted = any((folder / mark).exists() for mark in (UNFINISHED, AGAIN))
        something = interrupted or (self.root / "autograded" / student / assignment).exists()
        if something and (force or not self.is_graded(assignment, student)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / AGAIN).touch()
            (folder / UNFINISHED).unlink(missing_ok=True)
            return True
        return False

    def empty_evidence(self, assignment: str, student: str) -> Path:
        """The folder for a submission's fresh run, emptied."""
        folder = self.kept(assignment, student) / "evidence"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def forget(self, assignment: str, student: str) -> None:
        """Remove what an earlier grading of a submission left, so that nothing of it outlives a new one."""
        for name in ("report.json", "evidence.json", "executed.ipynb", "verdict.json"):
            (self.kept(assignment, student) / name).unlink(missing_ok=True)

    def write_verdict(self, submission: Submission, rubric: Rubric) -> Verdict:
        """Put down what became of a submission so far; without a report it could not be graded."""
        report, next_step = submission.report, submission.next_step
        if report is None or submission.ungradable:
            kind = VerdictKind.UNGRADED
            because = submission.ungradable or "grading it did not come to an end"
            because = "; ".join([because, *submission.at_intake])
            next_step = submission.next_step or f"Run `mlflow-kit grade {submission.assignment}` again."
        elif submission.repairs or report.pending:
            kind = VerdictKind.PARTLY
            pending = [WAITS] if report.pending else []
            because = "; ".join([*submission.repairs, *pending, *submission.at_intake])
        else:
            kind, because = VerdictKind.GRADED, "; ".join([*submission.at_intake, *submission.notes])
        parts = {task.id: report.of_task(task.id) for task in rubric.tasks} if report else {}
        verdict = Verdict(
            student=submission.student,
            assignment=submission.assignment,
            kind=kind,
            earned=report.earned if report else 0.0,
            maximum=rubric.points,
            because=because,
            next_step=next_step,
            tasks={task: (part.earned, part.maximum) for task, part in parts.items()},
        )
        folder = self.kept(submission.assignment, submission.student)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "verdict.json", dump_verdict(verdict))
        return verdict

    def verdict(self, assignment: str, student: str) -> Verdict:
        """What became of a student's submission."""
        path = self.kept(assignment, student) / "verdict.json"
        for one in self.submissions(assignment, glob.escape(student)):
            if one.refused:
                return _ungraded(one, assignment, one.refused, one.next_step)
            if path.is_file():
                return _noting_a_newer_one(load_verdict(path.read_bytes()), path, one.folder)
            again = f"Run `mlflow-kit grade {assignment}`."
            return _ungraded(one, assignment, "it has not been graded yet", again)
        gone = Submitted(student, self.root / SUBMITTED / student / assignment)
        return _ungraded(
            gone, assignment, "its folder is no longer there", "Ask the student to hand in again."
        )

    def verdicts(self, assignment: str, student: str = "*") -> list[Verdict]:
        """One verdict a submission, in the order of the students' names; ``student`` may be a pattern."""
        return [self.verdict(assignment, one.student) for one in self.submissions(assignment, student)]


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that is there as a whole or not at all, whatever interrupts it."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=mode)
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _noting_a_newer_one(verdict: Verdict, path: Path, handed_in: Path) -> Verdict:
    """The verdict, with a note when the notebook was handed in again after it was graded."""
    notebook = handed_in / f"{verdict.assignment}.ipynb"
    if not notebook.is_file() or notebook.stat().st_mtime <= path.stat().st_mtime:
        return verdict
    because = "; ".join(part for part in (verdict.because, "it was handed in again since") if part)
    name = shlex.quote(glob.escape(verdict.student))
    again = f"Run `nbgrader autograde {verdict.assignment} --student {name} --force`."
    return replace(verdict, because=because, next_step=again)


def _ungraded(submitted: Submitted, assignment: str, because: str, next_step: str) -> Verdict:
    return Verdict(submitted.student, assignment, VerdictKind.UNGRADED, 0.0, 0.0, because, next_step)
