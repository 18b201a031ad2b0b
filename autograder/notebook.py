"""What an exercise's notebook imports: open the exercise, check a task.

The checks run in the student's own process, against the store beside the notebook. They are help,
not the grade: grading runs the notebook again elsewhere and asks the same rubric.

Where nbgrader runs the notebook without the kit's configuration, the check cells give the points: nbgrader
takes a cell that shows no number and raises nothing for a right one.
"""

import ast
import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.base.errors import KitError
from autograder.data.settings import GRADED_RUN_VARIABLE, SETTINGS_VARIABLE, current_settings, load_settings
from autograder.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from autograder.grading import Report

#: nbgrader's environment variable: ``autograde`` or ``validate`` while it runs a notebook's cells.
NBGRADER_VARIABLE = "NBGRADER_EXECUTION"

_settings: list[str] = []  # at most one: what the opened exercise's settings say


class NotAllPoints(KitError):
    """Raised by a check cell that nbgrader runs by itself, where points are missing; says which."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows of it: the kit's own lines would say nothing to a student."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Exercise:
    """An open exercise: where its work goes, and its checks.

    ``nbgrader`` is ``autograde`` or ``validate`` where nbgrader runs this notebook by itself.
    """

    assignment: str
    workspace: Workspace
    nbgrader: str = ""

    def check(self, task: str | None = None) -> "ReportView | CheckedLater | float":
        """The report on one task, or on all of them, as far as your store shows it now.

        In a run that the kit grades it is made afterwards. In a check cell that nbgrader runs by itself the
        result is the points, beside the report. Raises NotAllPoints there, when it validates and points are
        missing or when it grades and there are none; KeyError, naming the tasks, for a task that does not
        exist.
        """
        if self.nbgrader:
            return self._points(task) if _alone_in_its_cell() else self._report(task)
        try:
            return CheckedLater(task) if os.environ.get(GRADED_RUN_VARIABLE) else self._report(task)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("autograder."):
                raise
            return CheckedLater(task)

    def _points(self, task: str | None) -> float:
        """Show the report and give its points, as nbgrader wants them. Raises NotAllPoints."""
        with _quiet():
            view = self._report(task)
            text = repr(view)
        view._ipython_display_()
        report = view.report
        if not report.earned or (self.nbgrader == "validate" and report.earned < report.maximum):
            raise NotAllPoints(text)
        return float(report.earned)

    def _report(self, task: str | None) -> "ReportView":
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


class CheckedLater:
    """Stands for a report that is made after the run; says so."""

    def __init__(self, task: str | None) -> None:
        self._text = (
            f"The check{f' of “{task}”' if task else ''} is made after this run, from what it leaves."
        )
        print(self._text)

    def _ipython_display_(self) -> None:
        """It was printed already."""

    def __repr__(self) -> str:
        return self._text


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
    return Exercise(assignment, workspace, os.environ.get(NBGRADER_VARIABLE, ""))


def _alone_in_its_cell() -> bool:
    """Whether the running cell is a single expression, as check cells are; True outside of IPython.

    A check that a student calls among other lines gives no points, and must not stop the lines after it.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return True
    try:
        lines = ast.parse(shell.history_manager.input_hist_parsed[-1]).body
    except SyntaxError:
        return True
    return len(lines) < 2 and all(isinstance(line, ast.Expr) for line in lines)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be printed or logged: nbgrader gives no points to a cell that wrote to standard error."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(before)
