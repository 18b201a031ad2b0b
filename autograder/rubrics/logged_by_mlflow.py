"""What MLflow logs by itself: a model's list of packages (requirements.txt), and runs by autologging."""

import re

from autograder.evidence import Evidence, LoggedModel, Run, models_of_run
from autograder.rubrics import claims

#: Formats of a scikit-learn model's file that are called as the package that writes and reads them.
FORMATS = ("skops", "cloudpickle")


def required_lines(model: LoggedModel, package: str) -> list[str]:
    """The lines about a package."""
    return [line for line in model.declared.requirements if _package(line) == package]


def unread_format(model: LoggedModel) -> str | None:
    """The format of the model's file, if it takes a package to read that is not on the list."""
    written_by = model.declared.serialization_format
    return written_by if written_by in FORMATS and not required_lines(model, written_by) else None


def is_autologged(run: Run) -> bool:
    """Whether a run looks as if MLflow had logged a training into it by itself."""
    return "estimator_class" in run.tags and any(name.startswith("training_") for name in run.metrics)


def missing_params(evidence: Evidence, run: Run) -> list[str]:
    """The parameters of the run's model that the run does not have, if these are the most of them.

    Autologging logs all of a model's. Of a search it logs its own, not all of the best that it found,
    which it logs as a second model.
    """
    models = models_of_run(evidence, run)
    lacking: list[str] = []
    for scoring in filter(None, map(claims.scoring_of_model, models)):
        missing = sorted(set(scoring.params) - set(run.params))
        if scoring.estimator.endswith("SearchCV") or len(missing) * 2 <= len(scoring.params):
            return []
        lacking = missing
    return lacking


def _package(requirement: str) -> str:
    """The name of the package that a line of requirements.txt is about."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")
