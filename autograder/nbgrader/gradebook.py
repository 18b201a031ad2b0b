"""Zero and pending are written before anything runs, so that a failure never keeps or makes marks."""

import warnings

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning


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
