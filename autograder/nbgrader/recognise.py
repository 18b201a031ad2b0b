"""Which cell of a submission is which of the exercise, where its own mark does not say so."""

from nbformat import NotebookNode
from nbgrader.utils import is_solution


def grade_id(cell: NotebookNode) -> str:
    """The ``grade_id`` in a cell's metadata; an empty string when there is none."""
    metadata = cell.metadata.get("nbgrader")
    found = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def same_text(one: str, other: str) -> bool:
    """Whether two sources differ in white space at the ends of lines at most."""
    return _lines(one) == _lines(other)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in text.strip().splitlines())


def recognise(cells: list[NotebookNode], expected: dict[str, NotebookNode]) -> list[str]:
    """Mark the cells that lost their ``grade_id`` or have a changed one, where it is plain what they
    are; returns the ids that were recognised.

    A cell is known by its cell id or by having a locked cell's very text, a solution cell also by its
    place: code between the known cells that stand before and behind it in the exercise. What fits
    more than one is left alone.
    """
    found = _by_id_or_text(cells, expected)
    return found + _by_place(cells, expected)


def _by_id_or_text(cells: list[NotebookNode], expected: dict[str, NotebookNode]) -> list[str]:
    found = []
    present = {grade_id(cell) for cell in cells}
    missing = {name: original for name, original in expected.items() if name not in present}
    by_id: dict[str, list[NotebookNode]] = {}
    by_text: dict[tuple[str, ...], list[NotebookNode]] = {}
    for cell in cells if missing else []:
        if grade_id(cell) not in expected:
            by_id.setdefault(cell.get("id", ""), []).append(cell)
            by_text.setdefault(_lines(cell.source), []).append(cell)
    for name, original in missing.items():
        same = _not_in(expected, by_id.get(original.get("id", ""), []))
        if not same and not is_solution(original):
            same = _not_in(expected, by_text.get(_lines(original.source), []))[:1]
        if len(same) == 1:
            same[0].metadata["nbgrader"] = {"grade_id": name}
            found.append(name)
    return found


def _not_in(expected: dict[str, NotebookNode], cells: list[NotebookNode]) -> list[NotebookNode]:
    return [cell for cell in cells if grade_id(cell) not in expected]


def _by_place(cells: list[NotebookNode], expected: dict[str, NotebookNode]) -> list[str]:
    """Recognise solution cells; of several cells in one's place the last, as all of them are run."""
    found = []
    order = list(expected)
    places = {grade_id(cell): index for index, cell in enumerate(cells) if grade_id(cell) in expected}
    for number, name in enumerate(order):
        if name in places or not is_solution(expected[name]):
            continue
        before = next((other for other in reversed(order[:number]) if other in places), None)
        behind = next((other for other in order[number + 1 :] if other in places), None)
        first = places[before] + 1 if before else 0
        last = places[behind] if behind else len(cells)
        between = order[order.index(before) + 1 if before else 0 : order.index(behind) if behind else None]
        alone = [other for other in between if is_solution(expected[other])] == [name]
        code = [index for index in range(first, last) if cells[index].cell_type == "code"]
        code = [index for index in code if cells[index].source.strip()]
        if alone and code:
            cells[code[-1]].metadata["nbgrader"] = {"grade_id": name}
            found.append(name)
    return found
