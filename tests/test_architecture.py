"""The order of rooms, the lock file and the commands are what the README says they are."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT, run

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_imports_keep_to_the_contracts() -> None:
    done = run("lint-imports", "--no-cache", folder=ROOT)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


def test_an_import_against_the_arrows_is_noticed(tmp_path: Path) -> None:
    package = tmp_path / "autograder"
    for path in (ROOT / "autograder").rglob("*.py"):
        copy = package / path.relative_to(ROOT / "autograder")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (package / "data" / "seeded.py").open("a") as file:
        file.write("\nimport autograder.grading\n")
    done = run("lint-imports", "--no-cache", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Imports point one way between the rooms BROKEN" in done.stdout


def test_the_lock_names_versions_and_hashes_and_no_addresses() -> None:
    assert "://" not in LOCK
    entries = re.split(r"\n(?=[a-z0-9])", LOCK[LOCK.index("\naccessible") + 1 :])
    assert len(entries) > 150
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,-]+\])?==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


@pytest.mark.parametrize("package", ["mlflow", "scikit-learn", "skops", "nbgrader", "jupyter-book"])
def test_the_lock_has_the_releases_that_the_kit_was_made_for(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    (pin,) = [one for group in groups for one in group if one.startswith(f"{package}==")]
    assert f"\n{pin} " in LOCK


def test_the_lock_serves_windows_and_macos_too() -> None:
    assert "sys_platform == 'win32'" in LOCK
    assert "colorama" in LOCK


def test_every_command_has_a_help_text() -> None:
    done = run("mlflow-kit", "--help", folder=ROOT, COLUMNS="120")
    assert done.returncode == 0
    for command in ("check", "results", "book", "demo"):
        assert re.search(rf"{command} +[A-Z]", done.stdout), command
        assert run("mlflow-kit", command, "--help", folder=ROOT).returncode == 0


@pytest.mark.parametrize("arguments", [["check"], ["check", "nope"], ["results", "nope"], ["dance"]])
def test_a_usage_error_is_status_2(arguments: list[str], tmp_path: Path) -> None:
    done = run("mlflow-kit", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stdout
