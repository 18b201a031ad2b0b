"""Which runs evaluate a version, and what its tags and its description must say, on facts made by hand."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from autograder.evidence import Change, Evidence, ModelVersion, RegisteredModel, Run
from autograder.rubrics import evaluations, registered_models
from autograder.rubrics.language import Status
from tests.support.facts import a_model, a_run, a_scoring, evidence_of

TRUTH = pd.Series(["a", "b", "c", "a"])
#: Half of the probability is given to the truth: the log-loss is log(2).
ROWS = (0.5, 0.25, 0.25), (0.25, 0.5, 0.25), (0.25, 0.25, 0.5), (0.5, 0.25, 0.25)
RIGHT = {"log_loss": math.log(2)}
VERSION = ModelVersion(
    version=2,
    created=1,
    stage="None",
    description="",
    source="",
    run_id="r1",
    model_id="m-r1",
    status="READY",
)


def with_runs(*runs: Run) -> Evidence:
    model = a_model(scoring=a_scoring(classes=("a", "b", "c"), labels=tuple(TRUTH), probabilities=ROWS))
    return evidence_of(a_run(metrics=RIGHT), *runs, models=(model,))


def an_evaluation(run_id: str = "e1", **changes: object) -> Run:
    given = {"params": {"evaluated_version": "2"}, "metrics": RIGHT, "model_ids": (), "start_time": 5}
    return a_run(run_id, **{**given, **changes})


def test_a_run_that_names_the_version_evaluates_it() -> None:
    assert evaluations.is_evaluated(with_runs(an_evaluation()), VERSION, TRUTH).status is Status.PASSED


@pytest.mark.parametrize("changes", [{"run_id": "r1"}, {"model_ids": ("m-r1",)}])
def test_the_run_that_made_the_version_does_not(changes: dict[str, object]) -> None:
    evidence = with_runs()
    maker = replace(an_evaluation(), **changes)  # type: ignore[arg-type]
    outcome = evaluations.is_evaluated(replace(evidence, runs=(maker,)), VERSION, TRUTH)
    assert outcome.status is Status.FAILED
    assert "it is the run that made it" in outcome.found


@pytest.mark.parametrize(
    ("first", "last", "status"), [(0.1, math.log(2), Status.PASSED), (math.log(2), 0.1, Status.FAILED)]
)
def test_of_several_the_latest_counts(first: float, last: float, status: Status) -> None:
    runs = [
        an_evaluation(f"e{n}", metrics={"log_loss": figure}, start_time=n)
        for n, figure in ((7, last), (6, first))
    ]
    assert evaluations.is_evaluated(with_runs(*runs), VERSION, TRUTH).status is status


def test_a_later_one_without_the_metric_takes_nothing_away() -> None:
    runs = an_evaluation(), an_evaluation("e2", metrics={}, start_time=9)
    assert evaluations.is_evaluated(with_runs(*runs), VERSION, TRUTH).status is Status.PASSED


def test_a_run_that_names_none_is_meant_where_its_figure_is_right_and_it_made_no_model() -> None:
    found = [
        run.run_id
        for run in evaluations.shown_by(
            with_runs(
                an_evaluation("right", params={}),
                an_evaluation("wrong", params={}, metrics={"log_loss": 0.1}),
                an_evaluation("another", params={"evaluated_version": "1"}),
                an_evaluation("trained", params={}, model_ids=("m-x",)),
            ),
            VERSION,
            TRUTH,
        )
    ]
    assert found == ["right"]


@pytest.mark.parametrize(
    ("verdict", "limit", "runs", "status"),
    [
        ("passed", 0.7, [an_evaluation()], Status.PASSED),
        (" Passed", 0.7, [an_evaluation(params={})], Status.PASSED),
        ("failed", 0.6, [an_evaluation()], Status.PASSED),
        ("failed", 0.7, [an_evaluation()], Status.FAILED),
        ("passed", 0.6, [an_evaluation()], Status.FAILED),
        ("good", 0.7, [an_evaluation()], Status.FAILED),
        ("passed", 0.7, [], Status.NOT_ATTEMPTED),
        ("passed", 0.7, [an_evaluation(metrics={"log_loss": 0.1})], Status.NOT_ATTEMPTED),
    ],
)
def test_a_verdict_counts_with_a_true_evaluation_only(
    verdict: str, limit: float, runs: list[Run], status: Status
) -> None:
    version = replace(VERSION, tags={"validation_status": verdict})
    outcome = evaluations.is_marked(with_runs(*runs), version, TRUTH, limit)
    assert outcome.status is status
    wanted = "passed" if math.log(2) <= limit else "failed"
    assert status is Status.PASSED or verdict not in evaluations.VERDICTS or wanted not in outcome.expected


def test_an_evaluation_that_never_ended_is_said_to_be_running() -> None:
    running = an_evaluation(status="RUNNING", end_time=None)
    outcome = evaluations.still_running(with_runs(running), VERSION, TRUTH)
    assert outcome is not None
    assert "is RUNNING" in outcome.found
    assert evaluations.still_running(with_runs(running, an_evaluation("e2")), VERSION, TRUTH) is None
    assert evaluations.still_running(with_runs(), VERSION, TRUTH) is None


@pytest.mark.parametrize(
    ("description", "status"),
    [
        ("log-loss 0.693", Status.PASSED),
        ("log-loss 0,69", Status.PASSED),
        ("log-loss 0.693, accuracy 1.0, the one before 0.75, limit 0.7", Status.PASSED),
        ("log-loss 0.6931471805599453", Status.PASSED),
        ("log-loss 0.690", Status.FAILED),
        ("log-loss 0.6935", Status.FAILED),
        ("log-loss 0.68, 0.69, 0.70, 0.71 or 0.72", Status.FAILED),
        ("a good one", Status.NOT_ATTEMPTED),
    ],
)
def test_a_description_names_one_log_loss_to_the_digits_it_has(description: str, status: Status) -> None:
    version = replace(VERSION, description=description)
    assert registered_models.names_its_loss(with_runs(), version, TRUTH).status is status


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        ("one two three four five", True),
        ("one two three four", False),
        ("", False),
        ("花びらの長さと幅が逆だった", True),
        ("모델 설명 다섯 단어 이상", True),
        ("模型", False),
        ("RandomForest 训练的鸢尾花模型", True),
        ("ดอกไอริสสามชนิด", True),
    ],
)
def test_text_without_blanks_is_counted_by_its_letters(text: str, telling: bool) -> None:
    assert registered_models.tells_something(text) == telling


def test_a_version_that_was_deleted_is_found_in_the_history() -> None:
    def stage(time: int, version: str, before: str | None, after: str) -> Change:
        return Change(time=time, kind="stage", name="Iris", subject=version, before=before, after=after)

    history = (
        stage(1, "2", None, "None"),
        stage(2, "3", None, "None"),
        stage(3, "3", "None", "Production"),
        stage(4, "2", "None", registered_models.DELETED),
        stage(5, "3", "Production", registered_models.DELETED),
    )
    evidence = replace(with_runs(), changes=history)
    found = registered_models.deleted_version(evidence, "Iris", 2, evidence.runs)
    assert found is not None
    assert (found.version, found.created, found.model_id) == (3, 2, "m-r1")
    assert registered_models.deleted_version(evidence, "Iris", 3, evidence.runs) is None
    assert (
        registered_models.deleted_version(replace(evidence, changes=None), "Iris", 2, evidence.runs) is None
    )


def test_versions_of_one_model_do_not_differ() -> None:
    twins = RegisteredModel(
        name="Iris", created=1, description="", versions=(replace(VERSION, version=1), VERSION)
    )
    assert registered_models.different(with_runs(), twins) == []
