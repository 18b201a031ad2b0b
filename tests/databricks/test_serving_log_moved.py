"""Calls go from the journal to the table once, wherever that is stopped, and the table stays one to read."""

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import parquet

from autograder.databricks import journal
from autograder.databricks.fitting import TableError
from autograder.databricks.metrics import measure
from autograder.databricks.mover import Mover
from autograder.databricks.state import FOLDER, STATE, State
from autograder.databricks.tables import Tables
from autograder.evidence.delta_log import MOST_COMMITS
from autograder.evidence.workspace_reader import read_workspace
from tests.conftest import ROOT, environment
from tests.databricks.test_serving_log import in_table, logged
from tests.support.served import Served, refused, until

pytestmark = pytest.mark.xdist_group("serving log")


MOVING = """
import sys
from pathlib import Path
from autograder.databricks import journal
from autograder.databricks.state import State
import deltalake, pyarrow
journal.BATCH = 20
print("moving", flush=True)
journal.move(State(Path(sys.argv[1])))
print("moved", flush=True)
"""


def commits(folder: Path) -> int:
    """How many commits the table has."""
    return len(list((folder / journal.TABLE / "_delta_log").glob("*.json")))


def write_calls(state: State, count: int) -> list[str]:
    calls = [
        journal.record(
            endpoint="e", status=200, began=time.time(), seconds=0.001, request=b"{}", response=b"{}",
            requester="ada",
        )
        for _ in range(count)
    ]  # fmt: skip
    connection = state.connect()
    connection.execute("BEGIN")
    for call in calls:
        journal.write(connection, call)
    connection.execute("COMMIT")
    connection.close()
    return [call["databricks_request_id"] for call in calls]


def test_a_move_that_is_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    state = State(tmp_path)
    ids = write_calls(state, 3000)
    killed = 0
    for turn in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", MOVING, str(tmp_path)],
            stdout=subprocess.PIPE,
            env=environment(PYTHONPATH=str(ROOT)),
        )
        assert process.stdout and process.stdout.readline() == b"moving\n"
        before, end = commits(tmp_path), time.monotonic() + 60
        while turn and commits(tmp_path) == before and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.007 * turn)
        process.kill()
        process.wait()
        killed += b"moved" not in process.stdout.read()
        process.stdout.close()
        counted = Counter(journal.read(tmp_path)["databricks_request_id"].to_pylist())
        assert counted == Counter(ids)
    assert killed >= 3
    assert 0 < len(in_table(tmp_path)) < len(ids)  # the kills were amid a move
    journal.move(state)
    assert Counter(in_table(tmp_path)) == Counter(ids)


def test_calls_that_the_table_has_already_are_not_moved_again(tmp_path: Path) -> None:
    state = State(tmp_path)
    ids = write_calls(state, 10)
    connection = state.connect()
    rows = connection.execute("SELECT id, record FROM journal").fetchall()
    journal.move(state)
    connection.executemany("INSERT INTO journal VALUES (?, ?)", rows)  # as if killed before they were deleted
    assert len(journal.read(tmp_path)) == 10
    journal.move(state)
    assert Counter(in_table(tmp_path)) == Counter(ids)


def test_a_state_made_anew_beside_an_old_table_loses_no_call(tmp_path: Path) -> None:
    old = write_calls(State(tmp_path), 50)
    journal.move(State(tmp_path))
    for name in (STATE, f"{STATE}-wal", f"{STATE}-shm"):
        (tmp_path / FOLDER / name).unlink(missing_ok=True)
    new = write_calls(State(tmp_path), 10)
    journal.move(State(tmp_path))
    assert Counter(in_table(tmp_path)) == Counter(old + new)


