"""Seeded data, large enough that the models of an exercise really differ."""

import functools
import hashlib
import hmac
import os
from typing import NamedTuple

import numpy as np
import pandas as pd

#: Environment variable that holds the seed of the data; a whole number from 0 to 2**32 - 1.
SEED_VARIABLE = "MLFLOW_KIT_SEED"
#: The seed every student works under. Grading uses :func:`grading_seed` instead.
PUBLIC_SEED = 2026
#: A forest of depth 5 beats one of depth 2, and that one of depth 1, by at least this much
#: log-loss (natural logarithm, mean per flower) on the test part, under each of CHECKED_SEEDS.
LOG_LOSS_MARGIN = 0.05
CHECKED_SEEDS = (PUBLIC_SEED, *range(24))

SPECIES = ("setosa", "versicolor", "virginica")
COLUMNS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROWS_PER_SPECIES = 500
TEST_SHARE = 0.4


class Flowers(NamedTuple):
    """Measured flowers, already split: features in centimetres, the species to predict.

    ``X_train`` and ``X_test`` are data frames of shapes (900, 4) and (600, 4); ``y_train`` and
    ``y_test`` are series of species names of shapes (900,) and (600,). The split is stratified.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series


def load_flowers(seed: int | None = None) -> Flowers:
    """Draw iris-like flowers: per species a Gaussian with the mean of Fisher's iris and twice its
    covariance, 500 flowers each, rounded to 0.1 cm, split 60/40.

    The wider spread makes the species overlap, so that models can be better or worse.
    ``seed`` defaults to :func:`current_seed`. Raises ValueError for a seed out of range.
    """
    X_train, X_test, y_train, y_test = _draw(check_seed(current_seed() if seed is None else seed))
    return Flowers(X_train.copy(), X_test.copy(), y_train.copy(), y_test.copy())


@functools.lru_cache(maxsize=4)
def _draw(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    iris = load_iris()
    random = np.random.default_rng(seed)
    samples = []
    for species in range(len(SPECIES)):
        measured = iris.data[iris.target == species]
        covariance = 2.0 * np.cov(measured.T)
        samples.append(random.multivariate_normal(measured.mean(axis=0), covariance, ROWS_PER_SPECIES))
    features = pd.DataFrame(np.vstack(samples).round(1).clip(min=0.1), columns=list(COLUMNS))
    species_names = pd.Series(np.repeat(SPECIES, ROWS_PER_SPECIES), name="species")
    parts = train_test_split(
        features, species_names, test_size=TEST_SHARE, stratify=species_names, random_state=seed
    )
    X_train, X_test, y_train, y_test = (part.reset_index(drop=True) for part in parts)
    return X_train, X_test, y_train, y_test


def current_seed() -> int:
    """The seed that MLFLOW_KIT_SEED names, or the public one. Raises ValueError for nonsense."""
    return check_seed(os.environ.get(SEED_VARIABLE, PUBLIC_SEED))


def check_seed(seed: object) -> int:
    """``seed`` as an integer; raises ValueError when it is not a whole number from 0 to 2**32 - 1."""
    try:
        number = int(str(seed))
    except ValueError:
        number = -1
    if not 0 <= number < 2**32:
        raise ValueError(
            f"The data's seed is {seed!r}; expected a whole number from 0 to {2**32 - 1}. "
            f"Unset the environment variable {SEED_VARIABLE} to work under the public seed."
        )
    return number


def grading_seed(secret: str, assignment: str) -> int:
    """The seed of a whole batch: HMAC-SHA256 of the assignment's name under the course's secret."""
    digest = hmac.new(secret.encode(), assignment.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:4], "big")
