"""Twenty damaged notebooks in one class: each gets one row that says why, and whose move it is."""

import copy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.evidence.handed_in_notebook import LARGEST_NOTEBOOK, Unreadable, read_notebook
from autograder.nbgrader.handed_in import find_handed_in
from autograder.nbgrader.recognise import grade_id, recognise
from autograder.reports import Verdict
from tests.conftest import ASSIGNMENT, ROOT, make_course
from tests.support.damaged import DAMAGED, EXERCISE, NAME, TEXT, write
from tests.support.forked_command import run


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Verdict]]:
    """The verdicts of the class, by student, after one `nbgrader autograde`."""
    from autograder.nbgrader.course_files import Course

    folder = make_course(tmp_path_factory.mktemp("damaged") / "course", {})
    for student, damaged in DAMAGED.items():
        write(damaged.files, folder / "submitted" / student / ASSIGNMENT)
    done = run("nbgrader", "autograde", ASSIGNMENT, folder=folder)
    assert done.returncode == 0, done.stdout[-5000:]
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in Course(folder).verdicts(ASSIGNMENT):
        verdicts.setdefault(verdict.student, []).append(verdict)
    return verdicts


@pytest.mark.xdist_group("damaged")
@pytest.mark.parametrize("student", DAMAGED)
def test_a_damaged_notebook_gets_one_row_with_its_reason(
    student: str, rows: dict[str, list[Verdict]]
) -> None:
    damaged = DAMAGED[student]
    (verdict,) = rows[student]
    assert (verdict.kind, verdict.earned, verdict.maximum) == (damaged.kind, damaged.points, 25), verdict
    for words in damaged.because:
        assert words in verdict.because
    assert bool(verdict.because) == bool(damaged.because), verdict.because
    assert damaged.next_step in verdict.next_step
    assert bool(verdict.next_step) == bool(damaged.next_step), verdict.next_step


@pytest.mark.xdist_group("damaged")
def test_there_are_twenty(rows: dict[str, list[Verdict]]) -> None:
    assert len(DAMAGED) == 20
    assert set(rows) == set(DAMAGED)


def test_handing_in_something_else_does_not_keep_the_old_grade(tmp_path: Path) -> None:
    folder = make_course(tmp_path / "course", {})
    handed_in = folder / "submitted" / "ann" / ASSIGNMENT
    write({f"home/work/{NAME}": TEXT}, handed_in)
    assert "graded, 2 of 25 points" in run("nbgrader", "autograde", ASSIGNMENT, folder=folder).stdout
    (handed_in / "home" / "work" / NAME).rename(handed_in / "homework.pdf")
    output = run("nbgrader", "autograde", ASSIGNMENT, "--force", folder=folder).stdout
    assert f"could not be graded, 0 of 25 points. there is no {NAME}, but no notebook at all" in output
    shown = run("nbgrader", "export", folder=folder)
    assert shown.returncode == 0, shown.stdout
    (row,) = (folder / "grades.csv").read_text().splitlines()[1:]
    assert ",ann," in row
    assert row.split(",")[-2:] == ["0.0", "25.0"], row


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 and so on", "zip archive"),
        (b"\0" * 900, "it is empty"),
        (b'{"cells": 3}', "cannot be read"),
        (b'{"metadata": {}}', "it has no cells"),
        (b"[" * 100_000, "its file is not a notebook"),
        (b'{"cells": [], "nbformat": 7}', "cannot be read"),
    ],
)
def test_what_is_no_notebook_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(Unreadable, match=words.replace("cannot", ".*")):
        read_notebook(tmp_path / NAME)


def test_a_link_or_a_very_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(LARGEST_NOTEBOOK + 1)
    with pytest.raises(Unreadable, match="larger than 64 MiB"):
        read_notebook(tmp_path / "large.ipynb")
    (tmp_path / NAME).symlink_to(ROOT / "solutions" / ASSIGNMENT / NAME)
    with pytest.raises(Unreadable, match="no regular file"):
        read_notebook(tmp_path / NAME)


def test_equal_copies_in_two_folders_are_one_notebook(tmp_path: Path) -> None:
    write({f"a/{NAME}": TEXT, f"b/{NAME}": TEXT.replace(" ", "  ", 1)}, tmp_path)
    assert (
        find_handed_in(tmp_path, ASSIGNMENT, {"solve-experiment"}, read_notebook).path
        == tmp_path / "a" / NAME
    )


def _without_marks(*names: str) -> tuple[list[NotebookNode], dict[str, NotebookNode]]:
    expected = {grade_id(cell): cell for cell in EXERCISE.cells}
    cells = copy.deepcopy(EXERCISE.cells)
    for cell in cells:
        if grade_id(cell) in names:
            cell["id"] = f"new-{grade_id(cell)}"
            cell.metadata = nbformat.from_dict({"nbgrader": {"grade_id": "mine"}})
    return cells, expected


def test_a_solution_cell_without_its_mark_is_known_by_its_place() -> None:
    cells, expected = _without_marks("solve-first-run")
    cells.insert(9, nbformat.v4.new_code_cell("last_try = 3"))
    assert recognise(cells, expected) == ["solve-first-run"]
    assert cells[9].source == "last_try = 3"
    assert grade_id(cells[9]) == "solve-first-run", "of several in its place the last"


def test_what_could_be_either_of_two_cells_is_left_alone() -> None:
    cells, expected = _without_marks("solve-first-run")
    between = {"solve-first-run", "first-run", "task-log-model", "solve-log-model"}
    cells = [cell for cell in cells if grade_id(cell) not in between]
    assert len(cells) == len(EXERCISE.cells) - 3
    assert recognise(cells, expected) == []
