"""The thread of a server that moves the journal to the request log, and what it says when it cannot."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from autograder.base.errors import KitError
from autograder.databricks import journal
from autograder.databricks.state import State

SETTING_PROBLEM = "journal problem"


class Mover(threading.Thread):
    """Moves the journal to the table every few seconds, more seldom the more commits that has; at once
    when there is much to move, and once more when it is stopped.

    Why the last move failed is in the workspace's file; the calls are then still in the journal.
    """

    def __init__(self, state: State) -> None:
        super().__init__(name="moves the journal", daemon=True)
        self.state = state
        self.stopped = False
        self.woken = threading.Event()
        self.waiting = 0
        self.bytes = 0

    def wrote(self, size: int) -> None:
        """Note a call of so many bytes in the journal."""
        self.waiting += 1
        self.bytes += size
        if self.waiting >= journal.BATCH or self.bytes >= journal.LARGEST_BATCH:
            self.woken.set()

    def run(self) -> None:
        """Move until stopped."""
        seconds, told = journal.PAUSE, why_not_moved(self.state.folder)
        while True:
            self.woken.wait(seconds)
            self.woken.clear()
            last = self.stopped
            self.waiting = self.bytes = 0
            try:
                if journal.move(self.state):
                    table = journal.open_table(self.state.folder)
                    seconds = journal.pause(table.version() if table else 0)
                found = None
            except Exception as error:  # a full disk, a table that someone changed: nothing is lost
                found = str(error) if isinstance(error, KitError) else f"{type(error).__name__}: {error}"
                # to serving.log, or the terminal
                print(f"{time.strftime('%H:%M:%S')} The journal was not moved. {found}", flush=True)
            if found != told:
                with contextlib.suppress(sqlite3.Error):
                    self._note(found)
                    told = found
            if last:
                return

    def stop(self) -> None:
        """Move what is left and end."""
        self.stopped = True
        self.woken.set()
        self.join(journal.PATIENCE)

    def _note(self, found: str | None) -> None:
        connection = self.state.connect()
        connection.execute("DELETE FROM settings WHERE name = ?", (SETTING_PROBLEM,))
        if found is not None:
            connection.execute("INSERT INTO settings VALUES (?, ?)", (SETTING_PROBLEM, found[:2000]))
        connection.close()


def why_not_moved(folder: Path) -> str | None:
    """Why the last move failed; None when it did not."""
    connection = State(folder).connect()
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING_PROBLEM,)).fetchone()
    connection.close()
    return row[0] if row else None
