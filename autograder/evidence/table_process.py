"""Read Delta tables, tell what they are: run where a table that is a trap can do no harm.

``python -m autograder.evidence.table_process FOLDER`` answers questions about the tables in FOLDER/tables;
see :mod:`autograder.evidence.tables_reader`, which starts it. Memory and time are limited where the system
can do that; a table that breaks the limits, or the library that reads it, ends this process.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.base.child import answer_questions, limit
from autograder.base.paths import table_path
from autograder.base.text import one_line
from autograder.databricks.commits import RUN_KEY
from autograder.databricks.features import KEYS_PROPERTY, TIMESTAMP_PROPERTY
from autograder.databricks.tables import FOLDER
from autograder.evidence.bounds import MOST_REQUESTS, within
from autograder.evidence.delta_log import CheckedTable, Commit, ForeignTable, check_table
from autograder.evidence.digest import table_digest
from autograder.evidence.logged_calls import LONGEST_NAME, call_from_row, last_calls
from autograder.evidence.tables_reader import REQUEST_LOG, TableAnswer, told
from autograder.evidence.workspace_facts import Request, TableFacts, TableVersion

if TYPE_CHECKING:
    import pyarrow

#: Limits of this process: bytes of memory, seconds of computing, bytes of a file.
MEMORY = 2 << 30
SECONDS = 15
LARGEST_FILE = 512 << 20
#: Rows, and bytes once unpacked, that a version may have to be read.
MOST_ROWS = 2_000_000
LARGEST_ROWS = 256 << 20
#: Values that are digested, of all versions of a table together.
MOST_VALUES = 1_000_000
#: No more than the last versions are told of, and the first columns.
MOST_VERSIONS = 200
MOST_COLUMNS = 500
#: What a table comes to as JSON, at most, in bytes.
LARGEST_FACTS = 256 << 10


def read_table(home: Path, name: str) -> TableAnswer:
    """The facts of the table ``name`` in the workspace ``home``; never raises for what is in it."""
    with tempfile.TemporaryDirectory(prefix="kit-table-", ignore_cleanup_errors=True) as folder:
        try:
            return _read(name, check_table(home / FOLDER / name, Path(folder) / "table"))
        except ForeignTable as error:
            return TableAnswer(name, findings=(told(name, str(error)),))
        except MemoryError:
            return TableAnswer(name, findings=(told(name, "reading it takes too much memory"),))
        except Exception as error:  # whatever the libraries say about what they find
            why = _why(error, Path(folder))
            return TableAnswer(name, findings=(told(name, f"it cannot be read ({why})"),))


def _why(error: Exception, folder: Path) -> str:
    """What a library says, without the place of the copy."""
    return one_line(f"{type(error).__name__}: {error}".replace(str(folder), ""), 200)


def _read(name: str, checked: CheckedTable) -> TableAnswer:
    from deltalake import DeltaTable

    fields = DeltaTable(table_path(checked.folder)).schema().fields
    columns = {field.name[:LONGEST_NAME]: _type(field) for field in fields[:MOST_COLUMNS]}
    findings = []
    if len(fields) > MOST_COLUMNS:
        findings.append(f"it has {len(fields):,} columns, of which the first {MOST_COLUMNS} are told")
    if len(checked.commits) > MOST_VERSIONS and name != REQUEST_LOG:  # which gets a version every few seconds
        findings.append(
            f"it has {len(checked.commits):,} versions, of which the last {MOST_VERSIONS} are told"
        )
    versions, rows, calls = [], None, None
    left = MOST_VALUES
    for commit in checked.commits[: -MOST_VERSIONS - 1 : -1]:
        newest = commit is checked.commits[-1]
        data, digest = None, None
        try:
            if newest or (name != REQUEST_LOG and (_count(checked, commit) or 0) * len(columns) <= left):
                data = _rows(checked, commit)
        except ForeignTable as error:
            findings += [str(error)] if newest else []
        except Exception as error:  # whatever the libraries say about what they find
            findings += [f"its rows cannot be read ({_why(error, checked.folder)})"] if newest else []
        if newest and data is not None:
            rows, calls = data.num_rows, data
        if data is not None and name != REQUEST_LOG:
            left -= data.num_rows * max(1, data.num_columns)
            digest = table_digest(data) if left >= 0 else None
        versions.append(_version(commit, None if data is None else data.num_rows, digest))
    keys, timestamp = _keys(checked.properties)
    facts = TableFacts(name, tuple(versions[::-1]), columns, rows, keys, timestamp)
    if not within([facts], 1, LARGEST_FACTS):
        raise ForeignTable("its names and versions are too long to be told; expected shorter ones")
    requests: tuple[Request, ...] = ()
    if name == REQUEST_LOG and calls is not None:
        requests, more = _requests(calls)
        findings += more
    return TableAnswer(name, facts, requests, tuple(told(name, finding) for finding in findings))


def _count(checked: CheckedTable, commit: Commit) -> int | None:
    """The rows of a version as its files declare them; None when one is missing or declares too much.

    The files of the newest version are all there.
    """
    from pyarrow import parquet

    rows = size = 0
    for name in commit.files:
        if name not in checked.paths:
            return None
        declared = parquet.read_metadata(checked.paths[name])
        rows += declared.num_rows
        size += sum(declared.row_group(n).total_byte_size for n in range(declared.num_row_groups))
        if not 0 <= rows <= MOST_ROWS or not 0 <= size <= LARGEST_ROWS:
            return None
    return rows


def _rows(checked: CheckedTable, commit: Commit) -> "pyarrow.Table":
    from deltalake import DeltaTable

    if _count(checked, commit) is None:
        raise ForeignTable(
            f"it has more than {MOST_ROWS:,} rows or {LARGEST_ROWS >> 20} MiB; expected less: its rows "
            "were not read"
        )
    return DeltaTable(table_path(checked.folder), version=commit.number).to_pyarrow_table()


def _version(commit: Commit, rows: int | None, digest: str | None) -> TableVersion:
    metrics = commit.info.get("operationMetrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    counted = ("num_added_rows", "num_target_rows_inserted", "num_target_rows_updated")
    run_id = _text(commit.info.get(RUN_KEY))
    return TableVersion(
        number=commit.number,
        time=_number(commit.info.get("timestamp")),
        operation=_text(commit.info.get("operation")),
        rows_written=sum(_number(metrics.get(name)) for name in counted),
        run_id=run_id or None,
        rows=rows,
        digest=digest,
    )


def _requests(data: "pyarrow.Table") -> tuple[tuple[Request, ...], list[str]]:
    """The calls of the request log, and what is wrong with it."""
    import pyarrow as pa

    from autograder.databricks.journal import as_table

    try:
        data = data.select(as_table([]).schema.names).cast(as_table([]).schema).sort_by("request_time")
    except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return (), ["its columns are not those of the request log; expected what the workspace writes"]
    place = data.schema.get_field_index("request_time")
    data = data.set_column(place, "request_time", data["request_time"].cast(pa.int64()))
    calls, bad = [], 0
    for row in data.slice(max(0, data.num_rows - MOST_REQUESTS)).to_pylist():
        try:
            calls.append(call_from_row(row))
        except (ValueError, TypeError):
            bad += 1
    kept, out = last_calls(calls)
    problems = [f"{bad:,} of its rows are no calls; expected what the workspace writes"] if bad else []
    if out := out + max(0, data.num_rows - MOST_REQUESTS):
        problems.append(f"it has {out:,} calls more than are read: the oldest were left out")
    return kept, problems


def _keys(properties: dict[str, str]) -> tuple[tuple[str, ...], str | None]:
    """The primary keys and the timestamp column that a table's properties name."""
    try:
        keys = json.loads(properties.get(KEYS_PROPERTY, "[]"))
    except (ValueError, RecursionError):
        keys = []
    names = [_text(key) for key in keys[:MOST_COLUMNS]] if isinstance(keys, list) else []
    return tuple(filter(None, names)), _text(properties.get(TIMESTAMP_PROPERTY)) or None


def _type(field: Any) -> str:
    name = getattr(field.type, "type", "")
    simple = isinstance(name, str) and name not in ("struct", "array", "map")
    return (name if simple else str(field.type.to_json()))[:LONGEST_NAME]


def _text(found: object) -> str:
    # half of a surrogate pair can be told in JSON, but not in UTF-8
    return found[:LONGEST_NAME].encode("utf-8", "replace").decode() if isinstance(found, str) else ""


def _number(found: object) -> int:
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and 0 <= found < 2**53 else 0  # type: ignore[operator,return-value]


def main() -> None:
    """Answer for each table that is asked about."""
    limit(DATA=MEMORY, CPU=SECONDS, FSIZE=LARGEST_FILE, CORE=0)
    home = Path(sys.argv[1])
    answer_questions(
        lambda asked: json.dumps({"answer": read_table(home, asked["table"]).to_json()}).encode()
    )
    os._exit(0)  # nothing that a library left running is waited for


if __name__ == "__main__":
    main()
