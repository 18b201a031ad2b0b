"""Cross-checks that any rubric can use: one part of the evidence held against another."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pandas as pd

from autograder.base.text import quoted
from autograder.evidence import (
    Artifact,
    Evidence,
    Picture,
    Run,
    Scoring,
    find_version,
    model_of_version,
    runs_of_model,
)
from autograder.rubrics import claims, contents, questions
from autograder.rubrics.language import Outcome, failed, not_attempted, not_graded, passed

#: A picture smaller than this, in pixels a side, shows nobody anything.
SMALLEST_PICTURE = 100
Matrix = np.ndarray[Any, Any]
#: Shares of a matrix's range: fields closer than NEAR look more alike than fields further apart than
#: FAR. True of all of matplotlib's maps but the cyclic ones and those of few colours.
NEAR, FAR = 0.02, 0.3


def explained(evidence: Evidence, run: Run, metric: str, truth: pd.Series) -> bool:
    """Whether a finished run's metric is what its own model reaches."""
    scoring = claims.scoring_of(evidence, run)
    if run.status != "FINISHED" or scoring is None or metric not in run.metrics:
        return False
    actual = questions.METRICS[metric](scoring, truth)
    return actual is not None and claims.agrees(run.metrics[metric], actual)


def version_is_of_the_best(
    evidence: Evidence, reference: str, runs: Iterable[Run], metric: str, truth: pd.Series
) -> Outcome:
    """Whether the version that ``reference`` names holds the model of the best of ``runs``.

    The best by ``metric`` (log_loss: the lowest, else the highest) among those runs whose model
    explains it; runs within claims.BEST_MARGIN of the best are as good. ``reference`` is any that
    :func:`autograder.evidence.find_version` understands.
    """
    version = find_version(evidence, reference)
    if version is None:
        return not_attempted(f"There is no version `{reference}`.", "Register the best run's model.")
    model = model_of_version(evidence, version)
    if model is None:
        return failed(
            f"Version {version.version} comes from {quoted(version.source)}, where no logged model is.",
            "a version made from the model of one of your runs",
            "Register the model by the model_uri that log_model returns.",
        )
    known = [run for run in runs if explained(evidence, run, metric, truth)]
    source = runs_of_model(evidence, model)
    best = claims.best_runs(known, metric, metric == "log_loss", claims.BEST_MARGIN)
    best_ids, known_ids = ({run.run_id for run in runs} for runs in (best, known))
    if any(run.run_id in best_ids for run in source):
        return passed(
            f"Version {version.version} is the model of {quoted(source[0].name)}, the best by {metric}."
        )
    name = f"{quoted(source[0].name)}" if source else "no run"
    if not best:
        return failed(
            f"Version {version.version} is the model of {name}, and no run's {metric} is explained by its "
            "own model.",
            f"runs that log their model and the {metric} which it reaches",
            "Log both in one run for each variant, then register the best.",
        )
    own = [run for run in source if run.run_id in known_ids]
    reached = f", {metric} {own[0].metrics[metric]:.4f}" if own else ""
    return failed(
        f"Version {version.version} is the model of {name}{reached}; {quoted(best[0].name)} has {metric} "
        f"{best[0].metrics[metric]:.4f}.",
        "a version made from the best run's model",
        f"Find the best run by its {metric} in code, and register that run's model.",
    )


