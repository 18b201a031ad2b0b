"""Twenty damaged notebooks in one class: each gets one row that says why, and whose move it is."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.nbgrader.handed_in import find_handed_in
from autograder.nbgrader.reading import LARGEST_NOTEBOOK, Unreadable, read_notebook
from autograder.nbgrader.recognise import grade_id, recognise
from autograder.reports import Verdict, VerdictKind
from tests.conftest import ASSIGNMENT, ROOT, make_course
from tests.forked_command import run

NAME = f"{ASSIGNMENT}.ipynb"
GRADED, PARTLY, UNGRADED = VerdictKind.GRADED, VerdictKind.PARTLY, VerdictKind.UNGRADED
SOLUTION = nbformat.read(ROOT / "solutions" / ASSIGNMENT / NAME, as_version=4)
EXERCISE = nbformat.read(ROOT / "exercises" / ASSIGNMENT / NAME, as_version=4)
Notebook = dict[str, Any]


def worked_on(*solved: str) -> Notebook:
    """The exercise as JSON, with some of its solution cells filled in: experiment (2), first-run (7)."""
    notebook = copy.deepcopy(EXERCISE)
    written = {grade_id(cell): cell.source for cell in SOLUTION.cells}
    for cell in notebook.cells:
        if grade_id(cell) in [f"solve-{task}" for task in solved or ("experiment",)]:
            cell.source = written[grade_id(cell)]
    return json.loads(nbformat.writes(notebook))


def cell_of(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["metadata"]["nbgrader"]["grade_id"] == name)


def with_checks_gone() -> Notebook:
    notebook = worked_on()
    cell_of(notebook, "log-model")["source"] = []
    cell_of(notebook, "compare")["cell_type"] = "markdown"
    cell_of(notebook, "setup")["source"] += ["\nimport numpy as np"]
    for name in ("experiment", "first-run"):
        notebook["cells"].remove(cell_of(notebook, name))
    return notebook


def cut_in_two() -> Notebook:
    notebook = worked_on("experiment", "first-run")
    first = cell_of(notebook, "solve-first-run")
    first["source"] = "".join(first["source"])
    second = copy.deepcopy(first) | {"id": "new"}
    first["source"], _, second["source"] = first["source"].partition("\nwith ")
    second["source"] = f"with {second['source']}"
    notebook["cells"].insert(notebook["cells"].index(first) + 1, second)
    twin = copy.deepcopy(cell_of(notebook, "first-run")) | {"id": "twin"}
    notebook["cells"].append(twin)
    return notebook


def stripped_by_a_converter() -> Notebook:
    notebook = worked_on()
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    return notebook | {"nbformat_minor": 2, "metadata": {}}


def saved_by_colab() -> Notebook:
    notebook = worked_on()
    for cell in notebook["cells"]:
        del cell["id"]
        cell["metadata"] |= {"id": "x1Yz", "outputId": "3f2a", "colab": {"base_uri": "https://localhost/"}}
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["…"], "extra": 1}]
    colab: Notebook = {"colab": {"provenance": []}, "kernelspec": {"name": "python3"}}
    return notebook | {"nbformat_minor": 0, "metadata": colab}


def of_format_3() -> Notebook:
    old = nbformat.convert(nbformat.from_dict(worked_on()), 3)
    return json.loads(json.dumps(old))


def with_repeated_ids() -> Notebook:
    notebook = worked_on()
    for cell in notebook["cells"]:
        cell["id"] = "the same"
        if cell["cell_type"] == "markdown":
            cell["outputs"] = []
    return notebook


def with_a_foreign_kernel() -> Notebook:
    notebook = worked_on()
    spec = {"name": "conda-env-mlops-py", "display_name": "Python [conda env:mlops]", "language": "python"}
    notebook["metadata"]["kernelspec"] = spec
    return notebook


def using_a_module_beside_it() -> Notebook:
    notebook = worked_on()
    cell_of(notebook, "solve-experiment")["source"] = "import helper\nmlflow.set_experiment(helper.name)"
    return notebook


def turned_into_text() -> Notebook:
    notebook = worked_on()
    cell = cell_of(notebook, "solve-experiment")
    cell["cell_type"] = "markdown"
    cell["attachments"] = {}
    del cell["outputs"], cell["execution_count"]
    return notebook


def reordered() -> Notebook:
    notebook = worked_on("experiment", "first-run")
    moved = cell_of(notebook, "solve-experiment")
    notebook["cells"].remove(moved)
    notebook["cells"].append(moved)
    return notebook


def of_another_assignment() -> Notebook:
    text = json.dumps(worked_on()).replace("01-tracking", "02-registry")
    notebook: Notebook = json.loads(text.replace("solve-", "register-"))
    return notebook | {"cells": [cell for cell in notebook["cells"] if "exercise.check" not in str(cell)]}


def with_50_megabytes_of_output() -> Notebook:
    notebook = worked_on()
    printed = {"output_type": "stream", "name": "stdout", "text": "epoch 1 of 1000\n" * 3_300_000}
    cell_of(notebook, "solve-experiment")["outputs"] = [printed]
    return notebook


TEXT = json.dumps(worked_on(), indent=1)
OTHER = json.dumps(worked_on("experiment", "first-run"), indent=1)
LINES = TEXT.splitlines()
CONFLICT = "\n".join(
    [*LINES[:9], "<<<<<<< HEAD", LINES[9], "=======", LINES[9], ">>>>>>> theirs", *LINES[10:]]
)
PAGE = "<!DOCTYPE html>\n<html><head><title>01-tracking.ipynb</title></head><body>Sign in</body></html>"


@dataclass(frozen=True)
class Damaged:
    """Files that a student handed in, and the row that this gets."""

    files: dict[str, Callable[[], Notebook] | str | bytes]
    kind: VerdictKind
    points: float = 0
    because: tuple[str, ...] = ()
    next_step: str = ""


def only(content: Callable[[], Notebook] | str | bytes, *row: Any) -> Damaged:
    return Damaged({NAME: content}, *row)


SAVED_AGAIN = "Ask the student to hand in the notebook again"
DAMAGED = {
    "checks-gone": only(
        with_checks_gone,
        PARTLY,
        2,
        (
            "each of the cells experiment, first-run was missing and was put back",
            "the cell log-model was emptied and was put back",
            "each of the cells setup, compare was changed and was put back as it was",
        ),
    ),
    "cut-in-two": only(
        cut_in_two,
        PARTLY,
        9,
        (
            "the cell solve-first-run was there more than once: all were run, the last counts",
            "the cell first-run was there more than once: one was kept",
        ),
    ),
    "stripped-by-a-converter": only(
        stripped_by_a_converter, PARTLY, 2, ("and 14 more had lost its mark and was recognised",)
    ),
    "saved-by-colab": only(saved_by_colab, GRADED, 2),
    "of-format-3": only(of_format_3, GRADED, 2, ("older notebook format 3",)),
    "with-repeated-ids": only(with_repeated_ids, GRADED, 2),
    "with-a-foreign-kernel": only(with_a_foreign_kernel, GRADED, 2),
    "renamed": Damaged(
        {"01-tracking (1).ipynb": TEXT, "scratch.ipynb": '{"cells": []}'},
        GRADED,
        2,
        ("it was handed in as 01-tracking (1).ipynb",),
    ),
    "in-a-folder": Damaged(
        {f"work/{NAME}": using_a_module_beside_it, "work/helper.py": "name = 'flower-species'\n"},
        GRADED,
        2,
        (f"it was handed in as work/{NAME}",),
    ),
    "beside-its-copy": Damaged(
        {
            NAME: TEXT,
            "01-tracking-Copy1.ipynb": OTHER,
            ".ipynb_checkpoints/01-tracking-checkpoint.ipynb": "",
            "__MACOSX/._01-tracking.ipynb": "",
        },
        GRADED,
        2,
        ("01-tracking-Copy1.ipynb beside it was not looked at",),
    ),
    "two-copies": Damaged(
        {"01-tracking-Copy1.ipynb": TEXT, "01-tracking-Copy2.ipynb": OTHER},
        UNGRADED,
        0,
        ("more than one could be meant: 01-tracking-Copy1.ipynb, 01-tracking-Copy2.ipynb",),
        "Ask the student which one counts",
    ),
    "in-a-merge-conflict": only(
        CONFLICT, UNGRADED, 0, ("unresolved git merge conflict",), "Ask the student to resolve the conflict"
    ),
    "cut-off": only(TEXT[: len(TEXT) // 2], UNGRADED, 0, ("it was cut off",), SAVED_AGAIN),
    "empty": only("", UNGRADED, 0, ("its file is not a notebook: it is empty",), SAVED_AGAIN),
    "in-utf-16": only(TEXT.encode("utf-16"), GRADED, 2, ("saved as UTF-16",)),
    "a-web-page": only(PAGE, UNGRADED, 0, ("it is a web page",), "downloaded from Jupyter"),
    "turned-into-text": only(
        turned_into_text, PARTLY, 2, ("the cell solve-experiment was turned into text: it was run as code",)
    ),
    "reordered": only(
        reordered, PARTLY, 9, ("the cell solve-experiment stood elsewhere and was moved back",)
    ),
    "of-another-assignment": only(
        of_another_assignment,
        UNGRADED,
        0,
        ("none of the exercise's cells: it is the notebook of 02-registry",),
        f"Ask the student to hand in {NAME} again",
    ),
    "with-50-megabytes-of-output": only(with_50_megabytes_of_output, GRADED, 2),
}


def write(files: dict[str, Callable[[], Notebook] | str | bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = json.dumps(content()) if callable(content) else content
        path.write_bytes(written.encode() if isinstance(written, str) else written)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Verdict]]:
    """The verdicts of the class, by student, after one `nbgrader autograde`."""
    from autograder.nbgrader.course import Course

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
    assert find_handed_in(tmp_path, ASSIGNMENT, {"solve-experiment"}).path == tmp_path / "a" / NAME


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
