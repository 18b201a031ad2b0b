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
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.workspace.serving.state import State

if TYPE_CHECKING:
    import pyarrow

#: The table, beside the notebook.
TABLE = Path("tables") / "serving_payload"
APPLICATION = "mlflow-teaching-kit-journal"
SETTING = "journal"
#: A request or an answer of more bytes is not kept, as on Databricks, and ``logging_error_codes`` says so.
MOST_KEPT = 1 << 20
#: Calls that one transaction moves, at most.
BATCH = 5_000
#: Seconds between two looks at what is to be moved, and calls that make it sooner.
PAUSE = 5.0
#: How long another process's move is waited for, in seconds.
PATIENCE = 60.0

Record = dict[str, Any]


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


def write(connection: sqlite3.Connection, call: Record) -> None:
    """Write a call into the journal; it is safe from a killed process when this returns."""
    connection.execute("INSERT INTO journal (record) VALUES (?)", (json.dumps(call),))


def move(state: State) -> int:
    """Move what is in the journal to the table; how many calls. Can be interrupted anywhere and run twice."""
    moved = 0
    connection = state.connect()
    try:
        application = _application(connection)
        with _one_at_a_time(state):
            # what comes meanwhile is the next move's: under traffic this would not end
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()
            while rows := connection.execute(
                "SELECT id, record FROM journal WHERE id <= ? ORDER BY id LIMIT ?", (last, BATCH)
            ).fetchall():
                moved += _move(state.folder / TABLE, application, rows)
                connection.execute("DELETE FROM journal WHERE id <= ?", (rows[-1][0],))
    finally:
        connection.close()
    return moved


def _application(connection: sqlite3.Connection) -> str:
    """Who moves, to the table: each workspace's file counts its calls from one, also the one that is made
    anew beside a table that is there already.
    """
    connection.execute(
        "INSERT OR IGNORE INTO settings VALUES (?, ?)", (SETTING, f"{APPLICATION}-{uuid.uuid4()}")
    )
    name: str = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()[0]
    return name


def _move(path: Path, application: str, rows: list[tuple[int, str]]) -> int:
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    done = -1
    if DeltaTable.is_deltatable(str(path)):
        done = DeltaTable(str(path)).transaction_version(application) or -1
    new = [(number, text) for number, text in rows if number > done]
    if new:
        write_deltalake(
            str(path),
            as_table([json.loads(text) for _, text in new]),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction(application, new[-1][0])]),
        )
    return len(new)


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


def read(folder: Path, most: int = 100_000) -> "pyarrow.Table":
    """The request log of the workspace in ``folder``, the oldest call first: the table, and what is
    still in the journal. No more than the last ``most`` calls.
    """
    import pyarrow as pa
    from deltalake import DeltaTable

    # the journal first: what moves meanwhile is then in both, and never in neither
    calls = [json.loads(text) for text in _waiting(State(folder))]
    parts = []
    if DeltaTable.is_deltatable(str(folder / TABLE)):
        parts.append(DeltaTable(str(folder / TABLE)).to_pyarrow_table().cast(as_table([]).schema))
        known = set(parts[0]["databricks_request_id"].to_pylist())
        calls = [call for call in calls if call["databricks_request_id"] not in known]
    table = pa.concat_tables([*parts, as_table(calls)]).sort_by("request_time")
    return table.slice(max(0, len(table) - most))


def _waiting(state: State) -> Iterator[str]:
    connection = state.connect()
    yield from (text for (text,) in connection.execute("SELECT record FROM journal ORDER BY id"))
    connection.close()


class Mover(threading.Thread):
    """Moves the journal to the table every PAUSE seconds, and once more when it is stopped.

    ``problem`` says why the last move failed; the calls are then still in the journal.
    """

    def __init__(self, state: State) -> None:
        super().__init__(name="moves the journal", daemon=True)
        self.state = state
        self.stopped = threading.Event()
        self.problem: str | None = None

    def run(self) -> None:
        """Move until stopped."""
        while True:
            last = self.stopped.wait(PAUSE)
            try:
                move(self.state)
                self.problem = None
            except Exception as error:  # a full disk, a table that someone changed: nothing is lost
                self.problem = f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}"
                print(f"The journal was not moved. {self.problem}", flush=True)  # to serving.log
            if last:
                return

    def stop(self) -> None:
        """Move what is left and end."""
        self.stopped.set()
        self.join(PATIENCE)
