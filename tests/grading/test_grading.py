"""Grading never raises, never invents points, and says what waits for what."""

from dataclasses import replace

import pytest

from autograder.evidence import Evidence, Experiment, Run
from autograder.grading import dump, grade, load, ungraded
from autograder.rubrics import Outcome, Rubric, Status, load_rubric
from autograder.rubrics.language import failed, passed
from autograder.workspace import load_flowers

NOTHING = Evidence(seed=1)


def rubric() -> Rubric:
    made = Rubric("99-made-up", "Made up", "chapters/none", lambda seed: load_flowers(seed).X_test)
    task = made.task("task", "A task")

    @task.criterion("It crashes", 1)
    def crashes(evidence: Evidence) -> Outcome:
        raise ZeroDivisionError("a fault of ours")

    @task.criterion("“It” fails", 2)
    def fails(evidence: Evidence) -> Outcome:
        return failed("this", "that", "do it")

    @task.criterion("It needs what fails", 4, needs=("fails",))
    def needs_it(evidence: Evidence) -> Outcome:
        return passed("never asked")

    @task.criterion("It passes", 8)
    def passes(evidence: Evidence) -> Outcome:
        return passed("this")

    return made


def test_a_criterion_that_crashes_could_not_be_graded_and_costs_the_others_nothing() -> None:
    report = grade(rubric(), NOTHING)
    statuses = {result.id: result.outcome.status for result in report.results}
    assert statuses == {
        "crashes": Status.NOT_GRADED,
        "fails": Status.FAILED,
        "needs-it": Status.NOT_ATTEMPTED,
        "passes": Status.PASSED,
    }
    assert report.earned == 8
    assert report.pending


def test_what_waits_says_for_what() -> None:
    report = grade(rubric(), NOTHING)
    (waiting,) = [result for result in report.results if result.id == "needs-it"]
    assert "“‘It’ fails”" in waiting.outcome.found
    assert waiting.outcome.next_step == "Do that first."


def test_evidence_with_a_problem_earns_nothing_and_says_the_problem() -> None:
    for made in (rubric(), load_rubric("01-tracking")):
        report = grade(made, Evidence(seed=1, problem="There was no store."))
        assert report.earned == 0
        assert {result.outcome.found for result in report.results} == {"There was no store."}


def test_a_report_that_stands_in_for_none_gives_nothing_and_is_pending() -> None:
    report = ungraded(load_rubric("01-tracking"), 1, "because", "do this")
    assert report.earned == 0
    assert report.maximum == 25
    assert all(result.pending for result in report.results)
    assert {result.outcome for result in report.results} == {
        Outcome(Status.NOT_GRADED, "because", "", "do this")
    }


def test_a_task_s_part_of_a_report_is_its_criteria_alone() -> None:
    whole = grade(load_rubric("01-tracking"), replace(NOTHING, findings=("a finding",)))
    parts = [whole.of_task(task.id) for task in load_rubric("01-tracking").tasks]
    assert [part.tasks for part in parts] == [{task: whole.tasks[task]} for task in whole.tasks]
    assert tuple(result for part in parts for result in part.results) == whole.results
    assert all(part.findings == ("a finding",) for part in parts)
    with pytest.raises(KeyError, match="first-run"):
        whole.of_task("nope")


def test_a_report_comes_back_from_json_as_it_was() -> None:
    report = grade(rubric(), NOTHING)
    assert load(dump(report)) == report
    assert (report.findings, report.hints) == ((), ())


def test_every_need_names_an_earlier_criterion() -> None:
    seen: set[str] = set()
    for _, criterion in load_rubric("01-tracking").criteria:
        assert set(criterion.needs) <= seen, criterion.id
        assert criterion.id not in seen
        assert criterion.points > 0
        assert criterion.covers
        seen.add(criterion.id)


def test_numbers_that_are_none_earn_nothing() -> None:
    run = Run(
        "r1",
        "a forest",
        "1",
        "FINISHED",
        1,
        2,
        params={"n_estimators": "120", "max_depth": "2"},
        metrics={"accuracy": float("nan"), "log_loss": float("inf")},
        tags={"best": "true"},
    )
    evidence = Evidence(seed=1, experiments=(Experiment("1", "flower-species"),), runs=(run,))
    report = grade(load_rubric("01-tracking"), evidence)
    statuses = {result.id: result.outcome.status for result in report.results}
    assert statuses["accuracy-logged"] is Status.FAILED
    assert statuses["log-loss-logged"] is not Status.PASSED
    assert statuses["best-is-best"] is not Status.PASSED
    assert not report.pending
