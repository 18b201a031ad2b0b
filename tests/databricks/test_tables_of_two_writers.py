"""Of two that write to a table at once, none loses a row in silence."""

import sys
import time
from subprocess import PIPE, Popen

import pandas as pd
import pytest

from autograder.databricks.tables import Tables
from tests.conftest import ROOT, environment

WRITER = """
import sys, time
from pathlib import Path
import mlflow, deltalake, pandas as pd
from autograder.databricks.tables import TableError, Tables
folder, mode, me, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
tables = Tables(folder)
Path(folder, me).touch()
while not Path(folder, "go").exists():
    time.sleep(0.001)
for number in range(rounds):
    frame = pd.DataFrame({"plant_id": [f"{me}-{number}"], "visits": [number]})
    name = "flowers" if mode in ("append", "merge") else f"flowers{number}"
    try:
        if mode == "merge":
            version = tables.merge(name, frame, ["plant_id"])
        else:
            version = tables.write(name, frame, mode="append" if mode == "append" else mode)
        print("wrote", name, version, frame.plant_id[0], flush=True)
    except TableError as error:
        print("lost", name, "-", error, flush=True)
"""


def race(tables: Tables, mode: str, rounds: int) -> tuple[list[list[str]], list[str]]:
    """Two processes write at once; what they wrote, as table, version and key, and what they lost."""
    folder = tables.folder.parent
    command = [sys.executable, "-c", WRITER, str(folder), mode]
    writers = [
        Popen([*command, me, str(rounds)], cwd=ROOT, env=environment(), stdout=PIPE, text=True) for me in "AB"
    ]
    while not all((folder / me).exists() for me in "AB"):
        assert all(writer.poll() is None for writer in writers)
        time.sleep(0.01)
    (folder / "go").touch()
    lines = [line for writer in writers for line in writer.communicate(timeout=120)[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(lines) == 2 * rounds
    return [line.split()[1:] for line in lines if line.startswith("wrote")], [
        line for line in lines if line.startswith("lost")
    ]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_of_two_writers_none_loses_a_row_in_silence(tables: Tables, mode: str) -> None:
    tables.write("flowers", pd.DataFrame({"plant_id": ["first"], "visits": [0]}))
    wrote, lost = race(tables, mode, 15)
    if mode == "append":
        assert not lost, "appends do not disturb each other"
    for line in lost:
        assert "Another program changed table `flowers` at the same moment" in line
    assert sorted(tables.read("flowers").plant_id) == sorted(["first", *(key for _, _, key in wrote)])
    for _, version, key in wrote:  # each was told the version that it made itself
        assert key in set(tables.read("flowers", int(version)).plant_id)
        assert key not in set(tables.read("flowers", int(version) - 1).plant_id)


def test_of_two_makers_of_a_table_one_wins(tables: Tables) -> None:
    wrote, lost = race(tables, "error", 15)
    assert len(wrote) == len(lost) == 15
    for name, version, key in wrote:
        assert version == "0"
        assert list(tables.read(name).plant_id) == [key]
    for line in lost:
        assert "already" in line or "same moment" in line or "is no Delta table" in line, line