def shows_the_confusion(evidence: Evidence, run: Run, truth: pd.Series, word: str = "confusion") -> Outcome:
    """Whether a picture among the run's artifacts is the confusion matrix of its model's answers.

    How far this can be told: the picture has ``word`` in its path, can be decoded, isn't blank or
    tiny, and has a square of coloured fields, as heat maps do, whose colours follow the recomputed
    counts, raw or as shares, whichever way round and in whichever colours. Numbers in it are not read.
    """
    scoring = claims.scoring_of(evidence, run)
    if scoring is None:
        return not_attempted(
            f"The run {quoted(run.name)} has no model to compare with.", "Log its model first."
        )
    pictures, named = contents.pictures(run, ""), contents.pictures(run, word)
    expected = f"a picture of the confusion matrix, with {quoted(word)} in its name"
    if not named:
        others = f"only {claims.listed(a.path for a in pictures)}" if pictures else "no picture"
        step = "Draw it, for example with ConfusionMatrixDisplay, and log the figure with log_figure."
        found = f"The run {quoted(run.name)} has {others}."
        return failed(found, expected, step) if pictures else not_attempted(found, step)
    drawn = [artifact for artifact in named if shows_something(artifact)]
    if not drawn:
        return shows_nothing(run, named, expected)
    counts = confusion_counts(scoring, truth)
    grids = [grid for a in drawn if (grid := _grid(a, truth.nunique()))]
    if any(colours_follow(grid, counts) for grid in grids):
        return passed(f"The colours of {claims.listed(a.path for a in drawn)} follow the model's answers.")
    if not grids:
        return failed(
            f"In {claims.listed(a.path for a in drawn)} no square of coloured fields can be seen.",
            f"{expected}: {truth.nunique()} by {truth.nunique()} fields, coloured by their counts",
            "Draw it as coloured fields, as ConfusionMatrixDisplay does, with nothing else in the picture, "
            "and log it as .png.",
        )
    return failed(
        f"The fields of {claims.listed(a.path for a in drawn)} are not explained by the logged model.",
        "the confusion matrix of the answers that the run's own model gives on the test part",
        "Draw it from y_test and the predictions of the very model that you log.",
    )


def went_in_order(evidence: Evidence, name: str, steps: Sequence[tuple[str, str, str]], done: str) -> Outcome:
    """Whether stages or aliases of the registered model ``name`` were set in this order.

    A step is (kind, subject, after) as in :class:`autograder.evidence.Change`, such as
    ``("stage", "1", "Staging")`` or ``("alias", "champion", "2")``; others may come between. ``done``
    says in words what the steps are. Where the store keeps no history this cannot be graded.
    """
    if evidence.changes is None:
        return not_graded(
            "This store keeps no history of stages and aliases, so their order cannot be told.",
            "Nothing is lost by it: grading runs the notebook in a store that keeps one.",
        )
    made = [(change.kind, change.subject, change.after) for change in evidence.changes if change.name == name]
    left = iter(made)
    missing = [step for step in steps if not any(change == step for change in left)]
    if not missing:
        return passed(f"The history of {quoted(name)} shows it: {done}.")
    if set(steps) <= set(made):
        return failed(
            f"The history of {quoted(name)} has every step, in another order.",
            done,
            "Do the steps in this order; running the cells from the top in a fresh store shows it.",
        )
    kind, subject, after = next(step for step in steps if step not in made)
    what = f"version {subject} in {after}" if kind == "stage" else f"the alias {subject} on version {after}"
    return failed(f"The history of {quoted(name)} never has {what}.", done, "Do every step, in this order.")


def follow_each_other(moments: Sequence[tuple[str, int | None]]) -> Outcome:
    """Whether moments (what happened, when in milliseconds) came one after the other.

    Two in the same millisecond are in order. All times are of the one clock that wrote the store.
    """
    for what, when in moments:
        if when is None:
            return not_attempted(f"This has not happened yet: {what}.", "Do the steps one after the other.")
    for (first, earlier), (second, later) in pairwise(moments):
        if (earlier or 0) > (later or 0):
            return failed(
                f"According to the store, this came too late: {first}. It was there before: {second}.",
                f"first {first}, then {second}",
                "Do the steps one after the other.",
            )
    return passed(f"In this order: {', '.join(what for what, _ in moments)}.")


