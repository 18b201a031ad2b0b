"""A workspace that was made to trap its reader: each trap is a finding and nothing else."""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from autograder.databricks.journal import Record, record, write
from autograder.databricks.state import State
from autograder.databricks.tables import Tables
from autograder.databricks.tokens import create_token
from autograder.evidence import Evidence, WorkspaceFacts, dump, load
from autograder.evidence.workspace_reader import read_workspace
from tests.evidence.test_evidence_workspace import hashes

GOOD = pd.DataFrame({"x": [1, 2]})
SECRET = "what-stands-outside"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with a token and a sound table, beside a folder that is not its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    create_token(State(folder), "mine")
    Tables(folder).write("good", GOOD)
    (tmp_path / "outside").mkdir()
    parquet.write_table(pa.table({"x": [SECRET]}), tmp_path / "outside" / "secret.parquet")
    return folder


def seen(home: Path) -> WorkspaceFacts:
    """The facts; reading changed nothing, told nothing from outside, and left the good table readable."""
    before = hashes(home)
    facts = read_workspace(home)
    assert hashes(home) == before
    assert [table.rows for table in facts.tables if table.name == "good"] == [2]
    text = dump(Evidence(seed=1, requests=facts.requests, tables=facts.tables, findings=facts.findings))
    assert SECRET not in text
    load(text)
    for finding in facts.findings:
        assert finding.isprintable()
        assert len(finding) < 700
    return facts


def the_finding(home: Path, table: str = "bad") -> str:
    """The one finding, about the table “bad”."""
    (finding,) = seen(home).findings
    assert f"“{table}”" in finding
    return finding


def commit(home: Path, *actions: Any, number: int = 1, table: str = "bad") -> Path:
    """Write a commit by hand; the table is made first if there is none."""
    folder = home / "tables" / table
    if not folder.exists():
        Tables(home).write(table, pd.DataFrame({"x": ["a"]}))
    (folder / "_delta_log" / f"{number:020}.json").write_text("\n".join(json.dumps(a) for a in actions))
    return folder


def add(path: Any, **more: Any) -> dict[str, Any]:
    body = {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True}
    return {"add": {**body, **more}}


