"""What opening an exercise costs: a kernel that opens one, and one that imports the same libraries, in turn.

python -m tests.benchmarks.bench_opening [RUNS]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from autograder.sandbox.running import private_channel
from tests.conftest import ASSIGNMENT, environment

OPENED = f"from autograder.notebook import open_exercise\nexercise = open_exercise({ASSIGNMENT!r})"
#: What opening imports, and a look into a store as opening takes one.
IMPORTED = """
import mlflow
import numpy, pandas, pyarrow, requests, skops.io
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.MlflowClient().set_experiment_tag("0", "seed", "1")
"""


def seconds(source: str, folder: Path) -> tuple[float, float]:
    """The time that a kernel of one cell takes from its start to its end, and how much of it is the end."""
    with tempfile.TemporaryDirectory(prefix="kit-") as channel:
        client = NotebookClient(
            new_notebook(cells=[new_code_cell(source)]),
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            config=private_channel(Path(channel)),
        )
        ends: list[float] = []
        client.on_cell_executed = lambda cell, cell_index, execute_reply: ends.append(time.perf_counter())
        before = time.perf_counter()
        client.execute(env=environment())
        after = time.perf_counter()
        return after - before, after - ends[0]


def main(runs: int) -> None:
    """Print the medians of both, and of the ratios, pair by pair."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        folders = {OPENED: Path(one), IMPORTED: Path(other)}
        for source, folder in folders.items():  # the stores are there from now on
            seconds(source, folder)
        pairs = [[seconds(source, folder) for source, folder in folders.items()] for _ in range(runs)]
    for what, times in zip(("opens an exercise", "imports the same"), zip(*pairs, strict=True), strict=True):
        whole, end = (statistics.median(each) for each in zip(*times, strict=True))
        print(f"a kernel that {what}: {whole:.2f} s, its end {end:.2f} s")
    ratio = statistics.median(opened[0] / imported[0] for opened, imported in pairs)
    print(f"{ratio:.2f} times the time ({runs} pairs)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
