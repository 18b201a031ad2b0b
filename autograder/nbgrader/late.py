"""What is taken off for handing in after the deadline: a share of the points for each day begun.

nbgrader computes it once, when it grades, and keeps the points that it takes off. What a person gives later
would escape it. So they are computed again where they are read: in feedback and in exported grades.
"""

import math

from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import BasePlugin, CsvExportPlugin

from autograder.data.settings import Settings, load_settings
from autograder.nbgrader.generate import source_folder

DAY = 24 * 60 * 60


class DailyPenalty(BasePlugin):
    """Takes ``late_penalty`` of the settings off for each day begun after their deadline."""

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float | None:
        """The points to take off a notebook's ``score``; None for none."""
        settings: Settings = (
            self.parent.parent.conditions.settings
        )  # this plug-in's step of the kit's exporter
        return score * share(settings, total_seconds_late) or None


class GradesExport(CsvExportPlugin):
    """Exports grades as nbgrader does, with penalties on all the points that a submission has by now."""

    def export(self, gradebook: Gradebook) -> None:
        """Renew the penalties, then write the table."""
        for assignment in gradebook.assignments:
            for submission in assignment.submissions:
                renew_penalty(gradebook, self.parent.coursedir, submission)
        super().export(gradebook)


def renew_penalty(gradebook: Gradebook, coursedir: CourseDirectory, submission: SubmittedAssignment) -> None:
    """Compute what is taken off a submission from the points that it has now, a person's included.

    Where the settings take nothing off, what another plug-in may have taken stays. Raises SettingsError for
    settings that make no sense.
    """
    settings = load_settings(source_folder(coursedir, submission.name))
    if not settings.late_penalty:
        return
    taken_off = share(settings, submission.total_seconds_late)
    for notebook in submission.notebooks:
        notebook.late_submission_penalty = max(0.0, notebook.score * taken_off) or None
    gradebook.db.commit()


def share(settings: Settings, total_seconds_late: float) -> float:
    """The share of the points that is taken off: 0 to 1."""
    return min(1.0, settings.late_penalty * math.ceil(max(0.0, total_seconds_late) / DAY))
