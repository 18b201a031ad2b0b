"""A stranger's SQLite store, opened only as a private copy whose schema is MLflow's own.

A store can carry triggers and views that run when it is read or written, and opening it with
MLflow writes to it. So the file is copied, with its write-ahead log, and looked at with SQLite
alone first.
"""

import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from autograder.databricks.database import StoreError, check_database
from autograder.evidence.bounds import MOST_CHANGES
from autograder.evidence.find import version_number
from autograder.evidence.registry_facts import Change
from autograder.workspace.prepared import HISTORY_TABLE, SCHEMA

#: A database larger than this is not read, in bytes.
LARGEST_DATABASE = 64 << 20
#: How often copying is tried while others write.
COPIES = 10
CHUNK = 1 << 20
#: A name in the history has no more characters.
LONGEST_NAME = 300
#: The one trigger that MLflow's own schema has.
MLFLOW_TRIGGERS = {
    "prevent_secrets_aad_mutation": (
        "CREATE TRIGGER prevent_secrets_aad_mutation BEFORE UPDATE ON secrets FOR EACH ROW "
        "WHEN OLD.secret_id != NEW.secret_id OR OLD.secret_name != NEW.secret_name BEGIN "
        "SELECT RAISE(ABORT, 'secret_id and secret_name are immutable (used as AAD in encryption)'); END"
    )
}


@contextmanager
def private_copy(database: Path) -> Iterator[Path]:
    """A copy of the store ``database`` that can be opened, for as long as the block lasts.

    Raises NoStore when there is none, StoreError when it is not a plain store of the installed
    MLflow: a link, too large, locked, damaged, or with triggers, views or virtual tables that
    neither MLflow nor the kit made.
    """
    if database.is_symlink() or (database.exists() and not stat.S_ISREG(database.lstat().st_mode)):
        raise StoreError(
            f"{database.name} is a link or no file; expected the SQLite file that MLflow made. "
            "Put the file itself there."
        )
    if database.is_file() and database.stat().st_size > LARGEST_DATABASE:
        raise StoreError(
            f"{database.name} has {database.stat().st_size >> 20} MiB; expected no more than "
            f"{LARGEST_DATABASE >> 20}. Start again in an empty folder, and log fewer values."
        )
    check_database(database)
    with tempfile.TemporaryDirectory(prefix="kit-store-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / database.name
        copy_database(database, copy)
        _refuse_foreign_schema(copy)
        yield copy


def copy_database(database: Path, copy: Path) -> None:
    """Copy a SQLite file with its write-ahead log to ``copy``, as they are at one moment.

    Others may go on writing. What they append to the log meanwhile does no harm, SQLite tells whole
    transactions from parts of one. But when a checkpoint moves the log into the file, the two copies
    do not belong together: then the file has changed, and both are copied again. Raises StoreError
    when that does not stop, or the log is a link or too large.
    """
    log = database.with_name(database.name + "-wal")
    copied = copy.with_name(copy.name + "-wal")
    for _ in range(COPIES):
        shutil.copyfile(database, copy)
        copied.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            found = log.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_DATABASE:
                raise StoreError(
                    f"{log.name} is no file of at most {LARGEST_DATABASE >> 20} MiB; expected SQLite's "
                    f"log. Close the notebooks that use {database.name}, then try again."
                )
            shutil.copyfile(log, copied)
        if _same(database, copy):
            return
    raise StoreError(
        f"{database.name} is being written to all the time; expected a moment of quiet. Try again when "
        "the notebooks that use it do nothing."
    )


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(CHUNK):
            if chunk != right.read(CHUNK):
                return False
        return not right.read(1)


def read_changes(copy: Path, findings: list[str]) -> tuple[Change, ...] | None:
    """The history of stages and aliases, or None when the store keeps none; the last MOST_CHANGES of it.

    What is left out, and rows that the kit does not write, are told in one of the ``findings`` each.
    """
    with closing(sqlite3.connect(copy)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        exists = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (HISTORY_TABLE,)
        ).fetchone()
        if not exists:
            return None
        columns = "time, kind, name, subject, before, after"
        # a value that is too long to be a name is read as none, which no row of the kit's has
        short = ", ".join(
            f"CASE WHEN length({column}) > {LONGEST_NAME} THEN x'' ELSE {column} END"
            for column in columns.split(", ")
        )
        rows = connection.execute(
            f"SELECT {short} FROM {HISTORY_TABLE} ORDER BY id DESC LIMIT ?", (MOST_CHANGES + 1,)
        ).fetchall()[::-1]
    changes = [_change(row) for row in rows[-MOST_CHANGES:]]
    kept = tuple(change for change in changes if change is not None)
    if len(rows) > MOST_CHANGES:
        findings.append(
            f"The history of stages and aliases is long: its last {MOST_CHANGES:,} changes are read."
        )
    if bad := len(changes) - len(kept):
        findings.append(
            f"{bad:,} rows of the table “{HISTORY_TABLE}” are not what the kit writes; expected stages and "
            "aliases of versions: not read."
        )
    return kept


def _change(row: Sequence[object]) -> Change | None:
    """A row of the history, or None when it is not one that the kit's triggers write."""
    time, kind, name, subject, *others = row
    if not isinstance(time, int) or not 0 <= time < 2**53:
        return None
    if not isinstance(name, str) or not isinstance(subject, str):
        return None
    if any(isinstance(value, bytes) for value in others):
        return None
    before, after = (None if value is None else str(value) for value in others)
    numbers = [subject] if kind == "stage" else [text for text in (before, after) if text is not None]
    if kind not in ("stage", "alias") or any(version_number(number) is None for number in numbers):
        return None
    return Change(time, str(kind), name, subject, before, after)


def _refuse_foreign_schema(copy: Path) -> None:
    known = {**MLFLOW_TRIGGERS, **_kit_triggers()}
    try:
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(
            f"mlflow.db is damaged ({error}); expected a sound database. Start again in an empty folder."
        ) from None
    if damage != ("ok",):
        raise StoreError("mlflow.db is damaged; expected a sound database. Start again in an empty folder.")
    for kind, name, sql in rows:
        virtual = kind == "table" and "VIRTUAL TABLE" in str(sql).upper()
        strange = kind == "trigger" and _normal(known.get(name, "")) != _normal(str(sql))
        if kind == "view" or virtual or strange:
            raise StoreError(
                f"mlflow.db has a {'virtual table' if virtual else kind} “{name}” that MLflow does not "
                "make; expected MLflow's own schema. Start again in an empty folder."
            )


def _kit_triggers() -> dict[str, str]:
    """The kit's own triggers, as SQLite spells them when it has made them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE model_versions (name, version, current_stage)")
        connection.execute("CREATE TABLE registered_model_aliases (name, alias, version)")
        connection.executescript(SCHEMA)
        return dict(
            connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        )


def _normal(sql: str) -> str:
    return " ".join(sql.split())
