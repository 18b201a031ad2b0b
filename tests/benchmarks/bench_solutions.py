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

from autograder.rubrics import assignments
from autograder.sandbox.running import private_channel
from tests.conftest import ROOT, environment

#: Loads what the first call of each library loads, so that the cells are timed and not the imports.
LOADING = """
import matplotlib.pyplot, mlflow, mlflow.deployments, requests, skops.io
import sklearn.ensemble, sklearn.linear_model
import autograder.evidence.store_reader
"""


#: Around each solution cell: its processor time, which a busy machine does not stretch.
TIMED = """
import time
_began = time.process_time()
{source}
print(f"\\nprocessor time: {{time.process_time() - _began}}")
"""


def seconds(assignment: str) -> tuple[float, float]:
    """The time that the solution cells take in a new kernel and an empty store, and their processor time."""
    notebook = nbformat.read(ROOT / "solutions" / assignment / f"{assignment}.ipynb", as_version=4)
    notebook.cells[1].source = LOADING + notebook.cells[1].source
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        if cell.metadata.nbgrader.grade:
            cell.source = ""
        elif cell.metadata.nbgrader.solution:
            cell.source = TIMED.format(source=cell.source)
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
    solved = [cell for cell in cells if "processor time" in cell.source]
    return sum(map(_seconds, solved)), sum(map(_processor_seconds, solved))


def _seconds(cell: NotebookNode) -> float:
    times = cell.metadata.execution
    began, ended = (datetime.fromisoformat(times[f"iopub.status.{state}"]) for state in ("busy", "idle"))
    return (ended - began).total_seconds()


def _processor_seconds(cell: NotebookNode) -> float:
    printed = "".join(output.get("text", "") for output in cell.outputs)
    return float(printed.rpartition("processor time: ")[2].split()[0])


def main(runs: int) -> None:
    """Print the median of each assignment, and the median and the longest of these."""
    medians = []
    for assignment in assignments():
        times = [seconds(assignment) for _ in range(runs)]
        wall, processor = (statistics.median(values) for values in zip(*times, strict=True))
        medians.append(wall)
        print(f"{assignment:22} {wall:6.2f} s, processor {processor:5.2f} s", flush=True)
    print(f"median {statistics.median(medians):.2f} s, longest {max(medians):.2f} s ({runs} runs each)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
