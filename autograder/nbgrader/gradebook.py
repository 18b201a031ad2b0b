"""Zero and pending are written before anything runs, so that a failure never keeps or makes marks."""

import warnings
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning


def make_gradebook(coursedir: CourseDirectory) -> None:
    """Make a course's SQLite gradebook when there is none.

    nbgrader makes the tables first and notes their version a second later. Interrupted in between, it
    leaves a gradebook that works and that no ``nbgrader db upgrade`` will ever understand.
    """
    prefix, _, name = coursedir.db_url.partition("sqlite:///")
    path = Path(coursedir.root, name)
    if prefix or not name or path.exists():
        return
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    Gradebook(f"sqlite:///{new}", coursedir.course_id).close()
    new.replace(path)


def start_at_zero(coursedir: CourseDirectory, assignment: str, student: str) -> None:
    """Give every grade of a submission 0 automatic points and flag it for a person.

    A score that a person gave by hand stays; nbgrader keeps it beside the automatic one.
    """
    with warnings.catch_warnings(), Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own way of making a submission warns
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(assignment, student)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score = 0.0
                grade.needs_manual_grade = True
        gradebook.db.commit()


def forget_time(coursedir: CourseDirectory, assignment: str, student: str) -> None:
    """Forget when a submission was handed in: the time of an earlier one says nothing about this one."""
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        gradebook.find_submission(assignment, student).timestamp = None
        gradebook.db.commit()
