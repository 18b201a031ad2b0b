"""The report on one's own work: its store read and its models loaded in this process.

For the check cells in a student's notebook and for ``mlflow-kit check``. Grading never does this.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.base.paths import plain_path
from autograder.data.settings import USUAL, Settings

if TYPE_CHECKING:
    from autograder.evidence import Evidence, LoggedModel, Scoring
    from autograder.grading import Report

_scores: "dict[tuple[str, int], Scoring]" = {}


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
    from autograder.evidence.store_reader import read_store

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

    folder = plain_path(folder)
    skops = skops_file(folder)
    try:
        return load_skops(skops) if skops else load_any(folder)
    except ForeignTypes as error:
        if error.of_science:
            return load_any(folder)
        raise
