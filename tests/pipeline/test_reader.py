"""What submissions made is opened in a box: nothing of this machine is there, only answers come out."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer

from autograder.data import load_flowers
from autograder.evidence import LoggedModel, NoStore
from autograder.evidence.models import read_model_file
from autograder.pipeline import reader as reader_module
from autograder.pipeline.reader import Reader
from autograder.sandbox import server_in_box
from autograder.sandbox.box import OwnBox
from autograder.sandbox.mounts import parts_of_python
from autograder.sandbox.watch import with_all_below
from autograder.workspace.prepared import put_store
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("reader")
FLOWERS = load_flowers(1)
SMALL = FLOWERS.X_train[::9], FLOWERS.y_train[::9]
FEATURES: dict[str, Any] = FLOWERS.X_test.to_dict(orient="split")


@pytest.fixture(scope="module")
def boxed() -> Iterator[Reader]:
    with Reader() as reader:
        yield reader
        assert reader.nested, "this machine can make boxes within a box"


@pytest.fixture(scope="module", params=["nested", "cold", "plain"])
def any_reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader of each kind: with boxes within a box, a box a submission, and limits only."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(reader_module.WARM_VARIABLE, "0" if request.param == "cold" else "1")
        with Reader(sandbox=request.param != "plain") as reader:
            assert reader.nested == (request.param == "nested")
            yield reader


def saved(folder: Path, model: Any, **settings: Any) -> LoggedModel:
    """A model as MLflow saves it, in ``folder``."""
    mlflow.sklearn.save_model(model, folder / "model", pip_requirements=["scikit-learn"], **settings)
    return as_read(folder)


def with_code(folder: Path, code: str) -> LoggedModel:
    """A model that is loaded by running ``code``, which makes a class Model or loads one."""
    code_file = folder / "bad.py"
    code_file.write_text(code)
    mlflow.pyfunc.save_model(
        folder / "model", loader_module="bad", code_paths=[str(code_file)], pip_requirements=["mlflow"]
    )
    return as_read(folder)


def as_read(folder: Path) -> LoggedModel:
    declared = read_model_file(folder / "model")
    return LoggedModel("m-1", "model", "1", "run", "READY", 0, str(folder / "model"), declared=declared)


def answering(expression: str) -> str:
    """Code of a model whose only answer is what an expression gives in the box."""
    return (
        "import json, os, sys\nclass Model:\n    def predict(self, given):\n"
        f"        return [json.dumps({expression})]\ndef _load_pyfunc(path):\n    return Model()\n"
    )


def seen(reader: Reader, folder: Path, expression: str) -> Any:
    scoring = reader.score(folder, with_code(folder, answering(expression)), FEATURES)
    assert scoring.error is None, scoring.error
    return json.loads(scoring.labels[0])


def test_a_forest_answers_the_same_in_each_kind_of_child(any_reader: Reader, tmp_path: Path) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(*SMALL)
    model = saved(tmp_path, forest, serialization_format="cloudpickle")
    scoring = any_reader.score(tmp_path, model, FEATURES)
    assert scoring.error is None, scoring.error
    assert list(scoring.labels) == list(forest.predict(FLOWERS.X_test))
    assert np.allclose(scoring.probabilities or [], forest.predict_proba(FLOWERS.X_test))
    assert scoring.params["n_estimators"] == "3"
    any_reader.forget(tmp_path)


def test_a_store_is_read_in_each_kind_of_child(any_reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    put_store(tmp_path / "with")
    assert [found.name for found in any_reader.store(tmp_path / "with", 7).experiments] == ["Default"]
    with pytest.raises(NoStore):
        any_reader.store(tmp_path / "without", 7)


def test_a_skops_model_of_types_that_need_to_be_named_is_asked(boxed: Reader, tmp_path: Path) -> None:
    transformed = make_pipeline(SplineTransformer(), LogisticRegression(max_iter=500)).fit(*SMALL)
    types = skops.io.get_untrusted_types(data=skops.io.dumps(transformed))
    model = saved(tmp_path, transformed, skops_trusted_types=types)
    scoring = boxed.score(tmp_path, model, FEATURES)
    assert scoring.error is None
    assert list(scoring.labels) == list(transformed.predict(FLOWERS.X_test))


class Shell(BaseEstimator):
    """An estimator whose loading runs a shell command."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("how", ["cloudpickle", "skops"])
