"""Read an executed notebook: which cells ran, for how long, and what they raised."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from autograder.base.text import one_line
from autograder.evidence.facts import CellFacts, NotebookFacts


def read_notebook(notebook: Mapping[str, Any], stopped: str | None = None) -> NotebookFacts:
    """The facts of an executed notebook (nbformat 4). ``stopped`` says why the run ended early."""
    cells = []
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
        message = one_line(f"{errors[0]['ename']}: {errors[0]['evalue']}") if errors else None
        cells.append(
            CellFacts(
                index=index,
                grade_id=cell["metadata"].get("nbgrader", {}).get("grade_id"),
                ran=cell.get("execution_count") is not None,
                error=message,
                seconds=_seconds(cell["metadata"].get("execution", {})),
            )
        )
    return NotebookFacts(tuple(cells), stopped)


def _seconds(times: Mapping[str, str]) -> float | None:
    """How long a cell was busy, from the times that nbclient notes in its metadata."""
    try:
        start, end = times["iopub.status.busy"], times["iopub.status.idle"]
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (KeyError, ValueError):
        return None
