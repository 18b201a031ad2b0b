"""Find the notebook that is meant among the files a student handed in."""

import glob
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.base.text import plain
from autograder.nbgrader.reading import Unreadable, read_notebook

MOST_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class HandedIn:
    """The notebook to grade, or in ``because`` and ``next_step`` why there is none."""

    path: Path | None
    notes: tuple[str, ...] = ()
    because: str = ""
    next_step: str = ""


def find_handed_in(folder: Path, assignment: str, grade_ids: Collection[str]) -> HandedIn:
    """The notebook of ``assignment`` in ``folder``, or below it, or under another name.

    A notebook in its place is the one. Otherwise it is the only one of the right name, otherwise the
    only one that has cells of the exercise, known by ``grade_ids``. Equal copies count as one.
    """
    name = f"{assignment}.ipynb"
    found = _notebooks(folder)
    others = [path for path in found if path != folder / name]
    if (folder / name).exists() or (folder / name).is_symlink():
        besides = [f"{_names(folder, others)} beside it was not looked at"] if others else []
        return HandedIn(folder / name, tuple(besides))
    named = _without_copies([path for path in others if path.name == name])
    meant = named or _without_copies([path for path in others[:MOST_LOOKED_AT] if _has(path, grade_ids)])
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


def look_into_every_folder() -> None:
    """Make ``nbgrader autograde`` take up each submitted folder, whatever is in it.

    By itself nbgrader takes up those that have a notebook where it expects one. It has no setting for
    the others, so this replaces ``Autograde.init_notebooks``.
    """
    from nbgrader.converters import Autograde

    usual = Autograde.init_notebooks

    def init_notebooks(self: Any) -> None:
        course = self.coursedir
        pattern = self._format_source(course.assignment_id, course.student_id)
        # unlike Path.glob, nbgrader's own way leaves hidden folders out
        folders = [folder for folder in glob.glob(pattern) if Path(folder).is_dir()]  # noqa: PTH207
        if course.notebook_id != "*" or not folders:
            usual(self)
            return
        # formgrader's pages print a student's name as it is
        unusual = [folder for folder in folders if plain(folder) != folder or set(folder) & set("<>&\"'")]
        for folder in unusual:
            self.log.error("%s is left out: no student's name has such characters.", plain(folder))
        name = f"{course.assignment_id}.ipynb"
        self.assignments = {
            folder: [f"{folder}{os.sep}{name}"] for folder in folders if folder not in unusual
        }
        self.notebooks = []

    Autograde.init_notebooks = init_notebooks


def _notebooks(folder: Path) -> list[Path]:
    """The notebooks in ``folder`` and below, the nearest first, without hidden files and checkpoints."""
    found = []
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        found += [Path(place) / name for name in files if name.endswith(".ipynb") and name[0] != "."]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _has(path: Path, grade_ids: Collection[str]) -> bool:
    """Whether a notebook can be read and has cells of the exercise."""
    try:
        notebook, _ = read_notebook(path)
    except Unreadable:
        return False
    marks = (cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells)
    return any(isinstance(mark, str) and mark in grade_ids for mark in marks)


def _without_copies(paths: list[Path]) -> list[Path]:
    """The paths, without those that have the same cells as one before."""
    kept: dict[str, Path] = {}
    for path in paths:
        try:
            content = json.dumps([(cell.cell_type, cell.source) for cell in read_notebook(path)[0].cells])
        except Unreadable:
            content = str(path)
        kept.setdefault(content, path)
    return list(kept.values())


def _names(folder: Path, paths: list[Path]) -> str:
    shown = ", ".join(plain(str(path.relative_to(folder))) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
