"""What an exercise's notebook imports: open the exercise, check a task.

The checks run in the student's own process, against the store beside the notebook. They are help,
not the grade: grading runs the notebook again elsewhere and asks the same rubric.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.data.settings import SETTINGS_VARIABLE, current_settings, load_settings
from autograder.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from autograder.grading import Report

_settings: list[str] = []  # at most one: what the opened exercise's settings say


@dataclass(frozen=True)
class Exercise:
    """An open exercise: where its work goes, and its checks."""

    assignment: str
    workspace: Workspace

    def check(self, task: str | None = None) -> "ReportView":
        """The report on one task, or on all of them, as far as your store shows it now.

        Raises KeyError, naming the tasks, for a task that does not exist.
        """
        from autograder.evidence import Evidence, StoreError
        from autograder.grading import grade
        from autograder.pipeline.own_work import report_on
        from autograder.rubrics import load_rubric

        try:
            workspace = self.workspace
            report = report_on(
                self.assignment, workspace.tracking_uri, workspace.seed, current_settings(), workspace.folder
            )
        except StoreError as error:
            nothing = Evidence(seed=self.workspace.seed, problem=str(error))
            report = grade(load_rubric(self.assignment, current_settings()), nothing)
        return ReportView(report.of_task(task) if task else report)

    def threshold(self, name: str) -> float:
        """What this assignment asks a model to reach. Raises KeyError for a name it does not have."""
        return current_settings().threshold(self.assignment, name)

    def __repr__(self) -> str:
        return f"Exercise {self.assignment} in {self.workspace.folder}"


@dataclass(frozen=True)
class ReportView:
    """A report that shows itself: rich in Jupyter, as text elsewhere."""

    report: "Report"

    def _ipython_display_(self) -> None:
        """Show it beside the cell's result: nbgrader takes a result for points, and warns of other ones."""
        from IPython.display import publish_display_data

        from autograder.reports import report_html

        publish_display_data({"text/html": report_html(self.report), "text/plain": repr(self)})

    def __repr__(self) -> str:
        from autograder.reports import report_text

        return report_text(self.report)


def open_exercise(assignment: str, folder: str | Path | None = None, remote: str | None = None) -> Exercise:
    """Open the exercise's private store (beside the notebook) and say where it is.

    See :func:`autograder.workspace.open_workspace` for ``folder`` and ``remote``, and what is raised.
    """
    workspace = open_workspace(folder, remote)
    if os.environ.get(SETTINGS_VARIABLE, "") in ("", *_settings):  # else the grader's, which stand
        _settings[:] = [load_settings(workspace.folder).model_dump_json()]
        os.environ[SETTINGS_VARIABLE] = _settings[0]
    return Exercise(assignment, workspace)
