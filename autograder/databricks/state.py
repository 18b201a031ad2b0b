"""The file in which a workspace keeps what lasts: tokens, endpoints and the journal of requests."""

import sqlite3
import time
from pathlib import Path

from autograder.base.errors import KitError

#: The file, in the folder ``workspace`` beside the notebook.
STATE = "workspace.db"
FOLDER = "workspace"
#: How long to wait for another process that writes, in seconds.
PATIENCE = 10.0
VERSION = 1

TABLES = frozenset({"tokens", "endpoints", "events", "journal", "settings"})

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS tokens (
  id TEXT PRIMARY KEY, digest BLOB NOT NULL, user TEXT NOT NULL, permission TEXT NOT NULL,
  comment TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, revoked INTEGER
);
CREATE TABLE IF NOT EXISTS endpoints (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, name TEXT NOT NULL, what TEXT NOT NULL,
  by TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""


class WorkspaceError(KitError):
    """The workspace cannot be used as asked; says what was found, what was expected and what to do."""


class State:
    """The state of the workspace in ``folder``: where its file is, and connections to it.

    Raises WorkspaceError when the file is none of this kit's, or of a later kit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.path = self.folder / FOLDER / STATE
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = self._looked_at()
            if found == 0:
                connection = self.connect()
                connection.executescript(_SCHEMA)
                connection.close()
        except sqlite3.DatabaseError as error:
            raise WorkspaceError(
                f"{self.path} cannot be used ({error}); expected a workspace's own file. Move it away and "
                "open the workspace again: tokens and endpoints are then made anew, your runs and "
                "models stay."
            ) from error
        if found > VERSION:
            raise WorkspaceError(
                f"{self.path} was made by a later release of the kit (format {found}); expected format "
                f"{VERSION}. Upgrade the kit, or move the file away and make tokens and endpoints anew."
            )

    def _looked_at(self) -> int:
        """The format of the file, 0 for none yet, looked at without changing it. Raises DatabaseError."""
        if not self.path.exists() or not self.path.stat().st_size:
            return 0
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE)
        try:
            found: int = connection.execute("PRAGMA user_version").fetchone()[0]
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem.replace("\n", " "))
        if (found == 0 and names) or (found == VERSION and not names >= TABLES):
            raise sqlite3.DatabaseError(f"it has the tables {', '.join(sorted(names)) or 'of nobody'}")
        return found

    def connect(self) -> sqlite3.Connection:
        """A new connection, for one thread; every statement is its own transaction unless one is begun."""
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        # a killed process loses nothing this way, a machine without power perhaps its last moment
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def now() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
