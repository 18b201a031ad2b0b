"""What persons graded in formgrader since, for the table of a class."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from autograder.base.errors import KitError
from autograder.nbgrader.course_files import WAITS
from autograder.reports import Verdict, VerdictKind

CONFIG = "nbgrader_config.py"


class NoGradebook(KitError):
    """Raised when a course's gradebook is there and cannot be read; the message says why."""


def with_hand_grades(root: Path, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts with the points that persons gave, as the gradebook of the course in ``root`` has them.

    A submission in which nothing waits for a person any more is graded: nbgrader itself gives a part that is
    graded by hand no points where it was left as it was handed out. Raises NoGradebook.
    """
    try:
        config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    except ConfigFileNotFound:  # nbgrader's settings may also be the user's own
        config = Config()
    course = CourseDirectory(config=config, root=str(root))
    prefix, _, name = course.db_url.partition("sqlite:///")
    if not prefix and not Path(root, name).exists():
        return list(verdicts)
    try:
        with Gradebook(course.db_url, course.course_id) as gradebook:
            return [_with_hand_grades(verdict, gradebook) for verdict in verdicts]
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise NoGradebook(
            f"The gradebook {make_url(course.db_url)!r} cannot be read ({why}); expected one that nbgrader "
            "made. What persons graded is not in the table. After an update of nbgrader, run "
            "`nbgrader db upgrade`."
        ) from error


def _with_hand_grades(verdict: Verdict, gradebook: Gradebook) -> Verdict:
    try:
        submission = gradebook.find_submission(verdict.assignment, verdict.student)
    except MissingEntry:
        return verdict
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    given = {grade.name: grade for grade in grades if grade.manual_score is not None}
    if given:
        tasks = verdict.tasks | {name: (grade.score, grade.max_score) for name, grade in given.items()}
        verdict = replace(verdict, earned=submission.score, tasks=tasks)
    if not grades or submission.needs_manual_grade:
        return verdict
    repaired = not f"{verdict.because}; ".startswith(f"{WAITS}; ")
    notes = [note for note in verdict.because.split("; ") if note and note != WAITS]
    if given:
        notes.append(f"a person graded {', '.join(name for name in verdict.tasks if name in given)}")
    elif notes and repaired:
        return verdict  # cells were put back, say: a person should look
    next_step = "" if verdict.kind is VerdictKind.UNGRADED else verdict.next_step
    return replace(verdict, kind=VerdictKind.GRADED, because="; ".join(notes), next_step=next_step)
