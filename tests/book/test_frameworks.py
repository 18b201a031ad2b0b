"""What the chapter on other frameworks shows was printed by the committed scripts, with the locked versions.

The frameworks are not installed here: `make frameworks` runs them.
"""

import importlib
import inspect
import re

import pytest

from tests.conftest import ROOT
from tests.support.pages import included, shown

HERE = ROOT / "book" / "frameworks"
CHAPTER = ROOT / "book" / "chapters" / "frameworks.md"
SCRIPTS = sorted([*HERE.glob("with_*.py"), HERE / "what_fails.py"])
LOCK = dict(re.findall(r"^([\w.-]+)==(\S+)", (HERE / "requirements.lock").read_text(), re.MULTILINE))
VERSIONS = dict(line.split() for line in (HERE / "outputs" / "versions.txt").read_text().splitlines())


def test_there_are_five_frameworks_and_each_has_what_it_printed() -> None:
    assert [s.stem for s in SCRIPTS] == [
        "what_fails", "with_keras", "with_lightgbm", "with_pytorch", "with_sklearn", "with_xgboost",
    ]  # fmt: skip
    assert {o.stem for o in (HERE / "outputs").glob("*.txt")} == {*(s.stem for s in SCRIPTS), "versions"}


def test_the_versions_are_the_lock_s_and_the_lock_has_what_was_asked_for() -> None:
    assert VERSIONS.pop("python") == "3.11"
    assert {name: LOCK[name] for name in VERSIONS} == VERSIONS
    asked = re.findall(r"^([a-z][\w-]*)", (HERE / "requirements.in").read_text(), re.MULTILINE)
    assert sorted(asked) == sorted(VERSIONS)


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (HERE / "requirements.lock").read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text):
        if not block.startswith("#"):
            assert "--hash=sha256:" in block, block


def test_what_is_the_kit_s_own_is_locked_alike() -> None:
    kit = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for name in ("mlflow", "scikit-learn", "skops", "pandas"):
        assert VERSIONS[name] == kit[name], name


@pytest.mark.parametrize("output", sorted((HERE / "outputs").glob("*.txt")), ids=lambda o: o.stem)
def test_an_output_fits_and_has_nothing_that_changes(output) -> None:  # type: ignore[no-untyped-def]
    text = output.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 78
    assert not re.search(r"[0-9a-f]{32}|m-[0-9a-f]{8}|/tmp|/home|127\.0\.0\.1|\d\d:\d\d:\d\d", text)


@pytest.mark.parametrize("name", ["sklearn", "xgboost", "lightgbm", "pytorch", "keras"])
def test_a_framework_did_all_the_steps(name: str) -> None:
    text = (HERE / "outputs" / f"with_{name}.txt").read_text(encoding="utf-8")
    assert f"run       {name}, FINISHED" in text
    assert f"version   1 of Flowers-{name}" in text
    assert 0.9 < float(re.search(r"^accuracy  (\S+)$", text, re.MULTILINE)[1]) < 1  # type: ignore[index]
    assert "python_function" in text
    assert "answered  200" in text


def test_the_chapter_shows_the_scripts_and_what_they_printed() -> None:
    assert {path.relative_to(HERE).as_posix() for path in included(CHAPTER)} == {
        "steps.py",
        *(s.name for s in SCRIPTS),
        *(f"outputs/{s.stem}.txt" for s in SCRIPTS),
        "outputs/versions.txt",
    }
    for script in SCRIPTS:
        assert all(shown(CHAPTER, script))
        if script.stem.startswith("with_"):
            assert shown(CHAPTER, script) == [script.read_text(encoding="utf-8").rstrip("\n")]
    (steps,) = shown(CHAPTER, HERE / "steps.py")
    assert steps.startswith("def work_through(")


@pytest.mark.parametrize("flavor", ["sklearn", "xgboost", "lightgbm", "pytorch"])  # Keras's needs TensorFlow
def test_only_the_model_must_be_passed_and_the_older_name_is_still_there(flavor: str) -> None:
    parameters = inspect.signature(importlib.import_module(f"mlflow.{flavor}").log_model).parameters
    needed = [
        name for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]  # fmt: skip
    assert len(needed) == 1
    assert needed[0].endswith("_model")
    assert list(parameters)[1] == "artifact_path"
    assert "name" in parameters
