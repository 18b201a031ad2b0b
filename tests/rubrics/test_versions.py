"""Versions, histories, moments and pictures held against the runs and what their models answered."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autograder.evidence import (
    Artifact,
    Change,
    Evidence,
    LoggedModel,
    ModelVersion,
    Picture,
    RegisteredModel,
    Run,
    Scoring,
)
from autograder.rubrics import Outcome, Status, crosschecks
from autograder.rubrics.crosschecks import colours_follow, confusion_counts
from tests.support.facts import a_model, a_run, a_scoring, evidence_of

PASSED, FAILED, NOT_ATTEMPTED = Status.PASSED, Status.FAILED, Status.NOT_ATTEMPTED
TRUTH = pd.Series(["a", "b", "b", "b"])


def right(share: float, id: str, **changes: Any) -> tuple[Run, LoggedModel]:
    """A run whose model is right about this share of the four rows, and says so."""
    scoring = a_scoring(labels=("a", *("b" if row < share * 4 else "a" for row in (1, 2, 3))))
    return a_run(id, **{"metrics": {"accuracy": share}, **changes}), a_model(id, scoring=scoring)


def registry(*pairs: tuple[Run, LoggedModel], source: str = "/lost", **changes: Any) -> Evidence:
    """Version 1 is the first run's model, version 2 the second's; version 9 is no model's."""
    versions = [
        ModelVersion(number, 1, "None", "", source, None, model and model.model_id, "READY")
        for number, model in [(1, pairs[0][1]), (2, pairs[1][1]), (9, None)]
    ]
    iris = RegisteredModel("Iris", 1, "", versions=tuple(versions))
    models = tuple(model for _, model in pairs)
    return evidence_of(*(run for run, _ in pairs), models=models, registered=(iris,), **changes)


BEST, WORSE = right(1.0, "best"), right(0.5, "worse")
BOASTS = right(0.5, "worse", metrics={"accuracy": 1.0})
RUNNING = right(1.0, "best", status="RUNNING")
SILENT = right(1.0, "best", metrics={})


@pytest.mark.parametrize(
    ("evidence", "version", "status", "words"),
    [
        (registry(WORSE, BEST), 2, PASSED, ["forest best"]),
        (registry(WORSE, BEST), 1, FAILED, ["forest worse", "0.5", "forest best", "1.0"]),
        (registry(BOASTS, BEST), 1, FAILED, ["forest worse”; ", "forest best"]),
        (registry(WORSE, RUNNING), 1, PASSED, ["forest worse"]),
        (registry(BOASTS, SILENT), 1, FAILED, ["no run's accuracy"]),
        (registry((a_run("x", model_ids=()), WORSE[1]), BEST), 1, FAILED, ["of no run; "]),
        (registry(WORSE, BEST), 9, FAILED, ["/lost"]),
        (registry(WORSE, BEST), 3, NOT_ATTEMPTED, ["models:/Iris/3"]),
    ],
)
def test_a_version_holds_the_best_of_the_runs_that_say_the_truth(
    evidence: Evidence, version: int, status: Status, words: list[str]
) -> None:
    outcome = crosschecks.version_is_of_the_best(
        evidence, f"models:/Iris/{version}", evidence.runs, "accuracy", TRUTH
    )
    assert outcome.status is status
    for word in words:
        assert word in outcome.found


def test_the_best_log_loss_is_the_lowest() -> None:
    def sure(certainty: float, id: str) -> tuple[Run, LoggedModel]:
        rows = tuple((certainty, 1 - certainty)[:: 1 if name == "a" else -1] for name in TRUTH)
        scoring = a_scoring(classes=("a", "b"), probabilities=rows)
        return a_run(id, metrics={"log_loss": -np.log(certainty)}), a_model(id, scoring=scoring)

    evidence = registry(sure(0.6, "worse"), sure(0.9, "best"))
    for version, status in ((1, FAILED), (2, PASSED)):
        reference = f"models:/Iris/{version}"
        asked = crosschecks.version_is_of_the_best(evidence, reference, evidence.runs, "log_loss", TRUTH)
        assert asked.status is status


def history(*steps: tuple[str, str, str], asked: list[tuple[str, str, str]], name: str = "Iris") -> Outcome:
    changes = tuple(Change(1, kind, name, subject, None, after) for kind, subject, after in steps)
    return crosschecks.went_in_order(evidence_of(changes=changes), "Iris", asked, "done so")


STAGED, LIVE, ALIAS = ("stage", "1", "Staging"), ("stage", "1", "Production"), ("alias", "champion", "2")


def test_steps_count_in_their_order_and_others_may_come_between() -> None:
    assert history(STAGED, ALIAS, LIVE, asked=[STAGED, LIVE]).status is PASSED
    assert history(LIVE, STAGED, LIVE, asked=[STAGED, LIVE]).status is PASSED
    assert "another order" in history(LIVE, STAGED, asked=[STAGED, LIVE]).found
    assert "version 1 in Production" in history(STAGED, asked=[STAGED, LIVE]).found
    assert "alias champion on version 2" in history(STAGED, asked=[STAGED, ALIAS]).found
    assert history(STAGED, LIVE, asked=[STAGED, LIVE], name="Other").status is FAILED
    assert crosschecks.went_in_order(evidence_of(), "Iris", [STAGED], "done").status is Status.NOT_GRADED


