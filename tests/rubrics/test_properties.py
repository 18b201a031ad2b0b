"""What holds for any store at all: points stay in bounds, order changes nothing, right work never costs."""

import random
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.data.settings import Conditions
from autograder.evidence import (
    CellFacts,
    Evidence,
    Experiment,
    LoggedModel,
    MetricPoint,
    ModelVersion,
    NotebookFacts,
    RegisteredModel,
    Run,
    Scoring,
)
from autograder.grading import Report, grade
from autograder.pipeline.jobs import execute, job_of
from autograder.pipeline.reader import Reader
from autograder.reports import report_html, report_text
from autograder.rubrics import Status, load_rubric
from tests.conftest import ASSIGNMENT, ROOT

pytestmark = pytest.mark.xdist_group("callers")
RUBRIC = load_rubric(ASSIGNMENT)
SEED = 3
relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The evidence that the solution leaves."""
    folder: Path = tmp_path_factory.mktemp("work")
    notebook = nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
    with Reader() as reader:
        kept = execute(job_of(RUBRIC, notebook, Conditions(SEED)), folder, reader)
    assert kept.evidence
    return kept.evidence


def statuses(report: Report) -> list[tuple[str, Status]]:
    return [(result.id, result.outcome.status) for result in report.results]


names = st.sampled_from(["flower-species", "Default", "forest-120-depth-2", "run 1", "", "\x1b[31m<b>"])
params = st.dictionaries(
    st.sampled_from(["n_estimators", "max_depth", "step__max_depth", "C"]),
    st.sampled_from(["120", "2", "2.0", "None", "nonsense", ""]),
)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 0.5, 0.905]))
metrics = st.dictionaries(st.sampled_from(["accuracy", "log_loss", "acc"]), numbers)
ids = st.sampled_from(["a", "b", "c"])
times = st.integers(0, 2**41)
scorings = st.builds(
    Scoring,
    labels=st.lists(st.sampled_from(["setosa", "versicolor", "0", "?"]), max_size=5).map(
        lambda some: tuple(some * 120)
    ),
    classes=st.sampled_from([(), ("setosa", "versicolor", "virginica"), ("0", "1", "2")]),
    probabilities=st.sampled_from([None, (), ((0.2, 0.3, 0.5),) * 600, ((0.0, 0.0, 0.0),) * 600]),
    params=params,
    error=st.sampled_from([None, None, "it broke"]),
)
models = st.builds(
    LoggedModel,
    model_id=ids,
    run_id=st.one_of(st.none(), ids),
    status=st.sampled_from(["READY", "FAILED", "PENDING"]),
    folder=st.none(),
    scoring=scorings,
)
runs = st.builds(
    Run,
    run_id=ids,
    name=names,
    experiment_id=st.sampled_from(["0", "1"]),
    status=st.sampled_from(["FINISHED", "FAILED", "RUNNING", "KILLED"]),
    params=params,
    metrics=metrics,
    history=st.just({}),
    tags=st.dictionaries(st.sampled_from(["best", "model_family"]), st.sampled_from(["true", "", "x"])),
    model_ids=st.lists(ids, max_size=2).map(tuple),
    artifacts=st.just(()),
    datasets=st.just(()),
).map(lambda run: replace(run, history={n: (MetricPoint(0, 0, v),) for n, v in run.metrics.items()}))
registered = st.builds(
    RegisteredModel,
    name=names,
    tags=st.just({}),
    aliases=st.just({}),
    versions=st.lists(
        st.builds(
            ModelVersion,
            run_id=st.none(),
            model_id=st.one_of(st.none(), ids),
            source=st.sampled_from(["models:/a", "runs:/b/model", "runs:/", "/etc", "", "\x1b[31m"]),
            tags=st.just({}),
        ),
        max_size=2,
    ).map(tuple),
)
LOST_RUN = "MlflowException: Run with id=<RUN_ID> not found"
stores = st.builds(
    Evidence,
    seed=st.just(SEED),
    experiments=st.lists(st.builds(Experiment, experiment_id=ids, name=names), max_size=3).map(tuple),
    runs=st.lists(runs, max_size=5).map(tuple),
    models=st.lists(models, max_size=4).map(tuple),
    registered=st.lists(registered, max_size=2).map(tuple),
    changes=st.none(),
    notebook=st.one_of(st.none(), st.just(NotebookFacts((CellFacts(0, None, True, LOST_RUN),)))),
    findings=st.just(()),
    problem=st.none(),
)


@relaxed
@given(stores)
def test_any_store_at_all_gets_a_report_within_bounds(evidence: Evidence) -> None:
    report = grade(RUBRIC, evidence)
    assert 0 <= report.earned <= report.maximum == 25
    assert len(report.results) == len(RUBRIC.criteria)
    assert not report.pending, "a criterion crashed"
    for result in report.results:
        assert result.outcome.found
        assert result.earned in (0, result.points)
    assert "\x1b" not in report_text(report) + report_html(report)


@relaxed
@given(st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_order_ids_and_clocks_change_nothing(work: Evidence, order: random.Random, offset: int) -> None:
    new_ids = {run.run_id: f"{order.getrandbits(64):x}" for run in work.runs}
    moved = [
        replace(
            run,
            run_id=new_ids[run.run_id],
            start_time=run.start_time + offset,
            end_time=(run.end_time or 0) + offset,
        )
        for run in work.runs
    ]
    shuffled = list(work.models)
    order.shuffle(moved)
    order.shuffle(shuffled)
    renamed = [
        replace(
            model,
            run_id=new_ids[model.run_id or ""],
            declared=replace(model.declared, run_id=new_ids[model.declared.run_id or ""]),
        )
        for model in shuffled
    ]
    other = replace(work, runs=tuple(moved), models=tuple(renamed))
    assert statuses(grade(RUBRIC, other)) == statuses(grade(RUBRIC, work))


def bare(run: Run) -> Run:
    return replace(run, params={}, metrics={}, history={}, model_ids=(), name="", tags={}, status="RUNNING")


STEPS = {
    "status": lambda run, full: replace(run, status=full.status),
    "name": lambda run, full: replace(run, name=full.name),
    "params": lambda run, full: replace(run, params=full.params),
    "accuracy": lambda run, full: with_metric(run, full, "accuracy"),
    "log_loss": lambda run, full: with_metric(run, full, "log_loss"),
    "model": lambda run, full: replace(run, model_ids=full.model_ids),
    "family": lambda run, full: replace(
        run, tags={**run.tags, "model_family": full.tags.get("model_family", "")}
    ),
}


def with_metric(run: Run, full: Run, name: str) -> Run:
    point = MetricPoint(0, full.start_time, full.metrics[name])
    return replace(
        run, metrics={**run.metrics, name: full.metrics[name]}, history={**run.history, name: (point,)}
    )


@relaxed
@given(st.permutations([(step, index) for step in STEPS for index in range(3)]))
def test_each_step_of_right_work_never_lowers_the_score(work: Evidence, order: list[tuple[str, int]]) -> None:
    done = [bare(run) for run in work.runs]
    earned = -1.0
    for step, index in order:
        done[index] = STEPS[step](done[index], work.runs[index])
        now = grade(RUBRIC, replace(work, runs=tuple(done))).earned
        assert now >= earned, f"{step} of run {index} lowered the score"
        earned = now
    marked = tuple(replace(run, tags=full.tags) for run, full in zip(done, work.runs, strict=True))
    assert grade(RUBRIC, replace(work, runs=marked)).earned == 25