def test_what_a_model_runs_when_it_is_loaded_does_nothing_here(
    boxed: Reader, tmp_path: Path, how: str
) -> None:
    proof = tmp_path / "proof"
    if how == "cloudpickle":
        model = saved(tmp_path, Shell(str(proof)), serialization_format="cloudpickle")
    else:
        shell = FunctionTransformer(os.system, kw_args={"command": f"touch {proof}"})
        model = saved(tmp_path, shell, skops_trusted_types=["posix.system"])
    assert boxed.score(tmp_path, model, FEATURES).error, "a model that answers nothing has no score"
    assert not proof.exists()


def opens(file: str) -> Any:
    """A pipeline of nothing but types that skops trusts by default, which opens a file when it is asked."""
    names = np.array([file] * len(FLOWERS.X_test), dtype=object)
    first = FunctionTransformer(np.isnan, kw_args={"out": names, "where": np.zeros(len(names), dtype=bool)})
    words = CountVectorizer(input="filename", vocabulary={"canary": 0, "other": 1})
    svd = TruncatedSVD(n_components=1)
    svd.components_, svd.n_features_in_ = np.array([[1.0, 0.0]]), 2
    return make_pipeline(first, words, svd, DummyClassifier().fit(np.zeros((3, 1)), ["a", "b", "c"]))


def test_a_model_of_trusted_types_opens_no_file_of_the_course(
    boxed: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = tmp_path / "course"
    course.mkdir()
    (course / ".course-secret").write_text("canary")
    monkeypatch.chdir(course)
    for number, file in enumerate((".course-secret", str(course / ".course-secret"), "/etc/hostname")):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        scoring = boxed.score(folder, saved(folder, opens(file), skops_trusted_types=[]), FEATURES)
        assert scoring.error is not None
        assert "No such file" in scoring.error, scoring.error


def of_python(folder: str) -> list[str]:
    """What an otherwise empty folder holds where this Python is installed in it."""
    return sorted({p.relative_to(folder).parts[0] for p in parts_of_python() if p.is_relative_to(folder)})


def test_a_model_sees_one_folder_no_other_process_and_no_secret(
    boxed: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "AWS_SECRET_ACCESS_KEY", "MLFLOW_KIT_COURSE_SECRET"):
        monkeypatch.setenv(name, "a secret")
    neighbour = tmp_path / "neighbour"
    neighbour.mkdir()
    put_store(neighbour)
    boxed.store(neighbour, 1)  # is in the box while the other one is asked
    folder = tmp_path / "own"
    folder.mkdir()
    assert seen(boxed, folder, "[name for name in os.environ if 'secret' in os.environ[name]]") == []
    empty = ("/sandbox/in", "/sandbox/kit", "/sandbox/work", "/tmp", "/home/student")
    outside = (str(tmp_path), str(ROOT / "README.md"))
    own = "('1', str(os.getpid()))"
    for number, (expression, expected) in enumerate(
        [
            (f"[os.listdir(folder) for folder in {empty}]", [of_python(folder) for folder in empty]),
            ("sorted(os.listdir('/sandbox/shown'))", ["bad.py", "model"]),
            (f"[p for p in os.listdir('/proc') if p.isdigit() and p not in {own}]", []),
            (f"[os.path.exists(p) for p in {outside}]", [False, False]),
            ("os.listdir('/proc/self/fd') if os.path.exists('/proc/self') else []", None),
            ("[name for _, name in __import__('socket').if_nameindex()]", ["lo"]),
            ("[name for name in sys.modules if name.startswith('autograder.data.seeded')]", []),
        ]
    ):
        place = tmp_path / f"asked-{number}"
        place.mkdir()
        found = seen(boxed, place, expression)
        assert expected is None or found == expected, expression


@pytest.mark.parametrize(
    "draw",
    [
        "__import__('autograder.data').data.load_flowers",
        "__import__('autograder.workspace').workspace.load_flowers",
        "__import__('autograder.data.seeded').data.seeded.load_flowers",
    ],
)
def test_a_model_cannot_have_the_labels_drawn(boxed: Reader, tmp_path: Path, draw: str) -> None:
    code = answering(f"list({draw}(1).y_test)")
    assert boxed.score(tmp_path, with_code(tmp_path, code), FEATURES).error


def test_what_one_model_leaves_in_the_box_the_next_does_not_find(boxed: Reader, tmp_path: Path) -> None:
    places = ("/tmp", "/home/student", "/dev/shm", "/sandbox/work")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    leaves = f"[open(p + '/left', 'w').close() or os.fork() and 0 for p in {places}]"
    seen(boxed, tmp_path / "one", leaves)
    assert seen(boxed, tmp_path / "two", f"[os.listdir(p) for p in {places}]") == [
        of_python(p) for p in places
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time; time.sleep(60)", "took longer than"),
        ("import os; os._exit(3)", "ended early"),
        ("raise RuntimeError('no\\nmodel')", "RuntimeError: no"),
        ("x = bytearray(3 << 30)", "MemoryError"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL) or os.kill(1, signal.SIGKILL)", ""),
        ("raise RuntimeError('x' * (64 << 20))", ""),
        ("import os; os.write(1, b'x' * 1000); raise SystemExit(0)", ""),
    ],
)
def test_a_model_that_misbehaves_is_an_answer_and_the_next_one_is_asked(
    boxed: Reader, tmp_path: Path, code: str, words: str
) -> None:
    before = time.monotonic()
    model = with_code(tmp_path, f"def _load_pyfunc(path):\n    {code}\n")
    scoring = boxed.score(tmp_path, model, FEATURES, seconds=8)
    assert scoring.error is not None
    assert words in scoring.error
    assert len(scoring.error) <= reader_module.LONGEST_PROBLEM + 50
    assert time.monotonic() - before < 40
    (tmp_path / "next").mkdir()
    nb = saved(tmp_path / "next", LogisticRegression(max_iter=500).fit(*SMALL))
    assert boxed.score(tmp_path / "next", nb, FEATURES).error is None


