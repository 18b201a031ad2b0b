"""The request log: a Delta table in the shape of Databricks' inference tables, and a journal before it.

https://docs.databricks.com/aws/en/machine-learning/model-serving/inference-tables. One table holds the
calls of all endpoints, also those refused for their token, which Databricks leaves out; not those that
are no call yet, of another host or with a body too large or too slow. A call is in the journal, in the
workspace's file, before it is answered. From there it moves to the table in transactions that carry the
number of the last call moved: a process that is killed in between moves nothing twice and forgets
nothing.
"""

import json
import sqlite3
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.base.errors import KitError
from autograder.base.paths import table_path
from autograder.databricks.state import State

if TYPE_CHECKING:
    import pyarrow
    from deltalake import DeltaTable

#: The table, beside the notebook.
TABLE = Path("tables") / "serving_payload"
APPLICATION = "mlflow-teaching-kit-journal"
SETTING = "journal"
#: Columns of a foreign table that a message names, at most.
MOST_NAMED = 5
#: A request or an answer of more bytes is not kept, as on Databricks, and ``logging_error_codes`` says so.
MOST_KEPT = 1 << 20
#: Calls, and bytes of them, that one transaction moves, at most; as much makes the next move come at once.
BATCH = 5_000
LARGEST_BATCH = 8 << 20
#: Seconds between two looks at what is to be moved, and how many commits of the table add as many again:
#: the log of a table that grew a commit every five seconds could not be read after a night.
PAUSE = 5.0
COMMITS = 100
#: Bytes that the workspace's file may have free before it is made smaller.
MOST_FREE = 8 << 20
#: How long another process's move is waited for, in seconds.
PATIENCE = 60.0

Record = dict[str, Any]


class JournalError(KitError):
    """The request log cannot be moved or read; says what was found, what was expected and what to do."""


def record(  # noqa: PLR0913 (the columns of the table)
    *,
    endpoint: str,
    status: int,
    began: float,
    seconds: float,
    request: bytes,
    response: bytes,
    requester: str | None,
    token_id: str | None = None,
    client_request_id: str | None = None,
    entity: Record | None = None,
    warning: str | None = None,
) -> Record:
    """A call as the request log has it. ``began`` is in seconds since 1970-01-01 UTC."""
    errors = []
    for what, body in (("REQUEST", request), ("RESPONSE", response)):
        if len(body) > MOST_KEPT:
            errors.append(f"MAX_{what}_SIZE_EXCEEDED")
    metadata = {"endpoint_name": endpoint}
    if token_id:
        metadata["token_id"] = token_id
    if entity:
        metadata |= {
            "served_entity_name": entity["name"],
            "model_name": entity["entity_name"],
            "model_version": entity["entity_version"],
        }
    if warning:
        metadata["warning"] = warning
    return {
        "databricks_request_id": str(uuid.uuid4()),
        "client_request_id": client_request_id,
        "request_time": int(began * 1_000_000),
        "status_code": status,
        "sampling_fraction": 1.0,
        "execution_duration_ms": round(seconds * 1000, 3),
        "request": None if len(request) > MOST_KEPT else request.decode("utf-8", "replace"),
        "response": None if len(response) > MOST_KEPT else response.decode("utf-8", "replace"),
        "served_entity_id": entity["source"] if entity else None,
        "logging_error_codes": errors,
        "requester": requester,
        "request_metadata": metadata,
    }


def write(connection: sqlite3.Connection, call: Record) -> int:
    """Write a call into the journal; it is safe from a killed process when this returns. How many bytes."""
    text = json.dumps(call)
    connection.execute("INSERT INTO journal (record) VALUES (?)", (text,))
    return len(text)


def move(state: State) -> int:
    """Move what is in the journal to the table; how many calls. Can be interrupted anywhere and run twice.

    Raises JournalError when something else is where the table should be.
    """
    moved = 0
    connection = state.connect()
    try:
        application = _application(connection)
        with _one_at_a_time(state):
            # what comes meanwhile is the next move's: under traffic this would not end
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()
            while rows := _batch(connection, last):
                moved += _move(state.folder, application, rows)
                connection.execute("DELETE FROM journal WHERE id <= ?", (rows[-1][0],))
            _make_smaller(state, connection)
    finally:
        connection.close()
    return moved


def _batch(connection: sqlite3.Connection, last: int) -> list[tuple[int, str]]:
    """The oldest calls, up to the number ``last``, of which one transaction is made."""
    rows: list[tuple[int, str]] = []
    left = LARGEST_BATCH
    found = connection.execute("SELECT id, record FROM journal WHERE id <= ? ORDER BY id", (last,))
    for row in found:
        rows.append(row)
        left -= len(row[1])
        if left <= 0 or len(rows) == BATCH:
            break
    found.close()
    return rows