PATHS = [
    "../../../outside/secret.parquet", "%2e%2e/%2e%2e/outside/secret.parquet", "x/../../secret.parquet",
    "..\\..\\secret.parquet", "s3://bucket/secret.parquet", "http://192.0.2.1/secret.parquet",
    "file:///etc/passwd", "C:/secret.parquet", "\x1b[31m", "", "/etc/passwd", 17, None,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_file_outside_of_the_table_is_not_followed(home: Path, path: object) -> None:
    commit(home, add(path))
    assert "inside the table's folder" in (told := the_finding(home)) or "expected a path" in told


def test_an_absolute_path_to_a_real_file_is_not_followed(home: Path, tmp_path: Path) -> None:
    commit(home, add(str(tmp_path / "outside" / "secret.parquet")))
    assert "inside the table's folder" in the_finding(home)


@pytest.mark.skipif(sys.platform == "win32", reason="making links takes a right that users do not have")
def test_links_are_not_followed(home: Path, tmp_path: Path) -> None:
    folder = commit(home, add("link.parquet"))
    (folder / "link.parquet").symlink_to(tmp_path / "outside" / "secret.parquet")
    assert "missing or a link" in the_finding(home)
    commit(home, add("way/secret.parquet"))
    (folder / "way").symlink_to(tmp_path / "outside")
    assert "missing or a link" in the_finding(home)
    Tables(tmp_path / "outside").write("other", pd.DataFrame({"x": [SECRET]}))
    (home / "tables" / "linked").symlink_to(tmp_path / "outside" / "tables" / "other")
    assert any("“linked”" in finding for finding in seen(home).findings)
    log = folder / "_delta_log"
    (log / f"{1:020}.json").unlink()
    (log / f"{1:020}.json").symlink_to(tmp_path / "outside" / "secret.parquet")
    assert any("commit 1 of its log is a link" in finding for finding in seen(home).findings)


def test_deletion_vectors_are_said(home: Path) -> None:
    vector = {"storageType": "p", "pathOrInlineDv": "/etc/passwd", "sizeInBytes": 1, "cardinality": 1}
    commit(home, add("x.parquet", deletionVector=vector))
    assert "deletion vectors" in the_finding(home)


def test_a_log_that_begins_with_a_checkpoint_is_said(home: Path) -> None:
    commit(home, number=3)
    assert "lacks commit 1" in the_finding(home)


def test_a_checkpoint_that_says_otherwise_is_not_read(home: Path) -> None:
    folder = commit(home)
    checkpoint = folder / "_delta_log" / f"{1:020}.checkpoint.parquet"
    parquet.write_table(pa.table({"add": [{"path": "s3://bucket/x"}]}), checkpoint)
    (folder / "_delta_log" / "_last_checkpoint").write_text('{"version": 1, "size": 1}')
    facts = seen(home)
    assert facts.findings == ()
    assert [table.rows for table in facts.tables] == [1, 2]


def test_a_log_of_very_many_files_is_said(home: Path) -> None:
    folder = commit(home)
    line = json.dumps(add("NAME"))
    text = "\n".join(line.replace("NAME", f"{number}.parquet") for number in range(200_000))
    (folder / "_delta_log" / f"{1:020}.json").write_text(text)
    assert "more than 20,000 files" in the_finding(home)


@pytest.mark.parametrize(
    "text", ["[]", "{", "1e999", "[" * 100_000, '{"add": []}', '{"x": ' + "9" * 9_999 + "}"]
)
def test_a_log_that_is_no_log_is_said(home: Path, text: str) -> None:
    folder = commit(home)
    (folder / "_delta_log" / f"{1:020}.json").write_text(text)
    assert "commit 1" in the_finding(home)


def added(home: Path, data: pa.Table, **options: Any) -> None:
    """Add a file to a table by a commit that lies about itself, but not about the file's size."""
    path = commit(home) / "added.parquet"
    parquet.write_table(data, path, **options)
    info = {"timestamp": "soon", "operation": ["\ud800"], "mlflow_run_id": "\ud800"}
    commit(home, {"commitInfo": info}, add(path.name, size=path.stat().st_size))


def test_billions_of_rows_are_not_unpacked(home: Path) -> None:
    indices = pa.array([0] * 30_000_000, pa.int8())
    added(home, pa.table({"x": pa.DictionaryArray.from_arrays(indices, ["a"])}))
    assert "more than 2,000,000 rows" in the_finding(home)


def test_few_rows_that_are_gigabytes_come_to_the_limit_of_memory(home: Path) -> None:
    indices = pa.array([0] * 100_000, pa.int32())
    large = pa.DictionaryArray.from_arrays(indices, ["a" * 1_000_000])
    added(home, pa.table({"x": large}), compression="zstd")
    assert any(word in the_finding(home) for word in ("MemoryError", "limit of memory"))


def test_a_file_that_is_no_parquet_is_said_and_the_versions_stay(home: Path) -> None:
    folder = commit(home)
    (path,) = folder.glob("*.parquet")
    path.write_bytes(b"PAR1" * 1000)
    assert "rows cannot be read" in the_finding(home)
    (bad, _) = seen(home).tables
    assert (bad.rows, len(bad.versions)) == (None, 2)


def test_a_request_log_with_other_columns_is_said(home: Path) -> None:
    write_deltalake(str(home / "tables" / "serving_payload"), pa.Table.from_pandas(GOOD))
    assert "not those of the request log" in the_finding(home, "serving_payload")


SCHEMAS: dict[str, str] = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM tokens; END",
    "a view": "DROP TABLE journal; CREATE VIEW journal AS SELECT 1 AS id, 'x' AS record",
    "a virtual table": "DROP TABLE journal; CREATE VIRTUAL TABLE journal USING fts5(id, record)",
    "a computed column": "DROP TABLE journal; CREATE TABLE journal "
    "(id INTEGER PRIMARY KEY, record TEXT AS (printf('%.*c', 1000000000, 'x')))",
    "a lost table": "DROP TABLE events",
}


