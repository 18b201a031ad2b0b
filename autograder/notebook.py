"""What an exercise's notebook imports: open the exercise, check a task.

The checks run in the student's own process, against the store beside the notebook. They are help,
not the grade: grading runs the notebook again elsewhere and asks the same rubric.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.workspace import Workspace, open_workspace
from autograder.workspace.settings import SETTINGS_VARIABLE, USUAL, Settings, current_settings, load_settings

if TYPE_CHECKING:
    from autograder.evidence import Evidence, LoggedModel, Scoring
    from autograder.grading import Report

_settings: list[str] = []  # at most one: what the opened exercise's settings say
_scores: "dict[tuple[str, int], Scoring]" = {}


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


def report_on(
    assignment: str,
    tracking_uri: str,
    seed: int | None = None,
    settings: Settings | None = None,
    workspace: Path | None = None,
) -> "Report":
    """The report on a store, and on the workspace in that folder, by default a SQLite store's own.

    See :func:`report_of`. Raises StoreError when the store cannot be read.
    """
    from autograder.evidence.store import read_store

    with tempfile.TemporaryDirectory(prefix="kit-files-", ignore_cleanup_errors=True) as downloads:
        return report_of(
            assignment, lambda: read_store(tracking_uri, seed, Path(downloads), workspace), settings=settings
        )


def report_of(
    assignment: str,
    read: "Callable[[], Evidence]",
    experiment: str | None = None,
    settings: Settings | None = None,
) -> "Report":
    """The report on what ``read`` reads, its models loaded in this process: for one's own work only.

    ``read`` is called once scoring is ready. With ``experiment`` only that experiment's runs count;
    raises StoreError when there is none of that name.
    """
    import skops.io  # noqa: F401 (the longest of what scoring imports)

    from autograder.grading import grade
    from autograder.rubrics import load_rubric

    settings = settings or USUAL
    rubric = load_rubric(assignment, settings)
    evidence = replace(read(), settings=settings)
    if experiment is not None:
        evidence = evidence.of_experiment(experiment)
    features = rubric.features(evidence.seed, settings)
    return grade(rubric, evidence.with_scores(lambda model: _score(model, features, evidence.seed)))


def _score(model: "LoggedModel", features: Any, seed: int) -> "Scoring":
    """Load and ask a model in this process: it is the student's own. A model never changes, so once."""
    from autograder.evidence import Scoring, score_model
    from autograder.evidence.models import why_unusable

    if model.folder is None:
        return Scoring(error="its files are not beside the store")
    key = (model.model_id, seed)
    if key not in _scores:
        try:
            _scores[key] = score_model(_load(Path(model.folder)), features)
        except Exception as error:
            _scores[key] = Scoring(error=why_unusable(error))
    return _scores[key]


def _load(folder: Path) -> Any:
    """The model in ``folder``: by the kit's own list of types where that is enough, else by MLflow."""
    from autograder.evidence import skops_file
    from autograder.evidence.models import ForeignTypes, load_any, load_skops

    skops = skops_file(folder)
    try:
        return load_skops(skops) if skops else load_any(folder)
    except ForeignTypes as error:
        if error.of_science:
            return load_any(folder)
        raise
