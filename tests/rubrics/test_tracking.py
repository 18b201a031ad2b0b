"""Which runs 01-tracking takes for the first, the variants and the best, and what each of them costs."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from autograder.evidence import Evidence, Experiment, LoggedModel, Run, Scoring
from autograder.grading import grade
from autograder.rubrics import Status
from autograder.rubrics.by_assignment import tracking
from autograder.workspace import load_flowers
from tests.support.facts import a_model, a_run, a_scoring, evidence_of

PASSED, FAILED, NOT_ATTEMPTED = Status.PASSED, Status.FAILED, Status.NOT_ATTEMPTED
TRUTH = [str(name) for name in load_flowers(3).y_test]
CLASSES = tuple(sorted(set(TRUTH)))
FOREST = {"n_estimators": "120", "max_depth": "2"}
MINE = Experiment("1", "flower-species")


def answers(certainty: float, **changes: Any) -> Scoring:
    """A forest that is right about every row, with this certainty."""
    other = (1 - certainty) / 2
    rows = tuple(tuple(certainty if name == right else other for name in CLASSES) for right in TRUTH)
    return a_scoring(labels=tuple(TRUTH), classes=CLASSES, probabilities=rows, **changes)


def variant(id: str, depth: int, certainty: float, **changes: Any) -> tuple[Run, LoggedModel]:
    """A right run of a forest, and its model."""
    params = {"n_estimators": "120", "max_depth": str(depth)}
    run = a_run(
        id,
        name=f"forest of depth {depth}",
        params=params,
        metrics={"accuracy": 1.0, "log_loss": -math.log(certainty)},
        tags={"model_family": "forest"},
    )
    return replace(run, **changes), a_model(id, scoring=answers(certainty, params=params))


def work(*changed: tuple[Run, LoggedModel], **changes: Any) -> Evidence:
    """Right work, in which some runs are others or come besides."""
    right = [
        variant("first", 2, 0.6),
        variant("one", 1, 0.5),
        variant("two", 5, 0.8, tags={"best": "true", "model_family": "forest"}),
    ]
    pairs = {pair[0].run_id: pair for pair in (*right, *changed)}
    runs, models = zip(*pairs.values(), strict=True)
    return replace(evidence_of(*runs, models=models, experiments=(MINE,)), **changes)


def without(evidence: Evidence, *ids: str) -> Evidence:
    return replace(evidence, runs=tuple(run for run in evidence.runs if run.run_id not in ids))


def changed(evidence: Evidence, id: str, **changes: Any) -> Evidence:
    runs = [replace(run, **changes) if run.run_id == id else run for run in evidence.runs]
    return replace(evidence, runs=tuple(runs))


def answered(evidence: Evidence, id: str, **changes: Any) -> Evidence:
    models = [
        replace(model, scoring=replace(model.scoring or a_scoring(), **changes))
        if model.run_id == id
        else model
        for model in evidence.models
    ]
    return replace(evidence, models=tuple(models))


def has(evidence: Evidence, criterion: str, status: Status, *words: str) -> None:
    (asked,) = [one for _, one in tracking.rubric.criteria if one.id == criterion]
    outcome = asked.check(evidence)
    assert outcome.status is status, outcome
    for word in words:
        assert word in outcome.found


def test_right_work_earns_all() -> None:
    assert grade(tracking.rubric, work()).earned == 25


@pytest.mark.parametrize(
    ("names", "runs", "status", "words"),
    [
        (["Default", "flower-species"], 0, PASSED, "flower-species"),
        (["Default"], 0, NOT_ATTEMPTED, "Default"),
        (["Default"], 1, FAILED, "Default"),
        (["Default", "flowers"], 0, FAILED, "“flowers”"),
        (["Flower-Species"], 1, FAILED, "“Flower-Species”"),
    ],
)
def test_the_project_has_an_experiment_of_its_own(
    names: list[str], runs: int, status: Status, words: str
) -> None:
    experiments = tuple(Experiment(str(number), name) for number, name in enumerate(names))
    has(evidence_of(*[a_run()] * runs, experiments=experiments), "own-experiment", status, words)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], None),
        ([a_run("only"), a_run("other", start_time=9)], "only"),
        ([a_run("other", start_time=9), a_run("asked", params=FOREST)], "asked"),
        ([a_run("early", params=FOREST), a_run("late", params=FOREST, start_time=9)], "late"),
        ([a_run("late", params=FOREST, start_time=9), a_run("early", params=FOREST)], "late"),
    ]
    + [
        ([a_run("more", params=FOREST, **more), a_run("late", params=FOREST, start_time=9, **less)], "more")
        for more, less in (
            ({}, {"status": "RUNNING"}),
            ({"metrics": {"accuracy": 1.0}}, {}),
            ({"metrics": {"accuracy": 1.0}}, {"metrics": {"accuracy": 1.1}}),
            ({"metrics": {"log_loss": 7.0}}, {}),
            ({"tags": {"model_family": "forest"}}, {"tags": {"family": "forest"}}),
            ({}, {"name": "run"}),
        )
    ],
)
def test_the_first_run_is_the_most_complete_of_those_with_its_parameters_or_else_the_first(
    runs: list[Run], expected: str | None
) -> None:
    found = tracking.the_first_run(evidence_of(*runs))
    assert (found and found.run_id) == expected


def test_a_run_with_a_model_is_more_complete_than_one_without() -> None:
    runs = (a_run("more", params=FOREST), a_run("late", params=FOREST, start_time=9))
    found = tracking.the_first_run(evidence_of(*runs, models=(a_model("more"),)))
    assert found == runs[0]


def test_the_project_s_runs_are_those_in_its_experiment_or_all_where_there_is_none() -> None:
    inside, outside = a_run("in"), a_run("out", experiment_id="0")
    experiments = (Experiment("0", "Default"), MINE)
    assert tracking.project_runs(evidence_of(inside, outside, experiments=experiments)) == [inside]
    assert len(tracking.project_runs(evidence_of(inside, outside, experiments=experiments[:1]))) == 2


UNFINISHED = variant("three", 4, 0.7, status="FAILED")
ELSEWHERE = variant("three", 4, 0.7, experiment_id="0")
UNSCORED = (variant("three", 4, 0.7)[0], a_model("three", scoring=None))
THE_FIRST_AGAIN = variant("three", 2, 0.7, name="again", status="FINISHED", metrics={})
ONE_AGAIN = variant("three", 1, 0.5)


@pytest.mark.parametrize("other", [UNFINISHED, ELSEWHERE, UNSCORED, THE_FIRST_AGAIN, ONE_AGAIN])
def test_what_is_no_variant_of_its_own_is_not_counted(other: tuple[Run, LoggedModel]) -> None:
    assert {run.run_id for run in tracking.other_variants(work(other))} == {"one", "two"}


def test_of_two_runs_of_one_variant_that_which_says_the_truth_counts() -> None:
    lies = variant("one", 1, 0.5, metrics={"accuracy": 1.0, "log_loss": 0.1})
    right = variant("three", 1, 0.5)
    assert {run.run_id for run in tracking.other_variants(work(lies, right))} == {"two", "three"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"final_estimator": "sklearn.svm.SVC"}, FAILED),
        ({"final_estimator": "sklearn.ensemble.NotRandomForestClassifier"}, FAILED),
        ({"params": {"n_estimators": "120"}}, FAILED),
        ({"params": {"n_estimators": "120", "max_depth": "3"}}, FAILED),
        ({"estimator": "Pipeline", "params": {"f__n_estimators": "120", "f__max_depth": "2"}}, PASSED),
    ],
)
def test_the_first_model_is_the_forest_that_the_run_describes(changes: Any, status: Status) -> None:
    has(answered(work(), "first", **changes), "params-match", status)


@pytest.mark.parametrize(("accuracy", "status"), [(1.0, PASSED), (1.5, FAILED), (93.0, FAILED)])
def test_an_accuracy_is_a_share(accuracy: float, status: Status) -> None:
    run = a_run(params=FOREST, metrics={"accuracy": accuracy})
    has(evidence_of(run), "accuracy-logged", status)


@pytest.mark.parametrize(
    ("evidence", "criterion", "status", "words"),
    [
        (work(), "two-variants", PASSED, ["depth 1", "depth 5"]),
        (without(work(), "one", "two"), "two-variants", NOT_ATTEMPTED, []),
        (evidence_of(), "two-variants", NOT_ATTEMPTED, []),
        (without(work(), "two"), "two-variants", FAILED, ["1 further run;"]),
        (answered(without(work(), "two"), "one", error="it broke"), "two-variants", FAILED, ["it broke"]),
        (
            changed(work(UNSCORED), "two", status="FAILED"),
            "two-variants",
            FAILED,
            ["3 further runs", "one counts"],
        ),
        (work(), "variants-true", PASSED, ["depth 1", "depth 5"]),
        (changed(work(), "two", metrics={}), "variants-true", FAILED, ["depth 5"]),
        (changed(work(), "one", params={"max_depth": "7"}), "variants-true", FAILED, ["max_depth"]),
        (work(variant("three", 4, 0.7, metrics={})), "variants-true", PASSED, []),
        (work(variant("three", 4, 0.7, name="run")), "variants-named", PASSED, []),
        (changed(work(), "two", name="run"), "variants-named", FAILED, ["nothing"]),
        (changed(work(), "two", name="forest of depth 1"), "variants-named", FAILED, ["another run"]),
        (changed(work(), "two", name="forest of depth 2"), "variants-named", FAILED, ["another run"]),
    ],
)
def test_two_variants_are_needed_true_and_named(
    evidence: Evidence, criterion: str, status: Status, words: list[str]
) -> None:
    has(evidence, criterion, status, *words)


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        ("true", True),
        ("True ", True),
        ("YES", True),
        ("1", True),
        ("false", False),
        ("", False),
        ("x", False),
    ],
)
def test_a_run_is_marked_by_any_yes(value: str, marks: bool) -> None:
    status = PASSED if marks else NOT_ATTEMPTED
    has(changed(work(), "two", tags={"best": value}), "best-marked", status)
    has(changed(work(), "two", tags={"Best": value}), "best-marked", NOT_ATTEMPTED)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda run: run, FAILED),
        (lambda run: replace(run, metrics={"log_loss": 0.5}), PASSED),
        (lambda run: replace(run, metrics={}), FAILED),
    ],
)
def test_two_runs_may_be_marked_when_their_losses_are_equal(
    change: Callable[[Run], Run], status: Status
) -> None:
    evidence = changed(changed(work(), "two", tags={"best": "1"}), "one", tags={"best": "1"})
    runs = [run if run.run_id == "first" else change(run) for run in evidence.runs]
    has(replace(evidence, runs=tuple(runs)), "best-marked", status)


def near(loss: float) -> tuple[Run, LoggedModel]:
    """A variant whose log-loss is lower than the marked run's by this much."""
    return variant("three", 9, 0.8 * math.exp(loss))


@pytest.mark.parametrize(
    ("evidence", "status", "words"),
    [
        (work(), PASSED, ["depth 5"]),
        (work(near(0.004)), PASSED, ["depth 5"]),
        (work(near(0.006)), FAILED, ["depth 5", "depth 9"]),
        (work(variant("three", 9, 0.9, status="RUNNING")), PASSED, []),
        (work(variant("three", 9, 0.9, experiment_id="0")), PASSED, []),
        (changed(work(), "two", status="RUNNING"), FAILED, ["RUNNING"]),
        (without(work(), "first", "one"), NOT_ATTEMPTED, ["Only one"]),
        (without(work(), "first"), PASSED, []),
        (changed(work(), "two", metrics={"log_loss": 0.1}), FAILED, ["not explained"]),
        (changed(work(), "two", experiment_id="0"), FAILED, ["not explained"]),
    ],
)
def test_the_marked_run_has_the_lowest_loss_that_a_model_explains(
    evidence: Evidence, status: Status, words: list[str]
) -> None:
    has(evidence, "best-is-best", status, *words)
