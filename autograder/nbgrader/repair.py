"""Bring back what belongs into a submission, by ``grade_id``, before it runs."""

import copy
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_solution

MOST_NAMED = 3


class RepairCells(NbGraderPreprocessor):
    """Puts missing cells of the exercise back and leaves each of them once.

    Of a locked cell that is there twice the first stays. Of a solution cell that is there twice both
    are run and the student's last one counts. What was repaired is noted for the verdict.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        exporter = self.parent
        expected = {_grade_id(cell): cell for cell in exporter.release.cells if _grade_id(cell)}
        present = {_grade_id(cell) for cell in nb.cells}
        solutions = {grade_id for grade_id, cell in expected.items() if is_solution(cell)}
        submission = exporter.submission
        if not submission.ungradable and not solutions & present:
            exporter.placeholder("it has none of the exercise's cells")
            nb.cells = [copy.deepcopy(cell) for cell in exporter.release.cells]
            return nb, resources
        doubled = self._leave_each_once(nb, expected, solutions)
        missing = self._put_back(nb, expected)
        submission.repairs += [f"{_some(ids)} {what}" for ids, what in _notes(doubled, missing, solutions)]
        for repair in submission.repairs:
            self.log.warning("%s, %s: %s", submission.assignment, submission.student, repair)
        return nb, resources

    def _leave_each_once(
        self, nb: NotebookNode, expected: dict[str, NotebookNode], solutions: set[str]
    ) -> list[str]:
        """Give each known cell its own metadata, the others none; returns ids that were there twice."""
        positions: dict[str, list[int]] = {}
        for index, cell in enumerate(nb.cells):
            grade_id = _grade_id(cell)
            if grade_id in expected:
                positions.setdefault(grade_id, []).append(index)
            else:
                cell.metadata.pop("nbgrader", None)
        dropped = set()
        for grade_id, indexes in positions.items():
            keep = indexes[-1] if grade_id in solutions else indexes[0]
            nb.cells[keep].metadata["nbgrader"] = copy.deepcopy(expected[grade_id].metadata["nbgrader"])
            for index in set(indexes) - {keep}:
                del nb.cells[index].metadata["nbgrader"]
                if grade_id not in solutions:
                    dropped.add(index)
        nb.cells = [cell for index, cell in enumerate(nb.cells) if index not in dropped]
        return [grade_id for grade_id, indexes in positions.items() if len(indexes) > 1]

    def _put_back(self, nb: NotebookNode, expected: dict[str, NotebookNode]) -> list[str]:
        """Insert each missing cell behind the one it follows in the exercise; returns their ids."""
        missing = []
        place = 0
        for grade_id, cell in expected.items():
            index = next((i for i, other in enumerate(nb.cells) if _grade_id(other) == grade_id), None)
            if index is None:
                missing.append(grade_id)
                nb.cells.insert(place, copy.deepcopy(cell))
                index = place
            place = index + 1
        return missing


def _notes(doubled: list[str], missing: list[str], solutions: set[str]) -> list[tuple[list[str], str]]:
    notes = [
        ([i for i in doubled if i in solutions], "was there more than once: all were run, the last counts"),
        ([i for i in doubled if i not in solutions], "was there more than once: one was kept"),
        ([i for i in missing if i in solutions], "was missing: there is nothing of the student's to run"),
        ([i for i in missing if i not in solutions], "was missing and was put back"),
    ]
    return [(ids, what) for ids, what in notes if ids]


def _some(ids: list[str]) -> str:
    shown = ", ".join(ids[:MOST_NAMED])
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return f"the cell {shown}" if len(ids) == 1 else f"each of the cells {shown}{more}"


def _grade_id(cell: NotebookNode) -> str:
    metadata = cell.metadata.get("nbgrader")
    grade_id = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return grade_id if isinstance(grade_id, str) else ""
