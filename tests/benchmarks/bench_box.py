"""What the box costs a kernel: the same small notebook with and without, in turn.

python -m tests.benchmarks.bench_box [RUNS]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook

from autograder.data.settings import Conditions
from autograder.sandbox.running import run_notebook


def seconds(sandbox: bool) -> float:
    """The time that a notebook of one trivial cell takes, kernel start and end included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        before = time.perf_counter()
        run_notebook(new_notebook(cells=[new_code_cell("1 + 1")]), folder, Conditions(1), sandbox=sandbox)
        return time.perf_counter() - before


def main(runs: int) -> None:
    """Print both medians, and the median of the differences, pair by pair."""
    seconds(True), seconds(False)  # byte code and the prepared store are there from now on
    pairs = [(seconds(True), seconds(False)) for _ in range(runs)]
    boxed, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    difference = statistics.median(one - other for one, other in pairs)
    print(f"in the box {boxed:.3f} s, without {bare:.3f} s, difference {difference:+.3f} s ({runs} pairs)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
