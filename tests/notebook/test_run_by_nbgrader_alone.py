"""Where nbgrader runs an exercise without the kit's configuration, checks give points and fail closed."""

import copy
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.utils import determine_grade

from autograder.notebook import NotAllPoints, open_exercise
from autograder.rubrics import load_rubric
from tests.conftest import ASSIGNMENT, ROOT, SAMPLES
from tests.notebook.test_in_the_notebook import outputs, printed, work_through
from tests.support.forked_command import run

NAME = f"{ASSIGNMENT}.ipynb"
TASKS = load_rubric(ASSIGNMENT).tasks


@pytest.fixture(scope="module")
def metric_after_the_block(solution: NotebookNode, exercise: NotebookNode) -> NotebookNode:
    """A notebook that earns 6 of 7 points in its first run, 23 of 25 in all."""
    content = SAMPLES["logs-a-metric-after-the-block"].content(solution, exercise)
    return nbformat.reads(content, as_version=4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nbgrader's exchange is not for Windows")
def test_a_course_without_the_kit_s_configuration_gives_the_points_of_the_reports(
    tmp_path: Path, metric_after_the_block: NotebookNode
) -> None:
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    handed_in = {
        "solved": ROOT / "solutions" / ASSIGNMENT / NAME,
        "untouched": ROOT / "exercises" / ASSIGNMENT / NAME,
    }
    for student, path in handed_in.items():
        folder = tmp_path / "submitted" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / NAME).write_bytes(path.read_bytes())
    folder = tmp_path / "submitted" / "partly" / ASSIGNMENT
    folder.mkdir(parents=True)
    nbformat.write(metric_after_the_block, folder / NAME)
    (tmp_path / "source" / ASSIGNMENT).mkdir(parents=True)
    (tmp_path / "source" / ASSIGNMENT / NAME).write_bytes(handed_in["solved"].read_bytes())
    for command in (("generate_assignment", ASSIGNMENT), ("autograde", ASSIGNMENT), ("export",)):
        done = run("nbgrader", *command, folder=tmp_path)
        assert done.returncode == 0, done.stdout[-3000:]
    with (tmp_path / "grades.csv").open(newline="") as file:
        found = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert found == {"solved": 25, "partly": 23, "untouched": 0}


@pytest.mark.parametrize(("step", "succeeds"), [("solutions", True), ("exercises", False)])
def test_validating_says_success_only_where_all_points_are_earned(
    tmp_path: Path, step: str, succeeds: bool
) -> None:
    (tmp_path / NAME).write_bytes((ROOT / step / ASSIGNMENT / NAME).read_bytes())
    done = run("nbgrader", "validate", NAME, folder=tmp_path)
    assert ("Success!" in done.stdout) is succeeds, done.stdout
    assert ("Do that first" in done.stdout) is not succeeds, "the report says what to do"


def test_one_missing_point_fails_validation_and_costs_one_point_in_grading(
    tmp_path: Path, metric_after_the_block: NotebookNode
) -> None:
    for execution in ("validate", "autograde"):
        folder = tmp_path / execution
        folder.mkdir()
        done = work_through(metric_after_the_block, folder, NBGRADER_EXECUTION=execution)
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in done.cells}
        kinds = [output.output_type for output in cells["first-run"].outputs]
        assert kinds == ["display_data", "error" if execution == "validate" else "execute_result"]
        points = {task.id: determine_grade(cells[task.id])[0] for task in TASKS}
        assert points["experiment"] == 2
        assert points["first-run"] == (0 if execution == "validate" else 6)


@pytest.fixture
def checks_inside(solution: NotebookNode) -> NotebookNode:
    """The solution, which asks for the check of a task before that task is done, among other lines."""
    notebook = copy.deepcopy(solution)
    for cell in notebook.cells:
        if cell.metadata.nbgrader.grade_id in ("solve-first-run", "solve-log-model"):
            task = cell.metadata.nbgrader.grade_id.removeprefix("solve-")
            cell.source = f'assert exercise.check("{task}")\n{cell.source}'
    return notebook


def test_a_check_among_a_student_s_own_lines_costs_nothing_where_nbgrader_runs_by_itself(
    checks_inside: NotebookNode, tmp_path: Path
) -> None:
    done = work_through(checks_inside, tmp_path, NBGRADER_EXECUTION="autograde")
    for task in TASKS:
        cell = next(cell for cell in done.cells if cell.metadata.nbgrader.grade_id == task.id)
        assert determine_grade(cell) == (task.points, task.points)


def test_in_a_graded_run_a_check_says_that_it_is_made_later_and_costs_nothing(
    checks_inside: NotebookNode, tmp_path: Path
) -> None:
    notebook = tmp_path / NAME
    nbformat.write(checks_inside, notebook)
    done = run("mlflow-kit", "rehearse", ASSIGNMENT, str(notebook), folder=tmp_path)
    assert "25 of 25 points" in done.stdout, done.stdout
    graded = work_through(checks_inside, tmp_path, MLFLOW_KIT_GRADED_RUN="1")
    said = "The check of “first-run” is made after this run, from what it leaves."
    assert said in printed(graded, "solve-first-run")
    assert not [output for output in outputs(graded, "first-run") if output.output_type != "stream"]


@pytest.fixture
def without_grading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rooms that grade are not there, as in the sandbox."""
    for room in ("evidence", "grading", "pipeline.own_work", "rubrics"):
        monkeypatch.setitem(sys.modules, f"autograder.{room}", None)
    yield


def test_where_the_rubrics_are_not_there_a_check_raises_nothing_unless_nbgrader_would_take_that_for_points(
    without_grading: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = open_exercise(ASSIGNMENT, tmp_path)
    assert "made after this run" in repr(exercise.check("compare"))
    assert "The check of “compare” is made after this run" in capsys.readouterr().out
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(ModuleNotFoundError):
        open_exercise(ASSIGNMENT, tmp_path).check("compare")


@pytest.mark.parametrize("execution", ["autograde", "validate"])
def test_changing_the_variable_later_does_not_open_the_check(
    execution: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", execution)
    exercise = open_exercise(ASSIGNMENT, folder)
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.setenv("MLFLOW_KIT_GRADED_RUN", "1")
    with pytest.raises(NotAllPoints, match="0 of 2 points"):
        exercise.check("experiment")
