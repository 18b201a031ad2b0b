"""What is taken off for handing in after the deadline: a share of the points for each day begun."""

import math

from nbgrader.plugins import BasePlugin

from autograder.workspace.settings import Settings

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
        share = min(1.0, settings.late_penalty * math.ceil(total_seconds_late / DAY))
        return score * share or None
