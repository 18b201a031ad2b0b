"""The exercises are what the solutions make them, and the notebooks are fit to be committed."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.rubrics import assignments, load_rubric
from tests.conftest import ASSIGNMENT, ROOT, run

each_assignment = pytest.mark.parametrize("assignment", assignments())


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    shutil.copytree(
        ROOT / "solutions", tmp_path / "solutions", ignore=shutil.ignore_patterns("mlflow.db*", "mlruns")
    )
    return tmp_path


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


def cells_of(kind: str, assignment: str) -> list[NotebookNode]:
    return nbformat.read(ROOT / kind / assignment / f"{assignment}.ipynb", as_version=4).cells


@each_assignment
def test_each_task_has_one_solution_cell_and_one_check_cell(assignment: str) -> None:
    """A written answer is both in one."""
    cells = {grade_id(cell): cell for cell in cells_of("exercises", assignment)}
    ids = list(cells)
    assert len(ids) == len(cells_of("exercises", assignment))
    for task in load_rubric(assignment).tasks:
        if cells[task.id].cell_type == "code":
            assert ids.index(f"solve-{task.id}") == ids.index(task.id) - 1
        else:
            assert cells[task.id].metadata.nbgrader.solution
        assert f"task-{task.id}" in ids


#: What stands in a cell before the student's own code.
GIVEN = {
    ("06-serving", "solve-endpoint"): "remove_endpoint()  # what an earlier try of this cell has left\n\n"
}


@each_assignment
def test_the_exercise_holds_no_solution(assignment: str) -> None:
    for cell in cells_of("exercises", assignment):
        if cell.metadata.nbgrader.solution and cell.cell_type == "code":
            given = GIVEN.get((assignment, grade_id(cell)), "")
            assert cell.source == f"{given}# YOUR CODE HERE\nraise NotImplementedError()"
        elif cell.metadata.nbgrader.solution:
            assert cell.source == "YOUR ANSWER HERE"


@each_assignment
def test_code_in_the_notebooks_fits_the_page(assignment: str) -> None:
    """JupyterLab shows 100 columns beside its file browser in a window of 1280 pixels."""
    for kind, width in (("exercises", 100), ("solutions", 110)):
        for cell in cells_of(kind, assignment):
            if cell.cell_type == "code":
                assert max(len(line) for line in cell.source.splitlines()) <= width, (kind, cell.id)


def grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")
