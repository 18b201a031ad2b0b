"""What the box costs a kernel: the same small notebook without, in a box, and forked into one, in turn.

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
from autograder.sandbox.warm_kernels import WarmKernels


def seconds(sandbox: bool | WarmKernels) -> float:
    """The time that a notebook takes which imports the libraries, kernel start and end included."""
    cells = [new_code_cell("import mlflow.sklearn, sklearn.ensemble")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        before = time.perf_counter()
        run_notebook(new_notebook(cells=cells), folder, Conditions(1), sandbox=sandbox)
        return time.perf_counter() - before


def main(runs: int) -> None:
    """Print the medians, and those of the differences to the kernel without a box, round by round."""
    with WarmKernels() as warm:
        ways = {"without": False, "in a box": True, "forked into a box": warm}
        for way in ways.values():
            seconds(way)  # byte code, the prepared store and the warm process are there from now on
        times = [{name: seconds(way) for name, way in ways.items()} for _ in range(runs)]
    for name in ways:
        median = statistics.median(one[name] for one in times)
        difference = statistics.median(one[name] - one["without"] for one in times)
        print(f"{name}: {median:.3f} s, difference {difference:+.3f} s ({runs} rounds)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