def test_an_answer_without_an_end_is_cut_off(boxed: Reader, tmp_path: Path) -> None:
    code = "class Model:\n    def predict(self, given):\n        return ['x' * (1 << 20)] * 200\n"
    model = with_code(tmp_path, code + "def _load_pyfunc(path):\n    return Model()\n")
    scoring = boxed.score(tmp_path, model, FEATURES)
    assert scoring.error is not None
    assert not scoring.labels


STAYS = """
import ctypes, os, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for _ in range(5):
    if not os.fork():
        os.setsid()
        time.sleep(120)
"""
BEGINS_AN_ANSWER = """
import os
for number in range(3, 50):
    try:
        os.write(number, b"ab")
    except OSError:
        pass
"""


def test_nothing_of_a_model_outlives_its_question(boxed: Reader, tmp_path: Path) -> None:
    put_store(tmp_path)
    boxed.store(tmp_path, 1)
    assert boxed._running
    assert boxed._running.box
    first = boxed._running.box.first
    before = len(with_all_below(first))
    for number in range(3):
        place = tmp_path / f"asked-{number}"
        place.mkdir()
        boxed.score(place, with_code(place, STAYS + "time.sleep(60)\n"), FEATURES, seconds=4)
    end = time.monotonic() + 10  # the dead are collected by the first process of the outer box
    while len(with_all_below(first)) > before and time.monotonic() < end:
        time.sleep(0.1)
    assert len(with_all_below(first)) == before
    place = tmp_path / "begins"
    place.mkdir()
    began = time.monotonic()
    late = boxed.score(
        place, with_code(place, BEGINS_AN_ANSWER + "import time; time.sleep(60)\n"), FEATURES, 4
    )
    assert late.error
    assert time.monotonic() - began < 20
    assert boxed.store(tmp_path, 1).experiments


def test_where_boxes_cannot_be_nested_each_submission_gets_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # a box without the right to make others within it: what a machine that forbids it does
    monkeypatch.setattr(server_in_box, "OwnBox", lambda limits, nested: OwnBox(limits))
    put_store(tmp_path)
    with Reader() as reader:
        assert reader.store(tmp_path, 1).experiments
        assert not reader.nested
    assert "No box within a box" in caplog.text


def test_the_switch_turns_nesting_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(reader_module.WARM_VARIABLE, "0")
    assert not Reader().nested
