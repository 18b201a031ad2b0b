"""Variants: runs of one experiment whose models really differ, and what is true of them."""

from collections.abc import Iterable

import pandas as pd

from autograder.base.remember import remembered
from autograder.base.text import quoted
from autograder.evidence import Evidence, Run
from autograder.rubrics import claims, questions
from autograder.rubrics.language import Outcome, Status, failed, passed


def runs_of(evidence: Evidence, experiment: str) -> list[Run]:
    """The runs in the experiment of that name; all of them where there is none."""
    ids = {found.experiment_id for found in evidence.experiments if found.name == experiment}
    return [run for run in evidence.runs if run.experiment_id in ids or not ids]


def variants(
    evidence: Evidence, runs: Iterable[Run], truth: pd.Series, besides: Run | None = None
) -> list[Run]:
    """Those of the finished runs whose models differ from that of ``besides`` and from each other.

    Of several runs of one variant, the one that says the truth counts, and of equals the latest: a first
    try that was mended is no fault. The most truthful and latest come first.
    """
    known = claims.scoring_of(evidence, besides) if besides else None
    seen = {claims.hyperparameters(known)} if known else set()
    finished = [run for run in runs if run is not besides and run.status == "FINISHED"]
    found = []
    order = {run.run_id: (len(shortcomings(evidence, run, truth)), -run.start_time) for run in finished}
    for run in sorted(finished, key=lambda run: order[run.run_id]):
        scoring = claims.scoring_of(evidence, run)
        if scoring is not None and claims.hyperparameters(scoring) not in seen:
            seen.add(claims.hyperparameters(scoring))
            found.append(run)
    return found


@remembered
def shortcomings(
    evidence: Evidence, run: Run, truth: pd.Series, metrics: Iterable[str] = tuple(questions.METRICS)
) -> list[Outcome]:
    """What a run logs that its model does not explain: its parameters, and these metrics."""
    if claims.scoring_of(evidence, run) is None:
        return []
    asked = [questions.params_are_the_models(evidence, run)]
    asked += [questions.metric_is_true(evidence, run, name, truth) for name in metrics]
    return [outcome for outcome in asked if outcome.status is not Status.PASSED]


def can_be_told_apart(runs: Iterable[Run], taken: Iterable[str] = ()) -> Outcome:
    """Whether each run has a name that says something and is nobody else's."""
    names = set(taken)
    for run in runs:
        if run.name in names or not questions.says_something(run):
            why = "is the name of another run, too" if run.name in names else "says nothing about the run"
            return failed(
                f"The name {quoted(run.name)} {why}.",
                "a name for each run from which a colleague can tell them apart",
                "Build the name from the values you vary, for example with an f-string.",
            )
        names.add(run.name)
    return passed(f"The runs can be told apart: {claims.listed(sorted(names))}.")
