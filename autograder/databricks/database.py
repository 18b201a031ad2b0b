"""The store's file: its URI, where its artifacts are, and whether this MLflow can read it."""

import sqlite3
from pathlib import Path

from autograder.base.errors import KitError
from autograder.base.names import DATABASE
from autograder.base.paths import plain_path, uri_of_database

#: How long to wait for another process to let go of the database, in seconds.
LOCK_PATIENCE = 1.0


class StoreError(KitError):
    """Raised by :func:`check_database` and by readers of a store that cannot be read.

    The message says what was found, what was expected and what to do next, on one line.
    """


class NoStore(StoreError):
    """There is no store, or an empty one: nothing was logged here."""


def sqlite_uri(folder: Path) -> str:
    """The tracking URI of the store in ``folder`` (made absolute)."""
    return uri_of_database(plain_path(folder.resolve()) / DATABASE)


def artifact_root(folder: Path) -> str:
    """Where MLflow puts the artifacts of the store in ``folder``."""
    return str(plain_path(folder.resolve()) / "mlruns")


def check_database(path: Path) -> None:
    """Raise :class:`StoreError` unless ``path`` is a SQLite store of the installed MLflow.

    Only looks: neither makes the file nor changes it.
    """
    if not path.exists() and any(path.parent.glob("mlruns/*/meta.yaml")):
        raise NoStore(
            f"There is no {path.name} in {path.parent}, but a file store of an older MLflow (mlruns/); "
            "expected a SQLite store. Run the notebook's first cell, then the tasks again."
        )
    if not path.is_file():
        raise NoStore(
            f"There is no {path.name} in {path.parent}; expected the store that a notebook makes. "
            "Run the notebook's first cell, then the tasks."
        )
    if path.stat().st_size == 0:
        raise NoStore(
            f"{path.name} in {path.parent} is empty; expected a store with experiments and runs. "
            "Delete the file, restart the kernel and run the notebook from the top."
        )
    found = _schema_revision(path)
    expected = _expected_revision()
    if found != expected:
        from mlflow.version import VERSION

        raise StoreError(
            f"{path.name} was made by another MLflow (schema {found or 'unknown'}); expected schema "
            f"{expected}, that of MLflow {VERSION}. Move the file away and run the notebook from the "
            f"top, or upgrade a copy of it with `mlflow db upgrade`."
        )


def _schema_revision(path: Path) -> str | None:
    """The Alembic revision that a SQLite file names, or None when it names none."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCK_PATIENCE)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return None
        if "locked" in str(error):
            raise StoreError(
                f"{path.name} in {path.parent} is locked by another program; expected a store nobody "
                "is writing to. Close other notebooks that use it, restart the kernel and try again."
            ) from None
        raise StoreError(
            f"{path.name} in {path.parent} is not a database ({error}); expected a SQLite file that "
            "MLflow made. Move it away, restart the kernel and run the notebook from the top."
        ) from None
    finally:
        connection.close()


def _expected_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())
