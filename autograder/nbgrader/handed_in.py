"""What counts as handed in, by whom, and which of the files is the notebook that is meant."""

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nbformat import NotebookNode

from autograder.base.regular_files import shown
from autograder.base.text import hidden_characters, plain
from autograder.evidence.handed_in_notebook import Unreadable

#: Reads a notebook; raises Unreadable.
Read = Callable[[Path], tuple[NotebookNode, list[str]]]

SUBMITTED = "submitted"
MOST_LOOKED_AT = 20
#: Formgrader's pages hold a student's name as it is, in HTML and within the quotes of a script.
UNSAFE_IN_PAGES = '<>"\\'


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission: the entry ``submitted/STUDENT/ASSIGNMENT``, whatever it is and whatever is in it.

    ``refused`` says why it stays out of the gradebook, if it does, and ``next_step`` what to do about it.
    """

    student: str
    folder: Path
    refused: str = ""
    next_step: str = ""


def submissions(root: Path, assignment: str, student: str = "*") -> list[Submitted]:
    """What was handed in for an assignment of the course in ``root``, in the order of the students' names.

    This is the one definition: all that grade, list or count submissions ask here. ``student`` is a name,
    or a pattern as nbgrader's. Hidden folders are not students'.
    """
    try:
        names = sorted(path.name for path in (root / SUBMITTED).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        _submitted(name, root / SUBMITTED / name / assignment)
        for name in names
        if not name.startswith(".")
        and (name == student or fnmatchcase(name, student))
        # a link counts, too: what cannot be graded has a row that says so
        and os.path.lexists(root / SUBMITTED / name / assignment)
    ]


def _submitted(student: str, folder: Path) -> Submitted:
    unsafe = dict.fromkeys(c for c in student if c in UNSAFE_IN_PAGES or hidden_characters(c))
    if not unsafe:
        return Submitted(student, folder)
    better = "".join("_" if c in unsafe else c for c in student)
    return Submitted(
        student,
        folder,
        f"the name of the student's folder has {' '.join(shown(c) for c in unsafe)} in it, which "
        "formgrader's pages would not show as text",
        f"Rename the folder {SUBMITTED}/{shown(student)} to {SUBMITTED}/{better} and grade again.",
    )


@dataclass(frozen=True, slots=True)
class HandedIn:
    """The notebook to grade, or in ``because`` and ``next_step`` why there is none."""

    path: Path | None
    notes: tuple[str, ...] = ()
    because: str = ""
    next_step: str = ""


def find_handed_in(folder: Path, assignment: str, grade_ids: Collection[str], read: Read) -> HandedIn:
    """The notebook of ``assignment`` in ``folder``, or below it, or under another name.

    A notebook in its place is the one. Otherwise it is the only one of the right name, otherwise the
    only one that has cells of the exercise, known by ``grade_ids``. Equal copies count as one. ``read`` opens
    notebooks where they can do no harm.
    """
    name = f"{assignment}.ipynb"
    found = _notebooks(folder)
    others = [path for path in found if path != folder / name]
    if (folder / name).exists() or (folder / name).is_symlink():
        besides = [f"{_names(folder, others)} beside it was not looked at"] if others else []
        return HandedIn(folder / name, tuple(besides))
    named = _without_copies([path for path in others if path.name == name], read)
    like_it = [path for path in others[:MOST_LOOKED_AT] if not named and _has(path, grade_ids, read)]
    meant = named or _without_copies(like_it, read)
    if len(meant) == 1:
        return HandedIn(meant[0], (f"it was handed in as {_names(folder, meant)}",))
    if meant:
        return HandedIn(
            None,
            because=f"there is no {name}, and more than one could be meant: {_names(folder, meant)}",
            next_step=f"Ask the student which one counts, and name it {name}.",
        )
    there = _names(folder, others) if others else "no notebook at all"
    return HandedIn(
        None,
        because=f"there is no {name}, but {there}",
        next_step="Rename the file, or ask the student to hand in again.",
    )


def _notebooks(folder: Path) -> list[Path]:
    """The notebooks in ``folder`` and below, the nearest first, without hidden files and checkpoints."""
    found = []
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        found += [Path(place) / name for name in files if name.endswith(".ipynb") and name[0] != "."]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _has(path: Path, grade_ids: Collection[str], read: Read) -> bool:
    """Whether a notebook can be read and has cells of the exercise."""
    try:
        notebook, _ = read(path)
    except Unreadable:
        return False
    marks = (cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells)
    return any(isinstance(mark, str) and mark in grade_ids for mark in marks)


def _without_copies(paths: list[Path], read: Read) -> list[Path]:
    """The paths, without those that have the same cells as one before."""
    kept: dict[str, Path] = {}
    for path in paths:
        try:
            content = json.dumps([(cell.cell_type, cell.source) for cell in read(path)[0].cells])
        except Unreadable:
            content = str(path)
        kept.setdefault(content, path)
    return list(kept.values())


def _names(folder: Path, paths: list[Path]) -> str:
    shown = ", ".join(plain(str(path.relative_to(folder))) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
