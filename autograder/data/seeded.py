"""Seeded data, large enough that the models of an exercise really differ."""

import functools
import hashlib
import hmac
import io
import os
from typing import NamedTuple

import numpy as np
import pandas as pd

from autograder.base.names import PUBLIC_SEED, SEED_VARIABLE
from autograder.data.settings import DataSettings, Settings, current_settings

#: A forest of depth 5 beats one of depth 2, and that one of depth 1, by at least this much
#: log-loss (natural logarithm, mean per flower) on the test part, under each of CHECKED_SEEDS.
LOG_LOSS_MARGIN = 0.05
CHECKED_SEEDS = (PUBLIC_SEED, *range(24))

SPECIES = ("setosa", "versicolor", "virginica")
GRAPES = ("barolo", "grignolino", "barbera")
WINE_COLUMNS = ["alcohol", "malic_acid", "ash", "magnesium", "color_intensity", "hue"]
COLUMNS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")


class Flowers(NamedTuple):
    """Measured flowers, already split: features in centimetres, the species to predict.

    ``X_train`` and ``X_test`` are data frames of shapes (900, 4) and (600, 4); ``y_train`` and
    ``y_test`` are series of species names of shapes (900,) and (600,). The split is stratified.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series


def load_flowers(seed: int | None = None, settings: Settings | None = None) -> Flowers:
    """Draw iris-like flowers: per species a Gaussian with the mean of Fisher's iris and twice its
    covariance, 500 flowers each, rounded to 0.1 cm, split 60/40.

    The wider spread makes the species overlap, so that models can be better or worse.
    ``seed`` defaults to :func:`current_seed`, ``settings`` to the instructor's. Raises ValueError for a
    seed out of range, or a table of the instructor's that cannot be used.
    """
    seed = check_seed(current_seed() if seed is None else seed)
    X_train, X_test, y_train, y_test = _draw("flowers", seed, (settings or current_settings()).data)
    return Flowers(X_train.copy(), X_test.copy(), y_train.copy(), y_test.copy())


def load_wines(seed: int | None = None, settings: Settings | None = None) -> Flowers:
    """Draw wines like those of scikit-learn's wine data, split: six measurements, the grape to predict.

    Drawn as :func:`load_flowers` draws, 500 wines a grape; the frames have shapes (900, 6) and (600, 6).
    Raises ValueError as that does.
    """
    seed = check_seed(current_seed() if seed is None else seed)
    X_train, X_test, y_train, y_test = _draw("wines", seed, (settings or current_settings()).data)
    return Flowers(X_train.copy(), X_test.copy(), y_train.copy(), y_test.copy())


@functools.lru_cache(maxsize=4)
def _draw(
    own: str, seed: int, settings: DataSettings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Rows like those of a table, its own or the instructor's, split."""
    from sklearn.model_selection import train_test_split

    measured, classes = _measured(own) if settings.table is None else _from_csv(settings.table)
    random = np.random.default_rng(seed)
    samples = []
    for name in classes.unique():
        rows = measured[classes == name].to_numpy()
        covariance = settings.spread * np.atleast_2d(np.cov(rows.T))
        samples.append(random.multivariate_normal(rows.mean(axis=0), covariance, settings.rows_per_class))
    features = pd.DataFrame(np.vstack(samples), columns=list(measured.columns))
    if settings.table is None:  # measured with a ruler
        features = features.round(1).clip(lower=0.1)
    labels = pd.Series(np.repeat(classes.unique(), settings.rows_per_class), name=classes.name)
    parts = train_test_split(
        features, labels, test_size=settings.test_share, stratify=labels, random_state=seed
    )
    X_train, X_test, y_train, y_test = (part.reset_index(drop=True) for part in parts)
    return X_train, X_test, y_train, y_test


def _measured(own: str) -> tuple[pd.DataFrame, pd.Series]:
    """What is known of a kind of thing: measurements of some, a row each, and what each of them is."""
    from sklearn.datasets import load_iris, load_wine

    if own == "wines":
        wine = load_wine(as_frame=True)
        return wine.data[WINE_COLUMNS], pd.Series(np.array(GRAPES)[wine.target], name="grape")
    iris = load_iris()
    measured = pd.DataFrame(iris.data, columns=list(COLUMNS))
    return measured, pd.Series(np.array(SPECIES)[iris.target], name="species")


def _from_csv(text: str) -> tuple[pd.DataFrame, pd.Series]:
    """An instructor's table: numbers, and the class in the last column. Raises ValueError."""
    expected = "expected a CSV file of numbers whose last column is the class, three rows a class or more"
    try:
        table = pd.read_csv(io.StringIO(text))
        measured, classes = table.iloc[:, :-1].astype(float), table.iloc[:, -1].astype(str)
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(f"The settings' table cannot be used ({error}); {expected}.") from error
    if measured.empty or measured.isna().any(axis=None) or classes.value_counts().min() < 3:
        raise ValueError(f"The settings' table has gaps or too few rows; {expected}.")
    return measured, classes


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
