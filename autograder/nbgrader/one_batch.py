"""One batch at a time grades an assignment: a lock that ends with the process that holds it."""

import contextlib
import getpass
import json
import os
import platform
import sys
from datetime import datetime
from pathlib import Path
from typing import Self

from autograder.base.errors import KitError
from autograder.base.text import one_line

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
#: Environment variable with the number of the open, locked file that a batch hands to its child.
HANDED_ON = "MLFLOW_KIT_BATCH_LOCK"
LONGEST = 2_000


class GradedAlready(KitError):
    """Raised when another batch grades the assignment; says who, since when, and how to go on."""


class BatchLock:
    """The lock on one assignment, in the file ``.lock`` of ``folder``; use it as a context manager.

    A child process that inherits the open file, as ``handed_on`` says, takes part in the lock. Where the
    file system has no locks, or on Windows, batches are not kept apart. Raises GradedAlready.
    """

    def __init__(self, folder: Path, assignment: str) -> None:
        self._own = True
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOCK
        try:
            self.number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except PermissionError:  # another user's: it can be locked all the same
            self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if sys.platform == "win32" or self._inherited():
            return
        try:
            fcntl.flock(self.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self.number, LONGEST, 0)
            self.release()
            raise GradedAlready(_message(assignment, holder)) from None
        except OSError:  # no locks on this file system
            return
        self._say_who()

    def _inherited(self) -> bool:
        """Whether the batch that started this process holds the lock for it."""
        given = os.environ.get(HANDED_ON, "")
        if not given.isdecimal():
            return False
        try:
            inherited = os.fstat(int(given))
        except OSError:
            return False
        if not os.path.samestat(inherited, os.fstat(self.number)):
            return False
        os.close(self.number)
        self.number = int(given)
        os.set_inheritable(self.number, False)
        self._own = False
        return True

    def _say_who(self) -> None:
        holder = {
            "user": getpass.getuser(),
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now().astimezone().isoformat(" ", "seconds"),
        }
        with contextlib.suppress(OSError):
            os.ftruncate(self.number, 0)
            os.pwrite(self.number, json.dumps(holder).encode(), 0)

    def handed_on(self) -> tuple[dict[str, str], tuple[int, ...]]:
        """What a child process needs to take part: environment variables, and open files to inherit."""
        return {HANDED_ON: str(self.number)}, (self.number,)

    def release(self) -> None:
        """Let other batches grade; once is enough. A child leaves the lock to the batch that started it."""
        if self.number < 0:
            return
        if self._own and sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(self.number, fcntl.LOCK_UN)
        os.close(self.number)
        self.number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def _message(assignment: str, holder: bytes) -> str:
    try:
        found = json.loads(holder)
        user, pid, host, since = (one_line(str(found[name])) for name in ("user", "pid", "host", "since"))
    except (ValueError, KeyError, TypeError):
        user, pid, host, since = "another user", "unknown", "unknown", "a moment ago"
    return (
        f"{assignment} is being graded already: by {user} (process {pid} on {host}) since {since}; expected "
        f"one batch at a time. Wait until it ends, or end it on {host} with `kill {pid}`, then run this "
        "again. Another assignment can be graded meanwhile."
    )
