"""Read what a workspace leaves beside the MLflow store: its own file and its Delta tables.

The file is read from a private copy, with SQLite told to trust nothing in it, and only when its
schema is the kit's own. Nothing that is in the folder makes reading fail: it becomes a finding.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from autograder.base.text import one_line
from autograder.databricks.database import StoreError
from autograder.databricks.state import FOLDER, STATE, State
from autograder.evidence.bounds import MOST_REQUESTS, within
from autograder.evidence.files import local_folder
from autograder.evidence.logged_calls import LONGEST_NAME, Name, Time, call_from_json, last_calls
from autograder.evidence.private_copy import LARGEST_DATABASE, copy_database
from autograder.evidence.tables_reader import read_tables
from autograder.evidence.workspace_facts import (
    AccessToken,
    Endpoint,
    EndpointChange,
    Request,
    ServedEntity,
    WorkspaceFacts,
)

#: No more than this many of a kind are read, the newest, and no more than so many bytes of them as JSON.
MOST = 500
LARGEST = 1 << 20
#: Longer texts in the file are not read, in characters: an endpoint's document, a call.
LONGEST_DOCUMENT = 256 << 10
LONGEST_CALL = 16 << 20
#: Steps of SQLite's machine, in thousands, that one reading may take.
MOST_STEPS = 200_000
#: Findings that are told, at most.
MOST_FINDINGS = 10

Item = TypeVar("Item")
Digits = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


class _Entity(BaseModel):
    model_config = ConfigDict(strict=True)
    name: Name
    entity_name: Name
    entity_version: Digits
    source: Annotated[str, Field(max_length=2_000)]


class _Route(BaseModel):
    model_config = ConfigDict(strict=True)
    served_model_name: Name
    traffic_percentage: Annotated[int, Field(ge=0, le=100)]


class _Traffic(BaseModel):
    model_config = ConfigDict(strict=True)
    routes: Annotated[list[_Route], Field(max_length=20)]


class _Config(BaseModel):
    model_config = ConfigDict(strict=True)
    served_entities: Annotated[list[_Entity], Field(max_length=20)] = []
    traffic_config: _Traffic = _Traffic(routes=[])


class _State(BaseModel):
    model_config = ConfigDict(strict=True)
    ready: Name
    config_update: Name


class _Tag(BaseModel):
    model_config = ConfigDict(strict=True)
    key: Name
    value: Annotated[str, Field(max_length=1_000)] | None = None


class _Document(BaseModel):
    """An endpoint as ``autograder.databricks.endpoints`` keeps it."""

    model_config = ConfigDict(strict=True)
    name: Name
    creator: Name
    creation_timestamp: Time
    state: _State
    config: _Config = _Config()
    tags: Annotated[list[_Tag], Field(max_length=200)] = []

    def in_force(self) -> dict[str, Any]:
        """Entities and routes, by the names that the facts give them."""
        return {
            "entities": tuple(
                ServedEntity(one.name, one.entity_name, int(one.entity_version), one.source)
                for one in self.config.served_entities
            ),
            "routes": {
                route.served_model_name: route.traffic_percentage
                for route in self.config.traffic_config.routes
            },
        }


_document = TypeAdapter(_Document)
_token = TypeAdapter(AccessToken)
_time = TypeAdapter(Time)
_name = TypeAdapter(Name)


def read_workspace(home: Path) -> WorkspaceFacts:
    """The facts of the workspace in the folder ``home``; empty ones where there is none. Never raises
    for what is in the folder, makes and changes nothing in it, and works while a server is running.
    """
    findings: list[str] = []
    endpoints: tuple[Endpoint, ...] = ()
    changes: tuple[EndpointChange, ...] = ()
    tokens: tuple[AccessToken, ...] = ()
    waiting: tuple[Request, ...] = ()
    # the journal first: a call that moves meanwhile is then in both, and never in neither
    try:
        with _opened(home) as connection:
            if connection:
                file = _File(connection, findings)
                endpoints = tuple(sorted(file.endpoints(), key=lambda each: each.name))
                changes = file.changes()
                tokens = file.tokens()
                waiting = file.calls()
    except (StoreError, OSError, sqlite3.Error, MemoryError, ValueError, OverflowError) as error:
        findings.append(
            f"{FOLDER}/{STATE} cannot be read: {one_line(error)}. Expected the workspace's own file."
        )
    answers = []
    try:
        answers = read_tables(home)
    except (OSError, ValueError, MemoryError) as error:
        findings.append(f"The tables cannot be read: {one_line(error)}. Expected Delta tables.")
    requests, out = last_calls([*waiting, *(call for answer in answers for call in answer.requests)])
    if out:
        findings.append(f"There are {out:,} calls more than are read: the oldest were left out.")
    if cut := sum(call.cut for call in requests):
        findings.append(f"{cut:,} calls have longer texts than are read: their beginnings are.")
    findings += [finding for answer in answers for finding in answer.findings]
    told = findings[:MOST_FINDINGS]
    if len(findings) > len(told):
        told.append(f"And {len(findings) - len(told)} findings more about the workspace.")
    return WorkspaceFacts(
        endpoints,
        changes,
        requests,
        tuple(answer.facts for answer in answers if answer.facts),
        tokens,
        tuple(told),
    )


@contextmanager
def _opened(home: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection to a private copy of the workspace's file, or None where there is none.

    Raises StoreError and sqlite3.Error for a file that is not as the kit makes it.
    """
    path = home / FOLDER / STATE
    if not path.exists() and not path.is_symlink() and not (home / FOLDER).is_symlink():
        yield None
        return
    if local_folder(FOLDER, home) is None or path.is_symlink() or not path.is_file():
        raise StoreError("it is no file, or a link is on the way to it")
    if path.stat().st_size > LARGEST_DATABASE:
        raise StoreError(f"it has more than {LARGEST_DATABASE >> 20} MiB")
    with tempfile.TemporaryDirectory(prefix="kit-workspace-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / STATE
        copy_database(path, copy)
        model = State(Path(folder) / "as-the-kit-makes-it").path
        with closing(sqlite3.connect(copy)) as connection, closing(sqlite3.connect(model)) as known:
            _be_careful(connection)
            if _schema(connection) != _schema(known):
                raise StoreError("its tables, or views and triggers, are not those that the kit makes")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise StoreError("it is damaged")
            yield connection


def _be_careful(connection: sqlite3.Connection) -> None:
    """Have SQLite believe nothing, write nothing, and give up when it takes too long."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_DATABASE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    steps = iter(range(MOST_STEPS))
    connection.set_progress_handler(lambda: next(steps, None) is None, 1_000)


def _schema(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchmany(1_000)
    return set(rows)


class _File:
    """The workspace's file, of which each row is read by itself."""

    def __init__(self, connection: sqlite3.Connection, findings: list[str]) -> None:
        self.connection = connection
        self.findings = findings

    def endpoints(self) -> tuple[Endpoint, ...]:
        def endpoint(row: tuple[Any, ...]) -> Endpoint:
            found = _document.validate_json(row[0])
            return Endpoint(
                name=found.name,
                creator=found.creator,
                created=found.creation_timestamp,
                ready=found.state.ready,
                update=found.state.config_update,
                tags={tag.key: tag.value or "" for tag in found.tags},
                **found.in_force(),
            )

        return self._read("endpoints", f"{_text('body', LONGEST_DOCUMENT)} FROM endpoints", endpoint)

    def changes(self) -> tuple[EndpointChange, ...]:
        def change(row: tuple[Any, ...]) -> EndpointChange:
            found = _document.validate_json(row[4])
            time = _time.validate_python(row[0], strict=True)
            name, what, by = (_name.validate_python(text, strict=True) for text in row[1:4])
            return EndpointChange(time, name, what, by, found.state.ready, **found.in_force())

        columns = ", ".join(["time", *(_text(name) for name in ("name", "what", "by"))])
        body = _text("body", LONGEST_DOCUMENT)
        found = self._read("events", f"{columns}, {body} FROM events ORDER BY id DESC", change)
        return found[::-1]

    def tokens(self) -> tuple[AccessToken, ...]:
        names = ("id", "user", "permission", "comment", "created", "expires", "revoked")

        def token(row: tuple[Any, ...]) -> AccessToken:
            return _token.validate_python(dict(zip(names, row, strict=True)))

        columns = ", ".join([*map(_text, names[:4]), *names[4:]])
        return self._read("tokens", f"{columns} FROM tokens ORDER BY created DESC, id DESC", token)[::-1]

    def calls(self) -> tuple[Request, ...]:
        query = f"{_text('record', LONGEST_CALL)} FROM journal ORDER BY id DESC"
        return self._read("journal", query, lambda row: call_from_json(row[0]), MOST_REQUESTS, 1 << 40)

    def _read(
        self,
        table: str,
        query: str,
        fact: Callable[[tuple[Any, ...]], Item],
        most: int = MOST,
        largest: int = LARGEST,
    ) -> tuple[Item, ...]:
        """The facts that the rows of a table make. Rows that make none are counted and told."""
        found, bad = [], 0
        for row in self.connection.execute(f"SELECT {query} LIMIT {most + 1}"):
            try:
                found.append(fact(row))
            except (ValueError, TypeError, RecursionError):
                bad += 1
        kept = within(found, most, largest)
        if bad:
            self.findings.append(
                f"{bad:,} rows of the table “{table}” in {FOLDER}/{STATE} are not what the workspace "
                "writes; expected its own rows: not read."
            )
        if len(kept) < len(found):
            self.findings.append(
                f"The table “{table}” in {FOLDER}/{STATE} has more rows than are read: the last "
                f"{len(kept):,} are."
            )
        return kept


def _text(column: str, longest: int = LONGEST_NAME * 4) -> str:
    """A column's text; null where it is none, or too long."""
    return f"CASE WHEN typeof({column}) = 'text' AND length({column}) <= {longest} THEN {column} END"