def shows_bars(evidence: Evidence, run: Run, truth: pd.Series, word: str) -> Outcome:
    """Whether one of the pictures with ``word`` in their path can be one of bars.

    Bars are not looked for: it must show something, and something else than the confusion matrix.
    """
    named = contents.pictures(run, word)
    expected = "a picture with a bar for each feature"
    drawn = [artifact for artifact in named if shows_something(artifact)]
    if not drawn:
        return shows_nothing(run, named, expected)
    others = [(a.size, a.picture) for a in contents.pictures(run, "confusion") if a not in named]
    own = [
        artifact
        for artifact in drawn
        if (artifact.size, artifact.picture) not in others
        and not is_the_confusion(evidence, run, artifact, truth)
    ]
    if own:
        return passed(f"{claims.listed(artifact.path for artifact in own)} is a picture.")
    return failed(
        f"{claims.listed(artifact.path for artifact in drawn)} shows what the confusion matrix shows.",
        expected,
        "Draw a figure of its own for it, and pass log_figure that one.",
    )


def is_the_confusion(evidence: Evidence, run: Run, artifact: Artifact, truth: pd.Series) -> bool:
    """Whether a picture's fields follow the confusion of the answers of the run's model."""
    scoring, classes = claims.scoring_of(evidence, run), truth.nunique()
    grid = _grid(artifact, classes)
    return bool(scoring and grid and colours_follow(grid, confusion_counts(scoring, truth)))


def _grid(artifact: Artifact, fields: int) -> tuple[str, ...]:
    """The colours of a picture's ``fields`` by ``fields`` fields; empty where it has none."""
    found = artifact.picture.grids.get(fields, ()) if artifact.picture else ()
    return found if len(found) == fields**2 else ()


def shows_something(artifact: Artifact) -> bool:
    """Whether a picture can be decoded, and is neither blank nor tiny. An SVG is not decoded."""
    picture = artifact.picture
    return picture is not None and not picture.blank and not _tiny(picture)


def shows_nothing(run: Run, pictures: Sequence[Artifact], expected: str) -> Outcome:
    """What is said of pictures that show nothing."""
    names = claims.listed(artifact.path for artifact in pictures)
    if all(artifact.picture is None for artifact in pictures):
        found, step = "cannot be looked at", "Log it as a file in .png; an SVG cannot be checked here."
    else:
        found = "is blank or too small to read"
        step = "Log the figure before plt.show() or plt.close(), which leave an empty one behind."
    return failed(f"{names} of {quoted(run.name)} {found}.", expected, step)


def confusion_counts(scoring: Scoring, truth: pd.Series) -> Matrix:
    """How often each class (row, in alphabetical order) was taken for each (column)."""
    pairs = Counter(zip(truth, claims.answers(scoring, truth), strict=False))
    names = sorted(set(truth))
    return np.array([[pairs[name, taken_for] for taken_for in names] for name in names])


def colours_follow(colours: Sequence[str], counts: Matrix) -> bool:
    """Whether fields of these colours (#rrggbb, row by row) can show the matrix ``counts``.

    No colour map is assumed but a continuous one that never returns to a colour: fields with equal
    counts look more alike than fields whose counts are far apart. The matrix may be drawn either
    way round, upside down, with its classes in any order, in counts or in shares.
    """
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], float)
    apart = np.linalg.norm(rgb[:, None] - rgb[None, :], axis=2)
    return any(_fits(apart, matrix) for matrix in _drawings(counts))


def _fits(apart: Matrix, matrix: Matrix) -> bool:
    values = matrix.ravel()
    spread = values.max() - values.min()
    if not spread:
        return bool(apart.max() == 0)
    differences = abs(values[:, None] - values[None, :]) / spread
    return bool(apart[differences < NEAR].max() < apart[differences > FAR].min())


def _drawings(counts: Matrix) -> Iterator[Matrix]:
    """The ways in which a confusion matrix is drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [counts / counts.sum(axis=axis, keepdims=True) for axis in (0, 1)]
    for matrix in (counts, *map(np.nan_to_num, shares)):
        for order in permutations(range(len(counts))):
            ordered = matrix[np.ix_(order, order)]
            for drawn in (ordered, ordered[::-1]):
                yield drawn
                yield drawn.T


def _tiny(picture: Picture) -> bool:
    return min(picture.width, picture.height) < SMALLEST_PICTURE
