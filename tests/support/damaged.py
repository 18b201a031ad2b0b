"""Twenty ways in which students damage a notebook, and the row that each must get."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from autograder.nbgrader.recognise import grade_id
from autograder.reports import VerdictKind
from tests.conftest import ASSIGNMENT, ROOT

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
