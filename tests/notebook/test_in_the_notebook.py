"""What a student sees: the notebook run in Jupyter's own way, its check cells included."""

import copy
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from autograder.rubrics import load_rubric
from autograder.sandbox.running import private_channel
from tests.conftest import ASSIGNMENT, SAMPLES, environment, run


def work_through(notebook: NotebookNode, folder: Path, **changes: str) -> NotebookNode:
    """Run a notebook in ``folder`` as a student does, with what their environment says."""
    done = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory(prefix="kit-") as sockets:
        client = NotebookClient(
            done,
            timeout=120,
            kernel_name="python3",
            allow_errors=True,
            resources={"metadata": {"path": str(folder)}},
            config=private_channel(Path(sockets)),
        )
        client.execute(env=environment(**changes))
    return done


def outputs(notebook: NotebookNode, grade_id: str) -> list[NotebookNode]:
    return next(c.outputs for c in notebook.cells if c.metadata.nbgrader.grade_id == grade_id)


def printed(notebook: NotebookNode, grade_id: str) -> str:
    return "".join(o.text for o in outputs(notebook, grade_id) if o.output_type == "stream")


@pytest.fixture(scope="module")
def solved(solution: NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The solution, worked through by a student whose environment names a tracking server."""
    folder = tmp_path_factory.mktemp("solved")
    return work_through(solution, folder, MLFLOW_TRACKING_URI="http://127.0.0.1:9", DATABRICKS_TOKEN="dapi")


@pytest.mark.xdist_group("notebook")
def test_every_check_of_the_solution_shows_full_marks(solved: NotebookNode) -> None:
    for task in load_rubric(ASSIGNMENT).tasks:
        (shown,) = outputs(solved, task.id)
        assert f"{task.points:g} of {task.points:g} points" in shown.data["text/plain"]
        assert f"{task.points:g} of {task.points:g} points" in shown.data["text/html"]


@pytest.mark.xdist_group("notebook")
def test_the_solution_raises_nothing_and_warns_of_nothing(solved: NotebookNode) -> None:
    for cell in solved.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", output.text


@pytest.mark.xdist_group("notebook")
def test_the_environment_s_tracking_server_is_set_aside_and_said_so(solved: NotebookNode) -> None:
    text = printed(solved, "setup")
    assert "mlflow.db" in text.splitlines()[0]
    assert "(DATABRICKS_TOKEN, MLFLOW_TRACKING_URI)" in text
    assert "does not use it" in text


def test_no_check_of_the_untouched_exercise_gives_a_point(exercise: NotebookNode, tmp_path: Path) -> None:
    done = work_through(exercise, tmp_path)
    for task in load_rubric(ASSIGNMENT).tasks:
        (shown,) = outputs(done, task.id)
        assert f"0 of {task.points:g} points" in shown.data["text/plain"]
        assert "✔" not in shown.data["text/plain"]


def test_the_student_s_check_and_the_grade_are_one_report(
    solution: NotebookNode, exercise: NotebookNode, tmp_path: Path
) -> None:
    content = SAMPLES["logs-a-metric-after-the-block"].content(solution, exercise)
    done = work_through(nbformat.reads(content, as_version=4), tmp_path)
    (shown,) = outputs(done, "first-run")
    assert "6 of 7 points" in shown.data["text/plain"]
    assert "started by itself" in shown.data["text/plain"]
    checked = run("mlflow-kit", "check", ASSIGNMENT, "--folder", str(tmp_path), folder=tmp_path)
    assert "23 of 25 points" in checked.stdout
    assert "started by itself" in checked.stdout


def test_changing_the_folder_in_the_middle_makes_no_second_store(
    solution: NotebookNode, tmp_path: Path
) -> None:
    wandering = copy.deepcopy(solution)
    for cell in wandering.cells:
        if cell.id == "solve-first-run":
            cell.source = "import os; os.mkdir('elsewhere'); os.chdir('elsewhere')\n" + cell.source
    done = work_through(wandering, tmp_path)
    assert "8 of 8 points" in outputs(done, "compare")[0].data["text/plain"]
    assert list(tmp_path.rglob("mlflow.db")) == [tmp_path / "mlflow.db"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_running_everything_twice_gives_the_same_report(solution: NotebookNode, tmp_path: Path) -> None:
    work_through(solution, tmp_path)
    again = work_through(solution, tmp_path)
    for task in load_rubric(ASSIGNMENT).tasks:
        assert f"{task.points:g} of {task.points:g} points" in outputs(again, task.id)[0].data["text/plain"]


def test_outside_jupyter_a_check_prints_its_report(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from autograder.notebook import open_exercise\n"
        f"exercise = open_exercise({ASSIGNMENT!r})\n"
        "print(exercise.check('experiment'))\n"
        "try: exercise.check('experimant')\n"
        "except KeyError as error: print(error)\n"
    )
    done = run("python", str(script), folder=tmp_path)
    assert "not attempted, 0/2" in done.stdout
    assert "There is no task 'experimant' here; the tasks are: experiment, first-run" in done.stdout
