"""Claims are recomputed from what a model answered; what cannot be recomputed is None, never a guess."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.evidence import LoggedModel, MetricPoint, ModelFile
from autograder.rubrics import claims
from tests.support.facts import a_model, a_run, a_scoring, evidence_of

TRUTH = pd.Series(["a", "b", "c", "a"])
CLASSES = ("a", "b", "c")
RIGHT = (0.5, 0.25, 0.25), (0.25, 0.5, 0.25), (0.25, 0.25, 0.5), (0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([("old", "READY", 1), ("new", "READY", 2)], "new"),
        ([("new", "READY", 2), ("old", "READY", 1)], "new"),
        ([("ready", "READY", 1), ("broken", "FAILED", 2)], "ready"),
        ([("later", "FAILED", 2), ("earlier", "PENDING", 1)], "later"),
        ([], None),
    ],
)
def test_a_run_s_model_is_its_latest_finished_one(
    models: list[tuple[str, str, int]], expected: str | None
) -> None:
    run = a_run(model_ids=tuple(id for id, _, _ in models))
    own = [a_model(model_id=id, status=status, created=at) for id, status, at in models]
    another = a_model("r2", model_id="another", created=9)
    found = claims.model_of(evidence_of(run, models=(*own, another)), run)
    assert (found and found.model_id) == expected


@pytest.mark.parametrize(
    "model",
    [
        a_model("r2"),
        a_model(scoring=None),
        a_model(scoring=a_scoring(error="it broke")),
        a_model(declared=ModelFile(model_id="another")),
    ],
)
def test_a_model_that_could_not_be_scored_or_is_another_s_has_no_scoring(model: LoggedModel) -> None:
    assert claims.scoring_of(evidence_of(a_run(), models=(model,)), a_run()) is None


def test_a_model_s_answers_are_its_scoring() -> None:
    model = a_model(scoring=a_scoring(labels=("a",)))
    assert claims.scoring_of(evidence_of(a_run(), models=(model,)), a_run()) == model.scoring


@pytest.mark.parametrize(
    ("declared", "run_id", "foreign"),
    [
        (ModelFile(), "r1", False),
        (ModelFile(model_id="m-r1", run_id="r1"), "r1", False),
        (ModelFile(model_id="m-r2", run_id="r1"), "r1", True),
        (ModelFile(model_id="m-r1", run_id="r2"), "r1", True),
        (ModelFile(run_id="r2"), "r1", True),
        (ModelFile(run_id="r2"), None, False),
    ],
)
def test_files_that_name_another_model_or_run_are_foreign(
    declared: ModelFile, run_id: str | None, foreign: bool
) -> None:
    model = replace(a_model("r1", declared=declared), run_id=run_id)
    assert bool(claims.foreign_files(model)) == foreign


def test_a_latest_value_that_is_in_no_history_was_not_logged() -> None:
    points = (MetricPoint(0, 0, 0.7), MetricPoint(1, 1, 0.8))
    run = a_run(
        metrics={"right": 0.7, "forged": 0.9, "bare": 0.9}, history={"right": points, "forged": points}
    )
    assert [name for name in ("right", "forged", "bare", "none") if claims.unlogged(run, name)] == [
        "forged",
        "bare",
    ]


@pytest.mark.parametrize(
    ("lower_is_better", "margin", "expected"),
    [
        (True, 0.0, ["r1"]),
        (True, 0.2, ["r1"]),
        (True, 0.25, ["r1", "r2"]),
        (False, 0.0, ["r3"]),
        (False, 0.5, ["r3", "r2"]),
        (False, 9.0, ["r3", "r2", "r1"]),
    ],
)
def test_the_best_runs_come_first_and_those_within_the_margin_after_them(
    lower_is_better: bool, margin: float, expected: list[str]
) -> None:
    values = {"r3": 1.0, "r1": 0.25, "r2": 0.5}
    runs = [a_run(id, metrics={"loss": value}) for id, value in values.items()]
    best = claims.best_runs([a_run("r4"), *runs], "loss", lower_is_better, margin)
    assert [run.run_id for run in best] == expected


def test_without_a_margin_only_the_best_runs_are_the_best() -> None:
    runs = [a_run(id, metrics={"loss": value}) for id, value in (("r1", 0.5), ("r2", 0.5), ("r3", 0.75))]
    assert claims.best_runs(runs, "loss", lower_is_better=True) == runs[:2]
    assert claims.best_runs([a_run()], "loss", lower_is_better=True) == []


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        (("a", "b", "c", "a"), 1.0),
        (("a", "b", "b", "b"), 0.5),
        (("0", "1", "2", "0"), 1.0),
        (("0.0", "1.0", "2.0", "1.0"), 0.75),
        (("0", "1", "2", "a"), 0.25),
        (("3", "4", "5", "3"), 1.0),
        (("a", "b", "c"), None),
        (("a", "b", "c", "a", "a"), None),
        ((), None),
    ],
)
def test_accuracy_is_the_share_of_right_answers_by_name_or_number(
    labels: tuple[str, ...], share: float | None
) -> None:
    assert claims.accuracy(a_scoring(labels=labels), TRUTH) == share


@pytest.mark.parametrize("classes", [CLASSES, ("0", "1", "2"), ("0.0", "1.0", "2.0")])
def test_log_loss_is_the_mean_negative_logarithm_of_what_the_truth_was_given(
    classes: tuple[str, ...],
) -> None:
    assert claims.log_loss(a_scoring(classes=classes, probabilities=RIGHT), TRUTH) == pytest.approx(
        math.log(2)
    )


def test_log_loss_goes_by_the_names_of_the_columns_not_by_their_order() -> None:
    turned = tuple(tuple(reversed(row)) for row in RIGHT)
    other = a_scoring(classes=("c", "b", "a"), probabilities=turned)
    assert claims.log_loss(other, TRUTH) == pytest.approx(math.log(2))


@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")
@pytest.mark.parametrize("row", [(1.0, 0.0, 0.0), (0.5, 0.25, 0.255)])
def test_log_loss_takes_certainty_and_rounded_probabilities(row: tuple[float, ...]) -> None:
    scoring = a_scoring(classes=CLASSES, probabilities=(row, *RIGHT[1:]))
    assert claims.log_loss(scoring, TRUTH) == pytest.approx(
        (3 * math.log(2) - math.log(row[0])) / 4, abs=0.01
    )


@pytest.mark.parametrize(
    ("classes", "probabilities"),
    [
        (CLASSES, None),
        (CLASSES, RIGHT[:3]),
        (CLASSES, (*RIGHT, RIGHT[0])),
        (("a", "b"), RIGHT),
        (("a", "b", "x"), RIGHT),
        (("a", "b"), tuple(row[:2] for row in RIGHT)),
        (CLASSES, ((0.5, 0.5), *RIGHT[1:])),
        (CLASSES, ((math.nan, 0.5, 0.5), *RIGHT[1:])),
        (CLASSES, ((math.inf, 0.5, 0.5), *RIGHT[1:])),
        (CLASSES, ((1.0, -0.5, 0.5), *RIGHT[1:])),
        (CLASSES, ((1.005, 0.0, 0.0), *RIGHT[1:])),
        (CLASSES, ((0.5, 0.25, 0.27), *RIGHT[1:])),
        (CLASSES, ((0.5, 0.25, 0.2), *RIGHT[1:])),
        (CLASSES, ((0.0, 0.0, 0.0),) * 4),
        (CLASSES, ((1.0, 1.0, 1.0),) * 4),
    ],
)
def test_what_are_no_probabilities_of_these_classes_has_no_log_loss(
    classes: tuple[str, ...], probabilities: tuple[tuple[float, ...], ...] | None
) -> None:
    assert claims.log_loss(a_scoring(classes=classes, probabilities=probabilities), TRUTH) is None


@pytest.mark.parametrize(
    ("logged", "actual", "expected"),
    [
        (0.5, 0.5, True),
        (0.91, 0.905, True),
        (0.90, 0.905, True),
        (0.9, 0.905, True),
        (0.9, 0.906, False),
        (0.91, 0.9045, False),
        (0.912, 0.9125, True),
        (0.912, 0.913, False),
        (0.9123, 0.9124, True),
        (0.9123, 0.9125, False),
        (0.9123456789, 0.91235, True),
        (0.9123456789, 0.9125, False),
        (1.0, 0.9949, True),
        (1.0, 0.99, False),
        (1e-9, 0.0, True),
        (math.nan, 0.5, False),
        (math.inf, 0.5, False),
    ],
)
def test_a_figure_agrees_to_the_digits_that_it_has(logged: float, actual: float, expected: bool) -> None:
    assert claims.agrees(logged, actual) == expected


@given(st.floats(0, 30), st.integers(2, 17))
def test_honest_rounding_always_agrees(actual: float, digits: int) -> None:
    assert claims.agrees(round(actual, digits), actual)
    assert claims.agrees(float(f"{actual:.{digits}f}"), actual, digits)


def test_a_figure_that_was_written_with_a_last_nought_has_that_digit() -> None:
    assert claims.agrees(0.910, 0.9135)
    assert not claims.agrees(0.910, 0.9135, digits=3)
