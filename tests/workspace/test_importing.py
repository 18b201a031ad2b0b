"""Libraries are imported without a look for garbage, which a student's own code gets again."""

import gc
import sys
from pathlib import Path

import pytest

from autograder.base.importing import importing
from tests.conftest import run

OPEN = """
import gc
from autograder.workspace import open_workspace
print(gc.isenabled(), gc.get_freeze_count())
open_workspace()
print(gc.isenabled(), gc.get_freeze_count() > 200_000)
frozen = gc.get_freeze_count()
mine = [[] for _ in range(100_000)]
open_workspace()
print(gc.isenabled(), gc.get_freeze_count() <= frozen)
"""


def test_garbage_is_looked_for_again_also_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_who_looks_for_none_is_not_made_to() -> None:
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_opening_sets_libraries_aside_and_not_what_is_made_later(tmp_path: Path) -> None:
    said = run(sys.executable, "-c", OPEN, folder=tmp_path).stdout
    assert [line for line in said.splitlines() if line.startswith("True")] == ["True 0", *["True True"] * 2]