@pytest.mark.parametrize("script", SCHEMAS.values(), ids=SCHEMAS)
def test_a_file_with_a_schema_of_its_own_is_not_read(home: Path, script: str) -> None:
    connection = State(home).connect()
    connection.executescript(script)
    connection.close()
    facts = seen(home)
    assert facts.tokens == ()
    assert "not those that the kit makes" in facts.findings[0]


BREAKS: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"no database at all" * 1000),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:9_000]),
    "empty": lambda path: path.write_bytes(b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: path.rename(path.with_name("x")) and path.symlink_to(path.with_name("x")),
}


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_a_file_that_is_none_is_said(home: Path, break_it: Callable[[Path], object]) -> None:
    break_it(home / "workspace" / "workspace.db")
    (finding,) = seen(home).findings
    assert finding.startswith("workspace/workspace.db cannot be read")


def test_huge_and_strange_values_are_counted_and_the_rest_is_read(home: Path) -> None:
    connection = State(home).connect()
    for value in (
        b"\xff" * 30_000_000,
        "x" * 17_000_000,
        "[" * 100_000,
        "null",
        "\ud800".encode("utf-8", "surrogatepass"),
    ):
        connection.execute("INSERT INTO journal (record) VALUES (?)", (value,))
    connection.execute("INSERT INTO tokens VALUES (?, x'00', 'u', 'p', 'c', 'soon', ?, 1e400)", ("id", b"x"))
    write(connection, a_call())
    connection.close()
    facts = seen(home)
    assert len(facts.requests) == len(facts.tokens) == 1
    assert [finding.partition(" rows")[0] for finding in facts.findings] == ["1", "5"]


def test_long_texts_are_cut_and_that_is_said(home: Path) -> None:
    connection = State(home).connect()
    write(connection, a_call(request=b"x" * 100_000))
    connection.close()
    (call,) = (facts := seen(home)).requests
    assert (len(call.request or ""), call.cut) == (65_536, True)
    assert facts.findings == ("1 calls have longer texts than are read: their beginnings are.",)


def a_call(**changes: Any) -> Record:
    given: dict[str, Any] = {"endpoint": "e", "status": 200, "began": 1.0, "seconds": 0.1, "requester": None}
    return record(**{**given, "request": b"{}", "response": b"{}", **changes})


DOCUMENT = {
    "name": "e", "creator": "c", "creation_timestamp": 1, "tags": [],
    "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
    "config": {"served_entities": [], "traffic_config": {"routes": []}},
}  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def changed(document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any document at all, or this one with some values changed."""
    some = st.dictionaries(st.sampled_from(sorted(document)), values, max_size=3)
    return values | some.map(lambda new: {**document, **new})


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changed(DOCUMENT), max_size=3), st.lists(changed(a_call()), max_size=3), values)
def test_any_documents_at_all_are_read_without_an_error(
    tmp_path: Path, documents: list[Any], calls: list[Any], strange: Any
) -> None:
    state = State(tmp_path)
    connection = sqlite3.connect(state.path)
    for table in ("endpoints", "events", "journal"):
        connection.execute(f"DELETE FROM {table}")
    for number, document in enumerate(documents):
        connection.execute("INSERT INTO endpoints VALUES (?, ?)", (str(number), json.dumps(document)))
        event = (json.dumps(strange)[:9], str(number), "what", "by", json.dumps(document))
        connection.execute("INSERT INTO events (time, name, what, by, body) VALUES (?, ?, ?, ?, ?)", event)
    for call in calls:
        write(connection, call)
    connection.commit()
    connection.close()
    facts = read_workspace(tmp_path)
    assert len(facts.findings) <= 4
    whole = Evidence(
        seed=1, endpoints=facts.endpoints, endpoint_changes=facts.endpoint_changes, requests=facts.requests
    )
    assert load(dump(whole)) == whole
