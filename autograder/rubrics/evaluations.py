"""Questions about the evaluation of versions: which run speaks of which, and what is true of it."""

import re

import pandas as pd

from autograder.evidence import Evidence, ModelVersion, Run, model_of_version
from autograder.rubrics import claims, questions, registered_models
from autograder.rubrics.language import Outcome, Status, failed, not_attempted, passed

#: The parameter (or tag) of a run that says which version it evaluates.
EVALUATED = "evaluated_version"


def evaluations(evidence: Evidence, version: ModelVersion) -> list[Run]:
    """The runs that say they evaluate this version, the oldest first."""
    found = [run for run in evidence.runs if _meant(run) == version.version]
    return sorted(found, key=lambda run: run.start_time)


def reached(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> float | None:
    """The log-loss that a version's model reaches, recomputed; None when it cannot be asked."""
    scoring = claims.scoring_of_model(model_of_version(evidence, version))
    return claims.log_loss(scoring, truth) if scoring else None


def is_evaluated(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> Outcome:
    """Whether a run names this version and logs the ``log_loss`` that it reaches."""
    actual, runs = reached(evidence, version, truth), evaluations(evidence, version)
    if not runs:
        said = sorted({_said(run) for run in evidence.runs} - {""})
        others = f"; there are only runs for {claims.listed(said)}" if said else ""
        return not_attempted(
            f"No run has the parameter `{EVALUATED}` with the value {version.version}{others}.",
            "Load that version, predict the test part, and log the version and its log_loss in one run.",
        )
    right = [run for run in runs if _agrees(run, actual)]
    if right:
        return passed(
            f"Recomputed, version {version.version} reaches {actual:.4f}, as “{right[0].name}” says."
        )
    logged = questions.logs_metric(evidence, runs[-1], "log_loss")
    if logged.status is not Status.PASSED:
        return logged
    return failed(
        f"“{runs[-1].name}” says that version {version.version} has log_loss "
        f"{runs[-1].metrics['log_loss']:.4f}; recomputed it is "
        f"{'nothing that can be told' if actual is None else f'{actual:.4f}'}.",
        "the log-loss that this very version reaches on the test part",
        "Load the version from the registry and compute log_loss of y_test and its probabilities of X_test.",
    )


def is_marked(evidence: Evidence, version: ModelVersion, truth: pd.Series, limit: float) -> Outcome:
    """Whether the version's tag ``validation_status`` says whether its log-loss is within ``limit``."""
    actual = reached(evidence, version, truth)
    verdict = "passed" if actual is not None and actual <= limit else "failed"
    where = f"version {version.version}"
    return registered_models.has_tag(
        version.tags, "validation_status", verdict, where, "set_model_version_tag"
    )


def _said(run: Run) -> str:
    return (run.params.get(EVALUATED) or run.tags.get(EVALUATED, "")).strip()


def _meant(run: Run) -> int | None:
    """The version that a run names as evaluated: 3, “v3”, or the address of version 3."""
    number = re.fullmatch(r"(?:v|version |models:/[^/@]+/)?(\d{1,9})", _said(run), re.IGNORECASE)
    return int(number[1]) if number else None


def _agrees(run: Run, actual: float | None) -> bool:
    return actual is not None and "log_loss" in run.metrics and claims.agrees(run.metrics["log_loss"], actual)
