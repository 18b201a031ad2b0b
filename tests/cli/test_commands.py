"""What all commands have in common: how they start, and how an error of the kit ends them."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import autograder.course.doctor
from autograder.base.errors import KitError
from autograder.cli import app
from autograder.evidence.handed_in_notebook import Unreadable
from tests.conftest import environment

HEAVY = "mlflow pandas numpy sklearn skops nbgrader nbformat pydantic fastapi deltalake requests sqlalchemy"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (KitError("There is no box. Install bubblewrap."), "There is no box. Install bubblewrap."),
        (KitError("There is no box.", "Install bubblewrap."), "There is no box. Install bubblewrap."),
        (Unreadable("It is empty.", "Hand in again."), "It is empty. Hand in again."),
    ],
)
def test_an_error_of_the_kit_ends_any_command_with_its_text_its_next_step_and_status_1(
    error: KitError, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(autograder.course.doctor, "examine", fail)
    done = CliRunner().invoke(app, ["doctor"])
    assert (done.exit_code, done.stderr) == (1, f"{shown}\n")


def test_a_fault_of_the_program_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograder.course.doctor, "examine", lambda: 1 / 0)
    done = CliRunner().invoke(app, ["doctor"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_the_command_line_starts_without_heavy_libraries(tmp_path: Path) -> None:
    code = f"import sys, autograder.cli; print(*sorted(set({HEAVY.split()}) & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == ""
