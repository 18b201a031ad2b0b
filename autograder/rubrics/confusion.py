"""Whether the colours of a square of fields can be those of a confusion matrix."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from autograder.evidence import Scoring
from autograder.rubrics import claims

Matrix = np.ndarray[Any, Any]
#: Shares of a matrix's range: fields closer than NEAR look more alike than fields further apart than
#: FAR. True of all of matplotlib's maps but the cyclic ones and those of few colours.
NEAR, FAR = 0.02, 0.3


def confusion_counts(scoring: Scoring, truth: pd.Series) -> Matrix:
    """How often each class (row, in alphabetical order) was taken for each (column)."""
    return np.asarray(
        confusion_matrix(list(truth), claims.answers(scoring, truth), labels=sorted(set(truth)))
    )


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
