"""Questions about the evaluation of versions: which run speaks of which, and what is true of it."""

import re
from collections import defaultdict

import pandas as pd

from autograder.base.remember import remembered
from autograder.base.text import quoted
from autograder.evidence import Evidence, ModelVersion, Run, model_of_version
from autograder.rubrics import claims, questions, registered_models
from autograder.rubrics.language import Outcome, Status, failed, not_attempted, passed

#: The parameter (or tag) of a run that says which version it evaluates.
EVALUATED = "evaluated_version"
VERDICTS = ("passed", "failed")


def evaluations(evidence: Evidence, version: ModelVersion) -> list[Run]:
    """The runs that say they evaluate this version, the oldest first; not the run that made it."""
    return [run for run in _naming(evidence, version) if not _made(evidence, version, run)]


@remembered
def shown_by(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> list[Run]:
    """The runs that evaluate this version, the oldest first: those that say so, or else such as could be.

    These name no version and have no model of their own, and their ``log_loss`` is what this version reaches.
    """
    said = evaluations(evidence, version)
    if said:
        return said
    actual = reached(evidence, version, truth)
    others = [
        run for run in evidence.runs if not _said(run) and not run.model_ids and run.run_id != version.run_id
    ]
    return sorted((run for run in others if _agrees(run, actual)), key=lambda run: run.start_time)


@remembered
def reached(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> float | None:
    """The log-loss that a version's model reaches, recomputed; None when it cannot be asked."""
    scoring = claims.scoring_of_model(model_of_version(evidence, version))
    return claims.log_loss(scoring, truth) if scoring else None


def is_evaluated(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> Outcome:
    """Whether a run names this version and logs the ``log_loss`` that it reaches.

    Of several runs the latest with that metric counts: it is what a reader goes by.
    """
    actual, runs = reached(evidence, version, truth), evaluations(evidence, version)
    if not runs:
        return _not_evaluated(evidence, version)
    run = _judged(runs)
    if _agrees(run, actual):
        return passed(
            f"Recomputed, version {version.version} reaches {actual:.4f}, as {quoted(run.name)} says."
        )
    logged = questions.logs_metric(evidence, run, "log_loss")
    if logged.status is not Status.PASSED:
        return logged
    return failed(
        f"{quoted(run.name)} says that version {version.version} has log_loss "
        f"{run.metrics['log_loss']:.4f}; recomputed it is "
        f"{'nothing that can be told' if actual is None else f'{actual:.4f}'}.",
        "the log-loss that this very version reaches on the test part",
        "Load the version from the registry and compute log_loss of y_test and its probabilities of X_test.",
    )


def is_marked(evidence: Evidence, version: ModelVersion, truth: pd.Series, limit: float) -> Outcome:
    """Whether the version's tag ``validation_status`` says whether its log-loss is within ``limit``.

    A verdict without a true evaluation in a run is a guess, and does not count.
    """
    where, name = f"version {version.version}", "validation_status"
    if name not in version.tags:
        own = f"only the tags {claims.listed(version.tags)}" if version.tags else "no tag"
        step = "Call client.set_model_version_tag with the tag's name and the verdict."
        return not_attempted(f"On {where} there is {own}.", step)
    actual, runs = reached(evidence, version, truth), shown_by(evidence, version, truth)
    if not runs or not _agrees(_judged(runs), actual):
        return not_attempted(
            f"The tag {name} is on {where}, and no run shows the log_loss that a verdict would come from.",
            "Log that version's log_loss in a run, as it is on the test part; then let code set the tag.",
        )
    said, verdict = version.tags[name].strip().lower(), VERDICTS[actual is None or actual > limit]
    if said == verdict:
        return passed(f"The tag {name} of {where} is {quoted(version.tags[name])}.")
    if said not in VERDICTS:
        return failed(
            f"The tag {name} of {where} is {quoted(version.tags[name])}.",
            f"one of {claims.listed(VERDICTS)}",
            "Set the tag again, with the verdict as it is spelled here.",
        )
    return failed(
        f"The tag {name} of {where} is {quoted(version.tags[name])}, which is not what its log-loss says.",
        f"the verdict that comes out when its log_loss is held against the limit of {limit:g}",
        "Compare the two in code, and remember that a lower log-loss is better.",
    )


def still_running(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> Outcome | None:
    """What to say when every run that evaluates this version is still open; None when one has ended."""
    runs = shown_by(evidence, version, truth)
    if not runs or any(run.end_time is not None for run in runs):
        return None
    return failed(
        f"The run {quoted(runs[0].name)}, which evaluates version {version.version}, is {runs[0].status}.",
        "an evaluation that has ended before the promotion",
        "Log it inside `with mlflow.start_run(...):`, which ends the run; one that the client made is ended "
        "with client.set_terminated.",
    )


def ended(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> int | None:
    """When the first run that evaluates this version ended, in milliseconds; None when none has."""
    times = [run.end_time for run in shown_by(evidence, version, truth) if run.end_time is not None]
    return min(times, default=None)


def _not_evaluated(evidence: Evidence, version: ModelVersion) -> Outcome:
    makers = _naming(evidence, version)
    if makers:
        return failed(
            f"{quoted(makers[0].name)} says it evaluates version {version.version}: it is the run that made "
            "it.",
            "a run of its own, which loads the version and computes its log_loss anew",
            "Start a new run for the evaluation; the run of the training stays as it was.",
        )
    said = sorted({_said(run) for run in evidence.runs} - {""})
    others = f"; there are only runs for {claims.listed(said)}" if said else ""
    return not_attempted(
        f"No run has the parameter `{EVALUATED}` with the value {version.version}{others}.",
        "Load that version, predict the test part, and log the version and its log_loss in one run.",
    )


def _naming(evidence: Evidence, version: ModelVersion) -> list[Run]:
    return _by_version(evidence).get(version.version, [])


@remembered
def _by_version(evidence: Evidence) -> dict[int | None, list[Run]]:
    """The runs by the version that they name as evaluated, the oldest first."""
    found = defaultdict(list)
    for run in sorted(evidence.runs, key=lambda run: run.start_time):
        found[_meant(run)].append(run)
    return found


def _made(evidence: Evidence, version: ModelVersion, run: Run) -> bool:
    return run.run_id == version.run_id or registered_models.is_made_from(evidence, version, run)


def _judged(runs: list[Run]) -> Run:
    """Of runs, the oldest first, the one that a reader goes by."""
    return next((run for run in reversed(runs) if "log_loss" in run.metrics), runs[-1])


def _said(run: Run) -> str:
    return (run.params.get(EVALUATED) or run.tags.get(EVALUATED, "")).strip()


def _meant(run: Run) -> int | None:
    """The version that a run names as evaluated: 3, “v3”, or the address of version 3."""
    number = re.fullmatch(r"(?:v|version |models:/[^/@]+/)?(\d{1,9})", _said(run), re.IGNORECASE)
    return int(number[1]) if number else None


def _agrees(run: Run, actual: float | None) -> bool:
    return actual is not None and "log_loss" in run.metrics and claims.agrees(run.metrics["log_loss"], actual)
