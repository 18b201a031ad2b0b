"""Logged models are loaded by MLflow and asked: every estimator that a course uses answers as it did."""

from itertools import permutations
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pytest
import skops.io
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from autograder.data.seeded import SPECIES
from autograder.evidence import Scoring, score_model
from autograder.evidence.models import load_any
from autograder.rubrics import claims
from autograder.workspace import load_flowers

FLOWERS = load_flowers(1)
SMALL = FLOWERS.X_train[::9], FLOWERS.y_train[::9]

ESTIMATORS: list[Any] = [
    DecisionTreeClassifier(max_depth=3),
    RandomForestClassifier(5),
    ExtraTreesClassifier(5),
    GradientBoostingClassifier(n_estimators=3),
    HistGradientBoostingClassifier(max_iter=3),
    AdaBoostClassifier(n_estimators=3),
    BaggingClassifier(n_estimators=3),
    KNeighborsClassifier(5, algorithm="kd_tree"),
    KNeighborsClassifier(5, algorithm="ball_tree"),
    MLPClassifier((5,), max_iter=20, solver="adam"),
    MLPClassifier((5,), max_iter=20, solver="sgd"),
    SVC(),
    GaussianNB(),
    LogisticRegression(max_iter=500),
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    VotingClassifier([("tree", DecisionTreeClassifier()), ("nb", GaussianNB())], voting="soft"),
    StackingClassifier([("tree", DecisionTreeClassifier()), ("nb", GaussianNB())]),
    GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 3]}, cv=3),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_what_a_course_uses_loads_and_answers(estimator: Any, tmp_path: Path) -> None:
    estimator.fit(*SMALL)
    types = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    mlflow.sklearn.save_model(estimator, tmp_path / "model", pip_requirements=[], skops_trusted_types=types)
    scoring = score_model(load_any(tmp_path / "model"), FLOWERS.X_test)
    assert list(scoring.labels) == list(estimator.predict(FLOWERS.X_test))
    assert claims.accuracy(scoring, FLOWERS.y_test) == pytest.approx(
        estimator.score(FLOWERS.X_test, FLOWERS.y_test)
    )
    assert scoring.estimator == type(estimator).__name__


@pytest.mark.parametrize("order", list(permutations(SPECIES)), ids="-".join)
def test_species_may_be_numbered_in_any_order(order: tuple[str, ...]) -> None:
    named = GaussianNB().fit(*SMALL)
    numbered = GaussianNB().fit(SMALL[0], SMALL[1].map(order.index))
    same = score_model(named, FLOWERS.X_test), score_model(numbered, FLOWERS.X_test)
    for metric in (claims.accuracy, claims.log_loss):
        by_name, by_number = (metric(scoring, FLOWERS.y_test) for scoring in same)
        assert by_name is not None
        assert by_number == pytest.approx(by_name)


def test_names_stand_for_themselves_however_wrong_they_are() -> None:
    turned = dict(zip(SPECIES, (*SPECIES[1:], SPECIES[0]), strict=True))
    scoring = score_model(GaussianNB().fit(SMALL[0], SMALL[1].map(turned)), FLOWERS.X_test)
    accuracy, log_loss = (metric(scoring, FLOWERS.y_test) for metric in (claims.accuracy, claims.log_loss))
    assert accuracy is not None
    assert accuracy < 0.2
    assert log_loss is not None
    assert log_loss > 2


def test_a_model_that_never_answers_one_species_or_has_no_classes_is_read_by_its_answers() -> None:
    truth = FLOWERS.y_test
    never = truth.map({"setosa": "2", "versicolor": "0", "virginica": "0"})
    assert claims.accuracy(Scoring(labels=tuple(never)), truth) == pytest.approx(2 / 3)
    assert claims.accuracy(Scoring(labels=("0",) * len(truth)), truth) == pytest.approx(1 / 3)
    assert claims.accuracy(Scoring(labels=tuple(map(str, range(len(truth))))), truth) == 0
