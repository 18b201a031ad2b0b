"""A course's folders and files as the kit uses them, besides nbgrader's own."""

import os
import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder.grading import Report
from autograder.reports import Verdict, VerdictKind, dump_verdict, load_verdict
from autograder.rubrics import Rubric
from autograder.workspace.data import grading_seed

SECRET_FILE = ".course-secret"
SECRET_VARIABLE = "MLFLOW_KIT_COURSE_SECRET"
KEPT = "kept"


@dataclass(slots=True)
class Submission:
    """One student's notebook on its way through a batch."""

    student: str
    assignment: str
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
        try:
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_hex(16))
        except FileExistsError:
            pass
        return path.read_text().strip()

    def kept(self, assignment: str, student: str) -> Path:
        """The folder that keeps a submission's evidence, report and verdict."""
        return self.root / KEPT / assignment / student

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
        report = submission.report
        if report is None or submission.ungradable:
            kind = VerdictKind.UNGRADED
            because = submission.ungradable or "grading it did not come to an end"
        elif submission.repairs or report.pending:
            kind = VerdictKind.PARTLY
            pending = ["some criteria wait for a person"] if report.pending else []
            because = "; ".join([*submission.repairs, *pending])
        else:
            kind, because = VerdictKind.GRADED, "; ".join(submission.notes)
        parts = {task.id: report.of_task(task.id) for task in rubric.tasks} if report else {}
        verdict = Verdict(
            student=submission.student,
            assignment=submission.assignment,
            kind=kind,
            earned=report.earned if report else 0.0,
            maximum=rubric.points,
            because=because,
            next_step=submission.next_step,
            tasks={task: (part.earned, part.maximum) for task, part in parts.items()},
        )
        folder = self.kept(submission.assignment, submission.student)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "verdict.json").write_text(dump_verdict(verdict), encoding="utf-8")
        return verdict

    def verdicts(self, assignment: str) -> list[Verdict]:
        """One verdict a submission in ``submitted/``, in the order of the students' names."""
        found = []
        for folder in sorted((self.root / "submitted").glob(f"*/{assignment}")):
            path = self.kept(assignment, folder.parent.name) / "verdict.json"
            if path.is_file():
                found.append(_noting_a_newer_one(load_verdict(path.read_bytes()), path, folder))
            else:
                found.append(_not_reached(folder, assignment))
        return found


def _noting_a_newer_one(verdict: Verdict, path: Path, handed_in: Path) -> Verdict:
    """The verdict, with a note when the notebook was handed in again after it was graded."""
    notebook = handed_in / f"{verdict.assignment}.ipynb"
    if not notebook.is_file() or notebook.stat().st_mtime <= path.stat().st_mtime:
        return verdict
    because = "; ".join(part for part in (verdict.because, "it was handed in again since") if part)
    again = f"Run `nbgrader autograde {verdict.assignment} --student {verdict.student} --force`."
    return replace(verdict, because=because, next_step=again)


def _not_reached(folder: Path, assignment: str) -> Verdict:
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    if f"{assignment}.ipynb" in names:
        because, next_step = ("it has not been graded yet", f"Run `nbgrader autograde {assignment}`.")
    else:
        there = ", ".join(names) or "no notebook at all"
        because = f"there is no {assignment}.ipynb, but {there}"
        next_step = "Rename the file, or ask the student to hand in again."
    return Verdict(folder.parent.name, assignment, VerdictKind.UNGRADED, 0.0, 0.0, because, next_step)
