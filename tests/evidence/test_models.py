"""Models are data to the grader: what loads, what is refused, and what runs in a process of its own."""

import os
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
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
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from autograder.data.seeded import SPECIES
from autograder.evidence import LoggedModel, Scoring, score_model, skops_file
from autograder.evidence.models import TRUSTED_TYPES, ForeignTypes, load_skops, read_model_file
from autograder.pipeline.untrusted import score_untrusted
from autograder.pipeline.warm import WarmReader
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
def test_what_a_course_uses_loads_with_the_kit_s_allow_list(estimator: Any, tmp_path: Path) -> None:
    estimator.fit(*SMALL)
    path = tmp_path / "model.skops"
    skops.io.dump(estimator, path)
    scoring = score_model(load_skops(path), FLOWERS.X_test)
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


def test_the_allow_list_holds_only_scikit_learn_s_own() -> None:
    assert all(name.startswith("sklearn.") for name in TRUSTED_TYPES)
    assert len(set(TRUSTED_TYPES)) == len(TRUSTED_TYPES)


class Shell(BaseEstimator):
    """An estimator whose loading would run a shell command."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def logged(folder: Path, model: Any, **settings: Any) -> LoggedModel:
    """A model as MLflow saves it, in ``folder``."""
    mlflow.sklearn.save_model(model, folder, pip_requirements=["scikit-learn"], **settings)
    return as_read(folder)


def as_read(folder: Path) -> LoggedModel:
    """A model as it is read from a store, whatever its MLmodel file says by now."""
    declared = read_model_file(folder)
    return LoggedModel("m-1", "model", "1", "run", "READY", 0, str(folder), declared=declared)


def test_a_skops_model_that_trusts_a_command_does_not_run_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shell = FunctionTransformer(os.system)
    types = skops.io.get_untrusted_types(data=skops.io.dumps(shell))
    assert types == ["posix.system"]
    logged(folder, shell, skops_trusted_types=types)
    assert mlflow.sklearn.load_model(str(folder)).func is os.system, "MLflow itself loads it"
    with WarmReader() as reader:
        scoring = reader.score(as_read(folder), FLOWERS.X_test)
    assert scoring.error is not None
    assert "types that the kit does not load" in scoring.error
    assert "posix.system" in scoring.error
    assert not scoring.labels


def test_types_of_the_sciences_that_the_kit_does_not_know_are_scored_apart(tmp_path: Path) -> None:
    transformed = make_pipeline(SplineTransformer(), LogisticRegression(max_iter=500)).fit(*SMALL)
    path = tmp_path / "x.skops"
    skops.io.dump(transformed, path)
    foreign = skops.io.get_untrusted_types(file=path)
    assert foreign, "choose another estimator: the kit knows this one by now"
    with pytest.raises(ForeignTypes) as raised:
        load_skops(path)
    assert raised.value.of_science
    model = logged(tmp_path / "model", transformed, skops_trusted_types=foreign)
    with WarmReader() as reader:
        scoring = reader.score(model, FLOWERS.X_test)
    assert scoring.error is None
    assert list(scoring.labels) == list(transformed.predict(FLOWERS.X_test))


def test_a_pickled_model_is_opened_in_another_process_only(tmp_path: Path) -> None:
    folder, proof = tmp_path / "model", tmp_path / "proof"
    model = logged(folder, Shell(str(proof)), serialization_format="cloudpickle")
    assert skops_file(folder) is None
    with WarmReader() as reader:
        answer = reader._ask({"question": "score", "folder": str(folder), "features": _table()})
    assert answer == {"foreign": True}
    assert not proof.exists()
    with WarmReader() as reader:
        scoring = reader.score(model, FLOWERS.X_test)
    assert scoring.error, "a model that answers nothing has no score"


def test_a_cloudpickled_model_is_scored_like_any_other(tmp_path: Path) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(*SMALL)
    model = logged(tmp_path / "model", forest, serialization_format="cloudpickle")
    with WarmReader() as reader:
        scoring = reader.score(model, FLOWERS.X_test)
    assert scoring.error is None
    assert list(scoring.labels) == list(forest.predict(FLOWERS.X_test))
    assert np.allclose(scoring.probabilities or [], forest.predict_proba(FLOWERS.X_test))
    assert scoring.params["n_estimators"] == "3"


def test_the_scoring_process_gets_no_secrets_and_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MLFLOW_KIT_COURSE_SECRET", "secret")
    script = tmp_path / "code"
    script.mkdir()
    (script / "spy.py").write_text(
        "import json, os\n"
        "class Model:\n"
        "    def predict(self, given):\n"
        "        return [json.dumps(sorted(os.environ)), ' '.join(given.columns)]\n"
        "def _load_pyfunc(path):\n    return Model()\n"
    )
    mlflow.pyfunc.save_model(
        tmp_path / "model",
        loader_module="spy",
        code_paths=[str(script / "spy.py")],
        pip_requirements=["mlflow"],
    )
    scoring = score_untrusted(tmp_path / "model", FLOWERS.X_test)
    assert scoring.error is None, scoring.error
    names, columns = scoring.labels
    assert "PATH" in names
    assert not any(word in names for word in ("AWS", "SECRET", "TRACKING_URI"))
    assert columns == " ".join(FLOWERS.X_test.columns)


def _table() -> dict[str, Any]:
    return FLOWERS.X_test.to_dict(orient="split")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("import time; time.sleep(60)", "took longer than"),
        ("import os; os._exit(3)", "ended without an answer"),
        ("raise RuntimeError('no\\nmodel')", "RuntimeError: no"),
    ],
)
def test_a_model_that_misbehaves_is_an_answer_not_an_exception(
    tmp_path: Path, answer: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(f"def _load_pyfunc(path):\n    {answer}\n")
    mlflow.pyfunc.save_model(
        tmp_path / "model",
        loader_module="bad",
        code_paths=[str(tmp_path / "bad.py")],
        pip_requirements=["mlflow"],
    )
    before = time.monotonic()
    scoring = score_untrusted(tmp_path / "model", FLOWERS.X_test, timeout=15)
    assert scoring.error is not None
    assert words in scoring.error
    assert time.monotonic() - before < 50
