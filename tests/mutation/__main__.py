"""Try out the mutants of the rubrics and of grading: ``make mutants`` prints how many a test noticed.

    python -m tests.mutation [NAME [EVERY]]

tries those of modules with NAME in their names, and of these every EVERYth. A mutant is tried in a process
of its own, forked from one that has the libraries loaded. What no test noticed is listed in
``build/mutants.txt``.
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
from itertools import islice
from pathlib import Path

import hypothesis  # noqa: F401  what is loaded here need not be in each child
import nbformat  # noqa: F401
import pytest
import sklearn.metrics  # noqa: F401

import autograder.evidence.store_reader
import autograder.sandbox  # noqa: F401
from autograder.workspace import load_flowers
from tests.mutation import facts
from tests.mutation.mutants import Mutant, mutants
from tests.support.quick import SLOW

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("rubrics", "grading")
QUICK = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
SURVIVORS = ROOT / "build" / "mutants.txt"
LONGEST = 120  # seconds that trying one out may take


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
                facts.choose(assignment_of(mutant.module))
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                sys.meta_path.insert(0, InPlaceOf(mutant))
            status = int(pytest.main([*QUICK, *tests_of(mutant)]))
        finally:
            os._exit(status)
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], LONGEST if mutant else None)
    os.close(handle)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return "timeout" if not ended else "killed" if status else "survived"


def tests_of(mutant: Mutant | None) -> list[str]:
    """The quick tests of both rooms, then the known submissions; those named for the module come first."""
    files = [path for room in ROOMS for path in sorted((ROOT / "tests" / room).glob("test_*.py"))]
    quick = [path for path in files if f"{path.parent.name}/{path.stem}" not in SLOW]
    quick.sort(key=lambda path: not mutant or path.stem.removeprefix("test_") not in mutant.module)
    return [*map(str, quick), str(ROOT / "tests" / "mutation" / "kept_facts.py")]


def assignment_of(module: str) -> str:
    """The assignment whose rubric a module is, such as 01-tracking; "" for what all rubrics use."""
    room, _, name = module.rpartition(".")
    names = (
        [folder.name for folder in sorted(facts.FACTS.iterdir())] if room.endswith("by_assignment") else []
    )
    return next((one for one in names if one.endswith(name)), "")


def modules() -> list[tuple[str, Path]]:
    """The modules of both rooms and of the packages in them, by name."""
    paths = [path for room in ROOMS for path in sorted((ROOT / "autograder" / room).rglob("[!_]*.py"))]
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in paths]


def main(only: str = "", every: str = "1") -> None:
    """Try out mutants of modules with ``only`` in their names, and print the score."""
    load_flowers(next(iter(facts.kept_facts().values())).seed)
    gc.freeze()
    if noticed(None) != "survived":
        sys.exit("The tests fail without any change: mend that first.")
    start = time.monotonic()
    became: dict[str, Counter[str]] = defaultdict(Counter)
    survivors = []
    for module, path in modules():
        for mutant in islice(mutants(path, module), 0, None, int(every)) if only in module else ():
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
    return f"{name:46} {total - survived:4} of {total:4} killed, {1 - survived / total:6.1%}{late}"


if __name__ == "__main__":
    main(*sys.argv[1:])
