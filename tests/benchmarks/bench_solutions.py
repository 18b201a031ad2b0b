"""What each solution computes: the time of its solution cells, once libraries are loaded.

python -m tests.benchmarks.bench_solutions [RUNS]
"""

import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from autograder.execution.run import private_channel
from autograder.rubrics import assignments
from tests.conftest import ROOT, environment

#: Loads what the first call of each library loads, so that the cells are timed and not the imports.
LOADING = """
import matplotlib.pyplot, mlflow, mlflow.deployments, requests, skops.io
import sklearn.ensemble, sklearn.linear_model
import autograder.evidence.store
"""


def seconds(assignment: str) -> float:
    """The time that the solution cells take in a new kernel and an empty store."""
    notebook = nbformat.read(ROOT / "solutions" / assignment / f"{assignment}.ipynb", as_version=4)
    notebook.cells[1].source = LOADING + notebook.cells[1].source
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        if cell.metadata.nbgrader.grade:
            cell.source = ""
    with tempfile.TemporaryDirectory(prefix="kit-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "work"
        folder.mkdir()
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            config=private_channel(Path(name)),
        )
        client.execute(env=environment())
    return sum(_seconds(cell) for cell in cells if cell.metadata.nbgrader.solution)


def _seconds(cell: NotebookNode) -> float:
    times = cell.metadata.execution
    began, ended = (datetime.fromisoformat(times[f"iopub.status.{state}"]) for state in ("busy", "idle"))
    return (ended - began).total_seconds()


def main(runs: int) -> None:
    """Print the median of each assignment, and the median and the longest of these."""
    medians = []
    for assignment in assignments():
        times = [seconds(assignment) for _ in range(runs)]
        medians.append(statistics.median(times))
        print(
            f"{assignment:22} {medians[-1]:5.2f} s   of {', '.join(f'{time:.2f}' for time in times)}",
            flush=True,
        )
    print(f"median {statistics.median(medians):.2f} s, longest {max(medians):.2f} s ({runs} runs each)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
