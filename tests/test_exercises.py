"""The exercises are what the solutions make them, and the notebooks are fit to be committed."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.rubrics import assignments, load_rubric
from tests.conftest import ASSIGNMENT, ROOT, run


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    shutil.copytree(
        ROOT / "solutions", tmp_path / "solutions", ignore=shutil.ignore_patterns("mlflow.db*", "mlruns")
    )
    return tmp_path


def test_regenerating_the_exercises_shows_no_difference(course: Path) -> None:
    for assignment in assignments():
        done = run("nbgrader", "generate_assignment", assignment, folder=course)
        assert done.returncode == 0, done.stdout
        made = course / "exercises" / assignment / f"{assignment}.ipynb"
        committed = ROOT / "exercises" / assignment / f"{assignment}.ipynb"
        assert made.read_bytes() == committed.read_bytes(), f"run `make exercises`: {assignment} differs"


def test_generating_fails_where_the_points_are_not_the_rubric_s(course: Path) -> None:
    path = course / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "compare":
            cell.metadata.nbgrader.points = 99
    nbformat.write(notebook, path)
    done = run("nbgrader", "generate_assignment", ASSIGNMENT, folder=course)
    assert done.returncode != 0
    assert "compare: 99.0 points in the notebook, 8 in the rubric" in done.stdout
    assert not (course / "exercises" / ASSIGNMENT).exists()


@pytest.mark.parametrize("kind", ["solutions", "exercises"])
def test_notebooks_are_committed_without_outputs_and_with_telling_ids(kind: str) -> None:
    for path in sorted((ROOT / kind).glob("*/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            assert not cell.get("outputs"), f"{path.name}: the cell {cell.id} has outputs"
            assert cell.id in (grade_id(cell), f"check-{grade_id(cell)}"), f"{path.name}: {cell.id}"


def test_each_task_has_one_solution_cell_and_one_check_cell(exercise: NotebookNode) -> None:
    ids = [grade_id(cell) for cell in exercise.cells]
    for task in load_rubric(ASSIGNMENT).tasks:
        assert ids.count(task.id) == 1
        assert ids.index(f"solve-{task.id}") == ids.index(task.id) - 1
        assert f"task-{task.id}" in ids


def test_the_exercise_holds_no_solution(exercise: NotebookNode) -> None:
    for cell in exercise.cells:
        if cell.metadata.nbgrader.solution:
            assert cell.source == "# YOUR CODE HERE\nraise NotImplementedError()"


def test_code_in_the_notebooks_fits_the_page(solution: NotebookNode) -> None:
    for cell in solution.cells:
        if cell.cell_type == "code":
            assert max(len(line) for line in cell.source.splitlines()) <= 92, cell.id


def grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")
