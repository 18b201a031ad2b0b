"""Read an executed notebook: which cells ran, for how long, and what they raised."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from autograder.base.text import one_line
from autograder.evidence.bounds import bounded
from autograder.evidence.facts import CellFacts, NotebookFacts


def read_notebook(notebook: Mapping[str, Any], stopped: str | None = None) -> NotebookFacts:
    """The facts of an executed notebook (nbformat 4). ``stopped`` says why the run ended early.

    The metadata of a cell that did not run are the student's, and may be anything.
    """
    cells = []
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
        message = one_line(f"{errors[0]['ename']}: {errors[0]['evalue']}") if errors else None
        cells.append(
            CellFacts(
                index=index,
                grade_id=_grade_id(cell["metadata"]),
                ran=cell.get("execution_count") is not None,
                error=message,
                seconds=_seconds(cell["metadata"]),
            )
        )
    facts, _ = bounded(NotebookFacts(tuple(cells), stopped))
    return facts


def _grade_id(metadata: Mapping[str, Any]) -> str | None:
    own = metadata.get("nbgrader")
    grade_id = own.get("grade_id") if isinstance(own, Mapping) else None
    return grade_id if isinstance(grade_id, str) else None


def _seconds(metadata: Mapping[str, Any]) -> float | None:
    """How long a cell was busy, from the times that nbclient notes in its metadata."""
    try:
        times = metadata["execution"]
        start, end = times["iopub.status.busy"], times["iopub.status.idle"]
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (KeyError, ValueError, TypeError):  # TypeError: no text, or one time with a zone and one without
        return None