def test_a_table_that_cannot_be_written_keeps_the_calls_in_the_journal_and_says_so(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.register_constant("Word", "one")
    (tmp_path / journal.TABLE.parent).mkdir()
    (tmp_path / journal.TABLE).write_text("not a table")
    served.start()
    served.create("logged", ("Word", "1", 100))
    answer = served.ask("logged")
    assert answer.status_code == 200
    served.close()
    assert "The journal was not moved" in (tmp_path / FOLDER / "serving.log").read_text()
    (tmp_path / journal.TABLE).unlink()
    journal.move(State(tmp_path))
    assert in_table(tmp_path) == [answer.headers["x-request-id"]]


def test_a_call_that_the_servers_end_cuts_short_is_answered_and_logged(tmp_path: Path) -> None:
    served = Served(tmp_path)
    begun, held = tmp_path / "begun", tmp_path / "held"
    held.touch()
    waits = f"open({str(begun)!r}, 'w')\nwhile os.path.exists({str(held)!r}): time.sleep(0.05)"
    served.register_code("Slow", predict=f"exec({waits!r}); return ['done'] * len(model_input)")
    served.start()
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(served.ask_model, "Slow", "1")
            until(begun.exists)
            served.servers[-1].end()
            answer = asked.result()
        refused(answer, 503, "is ending", "Ask again")
    finally:
        held.unlink()
        served.close()
    row = logged(served, answer)
    assert (row["status_code"], row["response"], row["requester"]) == (503, answer.text, "ada")
    assert row["request_metadata"]["model_version"] == "1"


def test_many_large_calls_are_moved_soon_and_leave_the_file_small(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.start()
    try:
        ids = {served.ask("nobody", data=b"x" * 1_000_000).headers["x-request-id"] for _ in range(40)}
        until(lambda: ids == set(in_table(tmp_path)))
        state = tmp_path / FOLDER / STATE
        until(lambda: sum(f.stat().st_size for f in state.parent.glob(f"{STATE}*")) < 20 << 20)
        seen = read_workspace(tmp_path)
        assert not [finding for finding in seen.findings if STATE in finding]
        assert seen.tokens
    finally:
        served.close()


def on_disk(state: State) -> int:
    return sum(file.stat().st_size for file in state.path.parent.glob(f"{STATE}*"))


def write_much(state: State, calls: int) -> None:
    connection = state.connect()
    call = journal.record(
        endpoint="e", status=200, began=time.time(), seconds=0.001, request=b"x" * 1_000_000, response=b"",
        requester="ada",
    )  # fmt: skip
    for _ in range(calls):
        journal.write(connection, call)
    connection.close()


def test_a_file_that_a_reader_kept_large_shrinks_once_the_reader_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PAUSE", 0.2)
    state = State(tmp_path)
    write_much(state, 24)
    reader = state.connect()
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM journal").fetchone() == (24,)
    mover = Mover(state)
    mover.start()
    try:
        until(lambda: len(in_table(tmp_path)) == 24)
        time.sleep(1)
        assert on_disk(state) > 20 << 20
        began = time.monotonic()
        write_calls(state, 1)  # a call is not held up by what waits for the reader
        assert time.monotonic() - began < 2
        reader.execute("COMMIT")
        until(lambda: on_disk(state) < 1 << 20, 20)
    finally:
        reader.close()
        mover.stop()


@pytest.mark.parametrize("kept", ["by another server", "in the log alone"])
def test_the_next_move_makes_a_file_smaller_that_was_left_large(tmp_path: Path, kept: str) -> None:
    state = State(tmp_path)
    write_much(state, 24)
    reader = state.connect()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    if kept == "by another server":
        journal.move(state)
    else:
        connection = state.connect()
        connection.execute("DELETE FROM journal")
        connection.execute("VACUUM")  # nothing is free any more: only the size on the disk tells
        connection.close()
    assert on_disk(state) > 20 << 20
    reader.execute("COMMIT")  # its connection stays open: the last one that is closed tidies up by itself
    assert journal.move(State(tmp_path)) == 0
    assert on_disk(state) < 1 << 20
    reader.close()


def test_much_is_moved_at_once_and_not_at_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAUSE", 1000.0)
    monkeypatch.setattr(journal, "LARGEST_BATCH", 10_000)
    state = State(tmp_path)
    connection = state.connect()
    mover = Mover(state)
    mover.start()
    call = journal.record(
        endpoint="e", status=200, began=time.time(), seconds=0.001, request=b"x" * 900, response=b"",
        requester="ada",
    )  # fmt: skip
    try:
        for _ in range(18):
            mover.wrote(journal.write(connection, call))
        until(lambda: len(in_table(tmp_path)) >= 9)
    finally:
        connection.close()
        mover.stop()
    assert len(in_table(tmp_path)) == 18


def test_a_log_that_grows_day_and_night_stays_one_that_can_be_read() -> None:
    assert sum(journal.pause(commits) for commits in range(MOST_COMMITS)) > 7 * 24 * 3600
    assert journal.pause(0) == journal.PAUSE


@pytest.mark.parametrize("kind", ["log", "write", "merge"])
def test_the_first_versions_of_a_table_stay_however_old(tmp_path: Path, kind: str) -> None:
    tables, frame = Tables(tmp_path), pd.DataFrame({"n": [1]})
    if kind == "log":
        write_calls(State(tmp_path), 1)
        journal.move(State(tmp_path))
    else:
        tables.write("mine", frame)
    path = tmp_path / (journal.TABLE if kind == "log" else "tables/mine")
    DeltaTable(str(path)).alter.set_table_properties({"delta.checkpointInterval": "3"})
    long_ago = time.time() - 60 * 24 * 3600
    for _ in range(7):
        for file in (path / "_delta_log").iterdir():
            os.utime(file, (long_ago, long_ago))
        if kind == "log":
            write_calls(State(tmp_path), 1)
            journal.move(State(tmp_path))
        elif kind == "write":
            tables.write("mine", frame, mode="append")
        else:
            tables.merge("mine", frame, ["n"])
    names = {file.name for file in (path / "_delta_log").iterdir()}
    assert any("checkpoint" in name for name in names)  # or else nothing would have been cleaned up
    assert {f"{number:020}.json" for number in range(9)} <= names


def test_the_request_log_is_no_table_to_write_to(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1]})
    tables = Tables(tmp_path)
    for write in (
        lambda: tables.write("Serving_Payload", frame),
        lambda: tables.create("serving_payload", frame, {}),
        lambda: tables.merge("serving_payload", frame, ["n"]),
    ):
        with pytest.raises(TableError, match=r"is the request log.*expected another name"):
            write()
    assert tables.names() == []


