"""Known submissions: small edits against the solution, each with what grading must make of it.

A sample is a TOML file named for what the student did. Tests grade every one of them, and the demo
shows them as a class. See :class:`Sample` for the keys.
"""

import copy
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import nbformat
from nbformat import NotebookNode
from pydantic import BaseModel, ConfigDict

from autograder.reports import VerdictKind
from autograder.rubrics import Status


class CellEdit(BaseModel):
    """What the student wrote in one cell: all of it, or replacements in the solution's text."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = None
    replace: list[tuple[str, str]] = []


class Damage(BaseModel):
    """What happened to the file: cells deleted or pasted twice by ``grade_id``, or other content."""

    model_config = ConfigDict(extra="forbid")

    delete: list[str] = []
    duplicate: list[str] = []
    raw: str | None = None


class Sample(BaseModel):
    """A known submission and its exact outcome.

    ``loses`` maps the criteria that must not pass to their status; all others must pass. ``says``
    gives words that a criterion's message must contain, ``because`` words of the verdict.
    ``same_losses_as`` takes ``loses`` from another sample. ``in_nbgrader`` marks those that are about more
    than the rubric: the tests grade them with stock nbgrader, in the box, as well.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    about: str
    base: Literal["solution", "exercise"] = "solution"
    cells: dict[str, CellEdit] = {}
    damage: Damage = Damage()
    points: float
    verdict: VerdictKind = VerdictKind.GRADED
    because: list[str] = []
    loses: dict[str, Status] = {}
    same_losses_as: str | None = None
    says: dict[str, list[str]] = {}
    in_nbgrader: bool = False

    @property
    def only_nbgrader(self) -> bool:
        """Whether it is about its file, or its verdict: only a batch of nbgrader's shows these."""
        return bool(self.because or self.damage != Damage() or self.verdict is not VerdictKind.GRADED)

    def content(self, solution: NotebookNode, exercise: NotebookNode) -> str:
        """The text of the notebook file that this student hands in.

        Raises ValueError when an edit no longer fits the solution.
        """
        if self.damage.raw is not None:
            return self.damage.raw
        notebook = copy.deepcopy(solution if self.base == "solution" else exercise)
        cells = {_grade_id(cell): cell for cell in notebook.cells}
        for grade_id, edit in self.cells.items():
            if grade_id not in cells:
                raise ValueError(f"{self.name}: there is no cell {grade_id!r} to edit")
            cells[grade_id].source = self._edited(cells[grade_id].source, edit, grade_id)
        notebook.cells = [copy_ for cell in notebook.cells for copy_ in self._copies(cell)]
        return nbformat.writes(notebook)

    def _edited(self, source: str, edit: CellEdit, grade_id: str) -> str:
        if edit.source is not None:
            return edit.source.strip("\n")
        for old, new in edit.replace:
            if old not in source:
                raise ValueError(f"{self.name}: {old!r} is not in the cell {grade_id!r} of the solution")
            source = source.replace(old, new)
        return source

    def _copies(self, cell: NotebookNode) -> list[NotebookNode]:
        if _grade_id(cell) in self.damage.delete:
            return []
        if _grade_id(cell) not in self.damage.duplicate:
            return [cell]
        twin = copy.deepcopy(cell)
        twin["id"] = f"{cell['id']}-twin"
        return [cell, twin]


def load_samples(folder: Path) -> dict[str, Sample]:
    """The samples in ``folder``, by name. Raises ValueError, naming the file, for one that makes no sense."""
    samples: dict[str, Sample] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            samples[path.stem] = Sample(name=path.stem, **_read(path))
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error
    for sample in samples.values():
        if sample.same_losses_as:
            sample.loses = samples[sample.same_losses_as].loses
    return samples


def hand_in(samples: dict[str, Sample], course: Path, assignment: str) -> None:
    """Write the samples into ``course/submitted`` as a class, one student each.

    A file that already has that content is left as it is, so that its time stays.
    """
    solution = nbformat.read(course / "solutions" / assignment / f"{assignment}.ipynb", as_version=4)
    exercise = nbformat.read(course / "exercises" / assignment / f"{assignment}.ipynb", as_version=4)
    for name, sample in samples.items():
        path = course / "submitted" / name / assignment / f"{assignment}.ipynb"
        content = sample.content(solution, exercise)
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


def hand_in_known(root: Path, course: Path, assignment: str, names: Sequence[str]) -> None:
    """Hand in the samples of these names, from the kit in ``root``."""
    samples = load_samples(root / "tests" / "submissions" / assignment)
    hand_in({name: samples[name] for name in names}, course, assignment)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def _grade_id(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