@pytest.mark.parametrize(
    ("times", "status"),
    [
        ((1, 2, 3), PASSED),
        ((1, 1, 1), PASSED),
        ((2, 1, 3), FAILED),
        ((1, 3, 2), FAILED),
        ((0, 0, 0), PASSED),
        ((0, 1, 0), FAILED),
        ((1, None, 3), NOT_ATTEMPTED),
        ((3, 2, None), NOT_ATTEMPTED),
    ],
)
def test_moments_come_one_after_the_other(times: tuple[int | None, ...], status: Status) -> None:
    outcome = crosschecks.follow_each_other(list(zip(("first", "second", "third"), times, strict=True)))
    assert outcome.status is status


def fields(*shades: int) -> tuple[str, ...]:
    return tuple(f"#{shade:02x}{shade:02x}{shade:02x}" for shade in shades)


#: What a model with three right answers shows: one "b" taken for "a".
SHOWS, SHOWS_ANOTHER = {2: fields(100, 0, 100, 200)}, {2: fields(200, 200, 0, 0)}


def picture(path: str = "Confusion.png", kind: str = "picture", size: int = 1, **changes: Any) -> Artifact:
    return Artifact(path, size, kind, Picture(**{"width": 100, "height": 100, "blank": False, **changes}))


@pytest.mark.parametrize(
    ("artifacts", "status", "words"),
    [
        ([picture(grids=SHOWS)], PASSED, "follow"),
        ([picture(grids=SHOWS_ANOTHER)], FAILED, "not explained"),
        ([picture(grids=SHOWS_ANOTHER), picture(grids=SHOWS)], PASSED, "follow"),
        ([picture(grids=SHOWS_ANOTHER), picture()], FAILED, "not explained"),
        ([picture(grids={3: SHOWS_ANOTHER[2]})], FAILED, "no square of coloured fields"),
        ([picture("loss.png", grids=SHOWS)], FAILED, "“loss.png”"),
        ([picture(kind="text", grids=SHOWS)], NOT_ATTEMPTED, "no picture"),
        ([], NOT_ATTEMPTED, "no picture"),
        ([picture(grids=SHOWS, blank=True)], FAILED, "blank"),
        ([picture(grids=SHOWS, width=99)], FAILED, "blank"),
        ([picture(grids=SHOWS, height=99)], FAILED, "blank"),
        ([picture(grids=SHOWS, height=500)], PASSED, "follow"),
        ([Artifact("confusion.svg", 1, "picture")], FAILED, "cannot be looked at"),
        ([Artifact("confusion.svg", 0, "picture")], FAILED, "cannot be looked at"),
    ],
)
def test_a_picture_shows_the_confusion_of_the_model(
    artifacts: list[Artifact], status: Status, words: str
) -> None:
    run, model = right(0.75, "r1", artifacts=tuple(artifacts))
    outcome = crosschecks.shows_the_confusion(evidence_of(run, models=(model,)), run, TRUTH)
    assert outcome.status is status
    assert words in outcome.found
    assert status is PASSED or outcome.next_step
    assert status is not FAILED or outcome.expected
    assert crosschecks.shows_the_confusion(evidence_of(run), run, TRUTH).status is NOT_ATTEMPTED


def test_confusion_counts_have_the_truth_in_rows() -> None:
    counts = confusion_counts(Scoring(labels=("a", "a", "b", "b")), TRUTH)
    assert counts.tolist() == [[1, 0], [1, 2]]
    assert confusion_counts(Scoring(labels=("0", "0", "1", "1")), TRUTH).tolist() == counts.tolist()


COUNTS = np.array([[8, 2], [1, 4]])
SKEWED = np.array([[90, 10], [1, 9]])
THREE = np.array([[190, 10, 0], [5, 170, 25], [0, 12, 188]])


@pytest.mark.parametrize(
    ("shades", "counts", "follow"),
    [
        ((80, 20, 10, 40), COUNTS, True),
        ((80, 10, 20, 40), COUNTS, True),
        ((10, 40, 80, 20), COUNTS, True),
        ((40, 10, 20, 80), COUNTS, True),
        ((160, 40, 40, 160), COUNTS, True),
        ((160, 40, 20, 80), COUNTS, True),
        ((180, 20, 20, 180), SKEWED, True),
        ((198, 105, 2, 95), SKEWED, True),
        ((200, 200, 0, 100), np.array([[100, 99], [0, 50]]), True),
        ((0, 12, 188, 5, 170, 25, 190, 10, 0), THREE, True),
        ((200, 200, 0, 0), COUNTS, False),
        ((80, 80, 80, 10), COUNTS, False),
        ((5, 5, 5, 5), np.array([[3, 3], [3, 3]]), True),
        ((5, 5, 5, 6), np.array([[3, 3], [3, 3]]), False),
        ((90, 90, 0, 0), np.array([[5, 5], [0, 0]]), True),
    ],
)
def test_colours_follow_counts_drawn_either_way_round(
    shades: tuple[int, ...], counts: np.ndarray[Any, Any], follow: bool
) -> None:
    assert colours_follow(fields(*shades), counts) == follow


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_part_of_a_colour_counts(place: int) -> None:
    def shown(shade: int) -> str:
        return "#" + "".join(f"{shade if part == place else 0:02x}" for part in range(3))

    assert colours_follow([shown(shade) for shade in (80, 20, 10, 40)], COUNTS)
    assert not colours_follow([shown(shade) for shade in (80, 80, 10, 80)], COUNTS)