def test_a_table_in_the_logs_place_is_said_in_the_metrics_and_loses_no_call(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.register_constant("Word", "one")
    table = tmp_path / journal.TABLE
    write_deltalake(str(table), pa.table({"flower": ["iris"]}))
    served.start()
    served.create("logged", ("Word", "1", 100))
    ids = [served.ask("logged").headers["x-request-id"] for _ in range(3)]
    metrics = "/api/2.0/serving-endpoints/logged/metrics"
    text = served.call("GET", metrics).text
    assert "# " in text
    assert "is a table with the columns flower; expected the request log" in text
    assert 'request_count_total{endpoint_name="logged",status="200"} 3' in text
    served.close()
    assert "Move it away" in (tmp_path / FOLDER / "serving.log").read_text()
    table.rename(tmp_path / "mine")
    served.start()
    try:
        assert "The journal was not moved" not in served.call("GET", metrics).text
    finally:
        served.close()
    assert set(ids) == set(in_table(tmp_path))


def test_columns_that_nobody_asked_for_are_not_read(tmp_path: Path) -> None:
    state = State(tmp_path)
    ids = write_calls(state, 50)
    journal.move(state)
    (path,) = (tmp_path / journal.TABLE).glob("*.parquet")
    content = bytearray(path.read_bytes())
    group = parquet.read_metadata(path).row_group(0)
    for number in range(group.num_columns):
        chunk = group.column(number)
        if chunk.path_in_schema in ("request", "response"):
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            content[begin : begin + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    assert len(journal.read(tmp_path, ["status_code"])) == len(ids)
    assert sum(measure(tmp_path, "e").calls["status_code"] == 200) == len(ids)
    with pytest.raises(OSError, match=r"Parquet|decompress|deserialize|page"):
        journal.read(tmp_path)
