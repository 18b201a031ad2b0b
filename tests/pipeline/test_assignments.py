"""What every assignment holds: other seeds, running it twice, a restart, cells out of order."""

import asyncio
import json
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograder.pipeline.rehearsal import rehearse
from autograder.reports import report_text
from autograder.rubrics import Status, assignments, load_rubric
from autograder.sandbox.running import private_channel
from tests.conftest import ROOT, environment
from tests.support.forked_kernel import ForkedKernelManager

each_assignment = pytest.mark.parametrize(
    "assignment",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"runs {name}")) for name in assignments()],
)
#: Warnings that come with what is taught: autologging chooses its own format and asks scikit-learn in an
#: older way; stages, and the client's longer form of a call, are deprecated.
KNOWN_WARNINGS = (
    "Saving scikit-learn models in the pickle or cloudpickle format",
    "`y_pred` was renamed to `y_proba`",
    "transition_model_version_stage`` is deprecated",
    "Passing 'name', 'config', and 'route_optimized' as separate parameters is deprecated",
)
#: What the messages ask for where steps were done too late to count.
BEGIN_AGAIN = {"05-promotion": "register_candidates(again=True)"}
#: Shows, at the end of a notebook, the report on all tasks as data.
WHOLE_REPORT = """
import json
import tempfile
print(json.dumps({r.id: [r.outcome.status, r.outcome.next_step] for r in exercise.check().report.results}))
"""


def source(assignment: str) -> Path:
    return ROOT / "solutions" / assignment / f"{assignment}.ipynb"


def code_cells(assignment: str) -> list[NotebookNode]:
    return [
        cell for cell in nbformat.read(source(assignment), as_version=4).cells if cell.cell_type == "code"
    ]


def run_cells(cells: list[NotebookNode], folder: Path) -> list[NotebookNode]:
    """Run cells in a kernel of their own, as Jupyter does; the executed cells."""
    copies = [new_code_cell(cell.source) for cell in cells]
    with tempfile.TemporaryDirectory(prefix="kit-") as channel:
        client = NotebookClient(
            new_notebook(cells=copies),
            timeout=120,
            allow_errors=True,
            resources={"metadata": {"path": folder}},
            kernel_manager_class=ForkedKernelManager,
            config=private_channel(Path(channel)),
        )
        return list(asyncio.run(client.async_execute(env=environment())).cells)


def text(cell: NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def errors(cells: list[NotebookNode]) -> list[str]:
    return [output.ename for cell in cells for output in cell.outputs if output.output_type == "error"]


def complaints(cells: list[NotebookNode]) -> list[str]:
    """What stands on standard error, besides what informs or is a part of the lesson."""
    outputs = [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    lines = [line for output in outputs for line in output.text.splitlines()]
    warnings = [line for line in lines if " WARNING " in line or "Warning: " in line]
    return [line for line in warnings if not any(known in line for known in KNOWN_WARNINGS)]


@each_assignment
@pytest.mark.parametrize("seed", [1, 20, 4_000_000_000])
def test_the_solution_earns_all_under_other_seeds(assignment: str, seed: int, quick: None) -> None:
    report = rehearse(assignment, source(assignment), seed)
    lost = [r for r in report.results if r.outcome.status not in (Status.PASSED, Status.AWAITING)]
    assert not lost, report_text(report)


@each_assignment
def test_a_restart_in_the_middle_and_running_everything_twice_change_nothing(
    assignment: str, tmp_path: Path
) -> None:
    cells = code_cells(assignment)
    run_cells(cells[: len(cells) // 2], tmp_path)
    report = new_code_cell(WHOLE_REPORT)
    done = run_cells([*cells, report, *cells, report], tmp_path)
    assert not errors(done)
    assert not complaints(done)
    once, twice = (json.loads(text(done[n])) for n in (len(cells), -1))
    assert once == twice
    assert {status for status, _ in once.values()} <= {"passed", "awaiting a person"}


@each_assignment
def test_a_restart_before_the_last_task_loses_nothing(assignment: str, tmp_path: Path) -> None:
    """Running the given cells again takes nothing back; running all above brings back one's own names."""
    cells, report = code_cells(assignment), new_code_cell(WHOLE_REPORT)
    last = max(n for n, cell in enumerate(cells) if cell.metadata.nbgrader.solution)
    given = [cell for cell in cells[:last] if not cell.metadata.nbgrader.solution]
    before = json.loads(text(run_cells([*cells[:last], report], tmp_path)[-1]))
    done = run_cells([*given, report, *cells[:last], *cells[last:], report], tmp_path)
    assert not errors(done)
    assert json.loads(text(done[len(given)])) == before
    assert {status for status, _ in json.loads(text(done[-1])).values()} <= {"passed", "awaiting a person"}


@each_assignment
def test_tasks_done_from_the_last_to_the_first_break_no_check_and_can_be_done_again(
    assignment: str, tmp_path: Path
) -> None:
    cells, report = code_cells(assignment), new_code_cell(WHOLE_REPORT)
    tasks = {task.id for task in load_rubric(assignment).tasks}
    checks = [cell for cell in cells if cell.metadata.nbgrader.grade_id in tasks]
    solved = [cell for cell in cells if cell.metadata.nbgrader.solution]
    given = [cell for cell in cells if cell not in checks and cell not in solved]
    anew = new_code_cell(BEGIN_AGAIN.get(assignment, ""))
    done = run_cells([*given, *reversed(solved), *checks, report, anew, *cells, report], tmp_path)
    checked = len(given) + len(solved)
    assert not errors([*done[: len(given)], *done[checked:]])
    backwards, again = (json.loads(text(done[n])) for n in (checked + len(checks), -1))
    for status, next_step in (*backwards.values(), *again.values()):
        assert next_step or status in (Status.PASSED, Status.AWAITING)
    assert any(anew.source in next_step for _, next_step in backwards.values())
    lost = {id for id, (status, _) in again.items() if status not in (Status.PASSED, Status.AWAITING)}
    assert not lost


@each_assignment
def test_cells_out_of_order_are_told_what_to_do(assignment: str, tmp_path: Path) -> None:
    cells = code_cells(assignment)
    tasks = {task.id for task in load_rubric(assignment).tasks}
    checks = [cell for cell in cells if cell.metadata.nbgrader.grade_id in tasks]
    done = run_cells([cells[0], *reversed(checks), new_code_cell(WHOLE_REPORT)], tmp_path)
    assert not errors(done)
    for status, next_step in json.loads(text(done[-1])).values():
        assert status != Status.PASSED
        assert next_step or status == Status.AWAITING
