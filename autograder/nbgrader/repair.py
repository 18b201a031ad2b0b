"""Bring back what belongs into a submission, by ``grade_id``, before it runs."""

import copy
import re
from difflib import SequenceMatcher
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

from autograder.nbgrader.recognise import grade_id, recognise, same_text

MOST_NAMED = 3
OPENED = re.compile(r"""open_exercise\(\s*["']([\w-]{1,100})["']""")

#: What can be said of a solution cell and of a locked one, in the order in which it is said.
RECOGNISED = "had lost its mark and was recognised"
RETYPED = "was turned into text: it was run as code"
DOUBLED = "was there more than once: all were run, the last counts"
DOUBLED_LOCKED = "was there more than once: one was kept"
MISSING = "was missing: there is nothing of the student's to run"
MISSING_LOCKED = "was missing and was put back"
EMPTIED = "was emptied and was put back"
CHANGED = "was changed and was put back as it was"
MOVED = "stood elsewhere and was moved back"
SAID = (RECOGNISED, RETYPED, DOUBLED, DOUBLED_LOCKED, MISSING, MISSING_LOCKED, EMPTIED, CHANGED, MOVED)


class RepairCells(NbGraderPreprocessor):
    """Makes each cell of the exercise be there once, in its place, with its kind and its mark.

    A locked cell gets the exercise's text. Of one that is there twice the first stays. Of a solution
    cell that is there twice both are run and the student's last one counts. What was repaired is noted
    for the verdict; a changed text between the tasks is put back without a word.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        exporter = self.parent
        submission = exporter.submission
        expected = {grade_id(cell): cell for cell in exporter.release.cells if grade_id(cell)}
        graded = {name for name, cell in expected.items() if is_solution(cell) or is_grade(cell)}
        opened = _opens_another(nb.cells, submission.assignment)
        recognised = [] if opened else recognise(nb.cells, expected)
        if not submission.ungradable and not graded & {grade_id(cell) for cell in nb.cells}:
            of_another = f": it is the notebook of {opened}" if opened else ""
            exporter.placeholder(f"it has none of the exercise's cells{of_another}")
            nb.cells = [copy.deepcopy(cell) for cell in exporter.release.cells]
            return nb, resources
        self.said: dict[str, list[str]] = {RECOGNISED: recognised}
        self._leave_each_once(nb, expected)
        self._make_as_expected(nb, expected)
        self._move_back(nb, list(expected))
        self._put_back(nb, expected)
        submission.repairs += [f"{_some(self.said[what])} {what}" for what in SAID if self.said.get(what)]
        for repair in submission.repairs:
            self.log.warning("%s, %s: %s", submission.assignment, submission.student, repair)
        return nb, resources

    def _say(self, what: str, name: str) -> None:
        self.said.setdefault(what, []).append(name)

    def _leave_each_once(self, nb: NotebookNode, expected: dict[str, NotebookNode]) -> None:
        """Leave each known mark on one cell only; cells that are not the exercise's have none."""
        positions: dict[str, list[int]] = {}
        for index, cell in enumerate(nb.cells):
            if grade_id(cell) in expected:
                positions.setdefault(grade_id(cell), []).append(index)
            else:
                cell.metadata.pop("nbgrader", None)
        dropped = set()
        for name, indexes in positions.items():
            if len(indexes) == 1:
                continue
            solution = is_solution(expected[name])
            keep = indexes[-1] if solution else indexes[0]
            for index in set(indexes) - {keep}:
                if solution:
                    nb.cells[index] = _made_from(expected[name], nb.cells[index])
                    del nb.cells[index].metadata["nbgrader"]
                else:
                    dropped.add(index)
            self._say(DOUBLED if solution else DOUBLED_LOCKED, name)
        nb.cells = [cell for index, cell in enumerate(nb.cells) if index not in dropped]

    def _make_as_expected(self, nb: NotebookNode, expected: dict[str, NotebookNode]) -> None:
        """Give each known cell its metadata and kind, and a locked one the exercise's text."""
        for index, cell in enumerate(nb.cells):
            original = expected.get(grade_id(cell))
            if original is None:
                continue
            name = grade_id(original)
            nb.cells[index] = _made_from(original, cell)
            if is_solution(original):
                if cell.cell_type != original.cell_type:
                    self._say(RETYPED, name)
            elif original.cell_type == "code":
                if not cell.source.strip():
                    self._say(EMPTIED, name)
                elif not same_text(cell.source, original.source) or cell.cell_type != "code":
                    self._say(CHANGED, name)

    def _move_back(self, nb: NotebookNode, order: list[str]) -> None:
        """Put known cells into the exercise's order, each with the student's cells that follow it."""
        present = [grade_id(cell) for cell in nb.cells if grade_id(cell)]
        usual = [name for name in order if name in present]
        if present == usual:
            return
        blocks = SequenceMatcher(None, usual, present, autojunk=False).get_matching_blocks()
        stayed = {name for block in blocks for name in usual[block.a : block.a + block.size]}
        for name in usual:
            if name not in stayed:
                self._say(MOVED, name)
        groups: dict[str, list[NotebookNode]] = {"": []}
        name = ""
        for cell in nb.cells:
            name = grade_id(cell) or name
            groups.setdefault(name, []).append(cell)
        nb.cells = [cell for name in ["", *usual] for cell in groups[name]]

    def _put_back(self, nb: NotebookNode, expected: dict[str, NotebookNode]) -> None:
        """Insert each missing cell behind the one it follows in the exercise."""
        ids = {cell["id"] for cell in nb.cells}
        present = {grade_id(cell) for cell in nb.cells}
        behind: dict[str, list[NotebookNode]] = {}
        previous = ""
        for name, original in expected.items():
            if name in present:
                previous = name
                continue
            cell = copy.deepcopy(original)
            if cell["id"] in ids:
                cell["id"] = f"put-back-{name}"[:64]
            behind.setdefault(previous, []).append(cell)
            self._say(MISSING if is_solution(original) else MISSING_LOCKED, name)
        put_back = behind.pop("", [])
        for cell in nb.cells:
            put_back += [cell, *behind.get(grade_id(cell), [])]
        nb.cells = put_back


def _made_from(original: NotebookNode, cell: NotebookNode) -> NotebookNode:
    """The exercise's cell with the id of the student's and, where it is theirs to write, their text."""
    made = copy.deepcopy(original)
    made["id"] = cell["id"]
    if is_solution(original):
        made.source = cell.source
    return made


def _opens_another(cells: list[NotebookNode], assignment: str) -> str | None:
    """The name of the other assignment that a notebook says it is, if it does."""
    names = {name for cell in cells if cell.cell_type == "code" for name in OPENED.findall(cell.source)}
    return names.pop() if len(names) == 1 and assignment not in names else None


def _some(ids: list[str]) -> str:
    shown = ", ".join(ids[:MOST_NAMED])
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return f"the cell {shown}" if len(ids) == 1 else f"each of the cells {shown}{more}"