def _make_smaller(state: State, connection: sqlite3.Connection) -> None:
    """Give back what moved calls leave free in the file: a file that stayed large would not be read.

    The file and its log shrink in a checkpoint, which a reader holds off; so what the disk holds decides,
    and the next look tries again. To wait for the reader here would hold up every call meanwhile.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if free * size > MOST_FREE:
        connection.execute("VACUUM")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if _on_disk(state) > pages * size + MOST_FREE:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _on_disk(state: State) -> int:
    """Bytes of the workspace's file and of its log."""
    files = (state.path, state.path.with_name(f"{state.path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _application(connection: sqlite3.Connection) -> str:
    """Who moves, to the table: each workspace's file counts its calls from one, also the one that is made
    anew beside a table that is there already.
    """
    connection.execute(
        "INSERT OR IGNORE INTO settings VALUES (?, ?)", (SETTING, f"{APPLICATION}-{uuid.uuid4()}")
    )
    name: str = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()[0]
    return name


def _move(folder: Path, application: str, rows: list[tuple[int, str]]) -> int:
    from deltalake import CommitProperties, PostCommitHookProperties, Transaction, write_deltalake

    table = open_table(folder)
    done = (table.transaction_version(application) if table else None) or -1
    new = [(number, text) for number, text in rows if number > done]
    if new:
        write_deltalake(
            table or table_path(folder / TABLE),
            as_table([json.loads(text) for _, text in new]),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction(application, new[-1][0])]),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    return len(new)


def open_table(folder: Path) -> "DeltaTable | None":
    """The table as it is now; None where there is none yet. Raises JournalError for something else, and
    MisreadPath where there can be none.
    """
    from deltalake import DeltaTable

    path = folder / TABLE
    if DeltaTable.is_deltatable(table_path(path)):
        table = DeltaTable(table_path(path))
        columns = [field.name for field in table.schema().fields]
        if columns == list(as_table([]).schema.names):
            return table
        found = f"is a table with the columns {', '.join(columns[:MOST_NAMED])}"
    elif not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    else:
        found = "is no Delta table"
    raise JournalError(
        f"{path} {found}; expected the request log, whose place that is. Move it away: the calls are kept in "
        "the journal until then."
    )


class _one_at_a_time:
    """Holds off other processes that would move the same calls, by a lock in a file of its own."""

    def __init__(self, state: State) -> None:
        self.connection = sqlite3.connect(
            state.path.with_name("moving.db"), timeout=PATIENCE, isolation_level=None
        )

    def __enter__(self) -> None:
        self.connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def as_table(calls: list[Record]) -> "pyarrow.Table":
    """Calls as a table with the columns of the request log."""
    import pyarrow as pa

    text = pa.string()
    schema = pa.schema(
        [
            ("databricks_request_id", text),
            ("client_request_id", text),
            ("request_date", pa.date32()),
            ("request_time", pa.timestamp("us", tz="UTC")),
            ("status_code", pa.int32()),
            ("sampling_fraction", pa.float64()),
            ("execution_duration_ms", pa.float64()),
            ("request", text),
            ("response", text),
            ("served_entity_id", text),
            ("logging_error_codes", pa.list_(text)),
            ("requester", text),
            ("request_metadata", pa.map_(text, text)),
        ]
    )
    rows = [
        {
            **call,
            "request_date": datetime.fromtimestamp(call["request_time"] / 1e6, UTC).date(),
            "request_metadata": list(call["request_metadata"].items()),
        }
        for call in calls
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def read(folder: Path, columns: Sequence[str] | None = None, most: int = 100_000) -> "pyarrow.Table":
    """The request log of the workspace in ``folder``, the oldest call first: the table, and what is
    still in the journal. No more than the last ``most`` calls, and only these columns of the table.

    Raises JournalError when something else is where the table should be.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # the journal first: what moves meanwhile is then in both, and never in neither
    waiting = read_waiting(folder)
    parts = []
    if table := open_table(folder):
        needed = {"databricks_request_id", "request_time", *(columns or waiting.schema.names)}
        schema = pa.schema([field for field in waiting.schema if field.name in needed])
        parts.append(table.to_pyarrow_table(columns=schema.names).cast(schema))
        known = pa.array(parts[0]["databricks_request_id"].to_pylist(), pa.string())
        waiting = waiting.select(schema.names)
        waiting = waiting.filter(pc.invert(pc.is_in(waiting["databricks_request_id"], value_set=known)))
    found = pa.concat_tables([*parts, waiting]).sort_by("request_time")
    found = found.slice(max(0, len(found) - most))
    return found.select(columns) if columns else found


def read_waiting(folder: Path) -> "pyarrow.Table":
    """What is in the journal and was not moved to the table yet, with the columns of the request log."""
    connection = State(folder).connect()
    rows = connection.execute("SELECT record FROM journal ORDER BY id").fetchall()
    connection.close()
    return as_table([json.loads(text) for (text,) in rows])


def pause(commits: int) -> float:
    """Seconds until the next look when the table has so many commits."""
    return PAUSE * (1 + commits // COMMITS)
