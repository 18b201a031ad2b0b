"""Try out every mutant of the rubrics and of grading: ``make mutants`` prints how many a test noticed.

A mutant is tried in a process of its own, forked from one that has the libraries loaded. What no
test noticed is listed in ``build/mutants.txt``.
"""

import gc
import importlib.util
import os
import select
import signal
import sys
import time
from collections import Counter, defaultdict
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

import hypothesis  # noqa: F401  what is loaded here need not be in each child
import nbformat  # noqa: F401
import pytest
import sklearn.metrics  # noqa: F401

from autograder.workspace import load_flowers
from tests.mutation.facts import kept_facts
from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("rubrics", "grading")
TESTS = ("claims", "questions", "language", "hints", "versions", "grading", "tracking")
QUICK = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
SURVIVORS = ROOT / "build" / "mutants.txt"
LONGEST = 60  # seconds; trying one out takes one or two


class InPlaceOf(MetaPathFinder, InspectLoader):
    """Imports a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def get_source(self, fullname: str) -> str:
        return self.mutant.source


def noticed(mutant: Mutant | None) -> str:
    """What became of a mutant: killed, survived or timeout. Without a mutant the tests must pass."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            if mutant:
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                sys.meta_path.insert(0, InPlaceOf(mutant))
            status = int(pytest.main([*QUICK, *tests_of(mutant)]))
        finally:
            os._exit(status)
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], LONGEST)
    os.close(handle)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return "timeout" if not ended else "killed" if status else "survived"


def tests_of(mutant: Mutant | None) -> list[str]:
    """All tests, those named for the mutant's module or room first: they notice most."""
    files = [str(path) for name in TESTS for path in ROOT.glob(f"tests/*/test_{name}.py")] + [
        "tests/mutation/kept_facts.py"
    ]
    return sorted(files, key=lambda file: not mutant or Path(file).stem[5:] not in mutant.module)


def main(only: str = "") -> None:
    """Try out all mutants of modules with ``only`` in their names, and print the score."""
    load_flowers(next(iter(kept_facts().values())).seed)
    gc.freeze()
    if noticed(None) != "survived":
        sys.exit("The tests fail without any change: mend that first.")
    start = time.monotonic()
    became: dict[str, Counter[str]] = defaultdict(Counter)
    survivors = []
    for room in ROOMS:
        for path in sorted((ROOT / "autograder" / room).glob("[!_]*.py")):
            module = f"autograder.{room}.{path.stem}"
            for mutant in mutants(path, module) if only in module else ():
                fate = noticed(mutant)
                became[module][fate] += 1
                if fate != "killed":
                    survivors.append(f"{fate}: {module}, line {mutant.line}\n{mutant.diff}\n")
            if became[module]:
                print(score(module, became[module]), flush=True)
    SURVIVORS.write_text("\n".join(survivors), encoding="utf-8")
    print(score("all", sum(became.values(), Counter())))
    print(f"{time.monotonic() - start:.0f} seconds; what survived is in {SURVIVORS.relative_to(ROOT)}")


def score(name: str, fates: Counter[str]) -> str:
    """A line of the result. A timeout counts as noticed."""
    survived, total = fates["survived"], fates.total()
    late = f", {fates['timeout']} by timeout" if fates["timeout"] else ""
    return f"{name:32} {total - survived:4} of {total:4} killed, {1 - survived / total:6.1%}{late}"


if __name__ == "__main__":
    main(*sys.argv[1:])
