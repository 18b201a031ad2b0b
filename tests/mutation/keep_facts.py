"""Run every known submission once, in kernels that start in a moment, and keep the facts that each left.

Facts are a build product. With them a rubric is tried on all known submissions in seconds, without running
a notebook.
"""

import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat

import autograder.sandbox.running
from autograder import evidence
from autograder.data.settings import Conditions
from autograder.pipeline.jobs import execute, job_of
from autograder.pipeline.reader import Reader
from autograder.rubrics import load_rubric
from tests.conftest import ALL_SAMPLES, ROOT
from tests.mutation.facts import FACTS
from tests.support.forked_kernel import ForkedKernelManager

SEED = 77
#: What each process reads stores and asks models with.
readers: list[Reader] = []


def keep_facts() -> None:
    """Replace what is in ``build/facts``. Takes some minutes."""
    names = [
        (assignment, name)
        for assignment, samples in ALL_SAMPLES.items()
        for name, sample in samples.items()
        if not sample.only_nbgrader
    ]
    made = FACTS.with_name("facts.new")
    shutil.rmtree(made, ignore_errors=True)
    with ProcessPoolExecutor(2, initializer=begin) as pool:
        for (assignment, name), facts in zip(
            names, pool.map(facts_of, *zip(*names, strict=True)), strict=True
        ):
            target = made / assignment / f"{name}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(facts, encoding="utf-8")
            print(".", end="", file=sys.stderr, flush=True)
    shutil.rmtree(FACTS, ignore_errors=True)
    made.rename(FACTS)


def begin() -> None:
    """Start kernels and ask models in forked processes, as the tests of known submissions do."""
    autograder.sandbox.running.BoundedKernelManager = ForkedKernelManager  # type: ignore[misc]
    readers.append(Reader(sandbox=False))


def facts_of(assignment: str, name: str) -> str:
    """The facts that a known submission leaves, as JSON."""
    rubric, conditions = load_rubric(assignment), Conditions(SEED)
    sources = (ROOT / kind / assignment / f"{assignment}.ipynb" for kind in ("solutions", "exercises"))
    solution, exercise = (nbformat.read(path, as_version=4) for path in sources)
    notebook = nbformat.reads(ALL_SAMPLES[assignment][name].content(solution, exercise), as_version=4)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kept = execute(job_of(rubric, notebook, conditions), Path(folder), readers[0])
    assert kept.evidence, kept.problem
    return evidence.dump(kept.evidence)


if __name__ == "__main__":
    keep_facts()
