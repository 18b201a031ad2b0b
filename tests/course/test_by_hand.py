"""What a person graded in formgrader is in the class's table."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from nbgrader.api import Gradebook

from tests.conftest import graded_in
from tests.support.forked_command import run
from tests.support.jupyter import TOKEN, serving

CAPSTONE = "10-capstone"

pytestmark = pytest.mark.xdist_group(graded_in(CAPSTONE, "solution"))


@pytest.fixture
def capstone(class_of: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A copy of the course in which the capstone's usual submissions were graded."""
    return Path(shutil.copytree(class_of(CAPSTONE, "solution"), tmp_path / "course"))


def give(course: Path, private_folder: Path, student: str, points: dict[str, float]) -> None:
    """Give a student points by hand, cell by cell, as formgrader's page does."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        notebook = gradebook.find_submission_notebook(CAPSTONE, CAPSTONE, student)
        ids = {grade.name: grade.id for grade in notebook.grades}
    with serving(course, private_folder) as address:
        for name, score in points.items():
            done = requests.put(
                f"{address}/formgrader/api/grade/{ids[name]}",
                json={"manual_score": score},
                headers={"Authorization": f"token {TOKEN}"},
                timeout=30,
            )
            assert done.json()["manual_score"] == score


def shown(course: Path) -> str:
    done = run("mlflow-kit", "results", CAPSTONE, folder=course, COLUMNS="200")
    assert done.returncode == 0, done.stdout
    return " ".join(done.stdout.split())


def test_a_note_that_a_person_graded_waits_for_nobody(capstone: Path, tmp_path: Path) -> None:
    before = shown(capstone)
    assert "34 of 40 │ partly graded" in before
    assert "solution: some criteria wait for a person" in before

    give(capstone, tmp_path, "solution", {"note": 5})
    after = shown(capstone)
    assert "5 │ 39 of 40 │ graded" in after
    assert "solution: a person graded note." in after

    done = run("nbgrader", "autograde", CAPSTONE, "--student", "solution", "--force", folder=capstone)
    assert done.returncode == 0, done.stdout
    assert "39 of 40 │ partly graded" in shown(capstone), "nbgrader asks a person to look again"


def test_nobody_waits_for_a_note_that_was_not_written(capstone: Path, tmp_path: Path) -> None:
    assert "0 of 40 │ graded" in shown(capstone)
    give(capstone, tmp_path, "untouched", {"serve": 3})
    after = shown(capstone)
    assert "3 of 40 │ graded" in after
    assert "untouched: a person graded serve." in after
    assert "34 of 40 │ partly graded" in after


def test_a_gradebook_that_cannot_be_read_is_told_beside_the_table(capstone: Path) -> None:
    (capstone / "gradebook.db").write_text("no database, however long one looks at it" * 100)
    after = shown(capstone)
    assert "34 of 40 │ partly graded" in after
    assert "gradebook.db cannot be read (file is not a database)" in after
    assert "What persons graded is not in the table" in after
