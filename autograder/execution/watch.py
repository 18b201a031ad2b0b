"""The watchdog: ends a box that uses more than it may, without cgroups, from outside."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from autograder.execution.limits import Limits, size

#: Seconds between two looks.
INTERVAL = 0.1
#: The kernel makes five sockets; more files, or large ones, beside them are none of its business.
MOST_SOCKETS = 16
LARGEST_SOCKETS = 1 << 20


class Watchdog(threading.Thread):
    """Looks after the box whose first process is ``child`` and calls ``end`` with the limit it broke.

    ``folders`` are descriptors of its file systems, whose files are counted together; ``sockets`` is
    the one folder that it shares with this side.
    """

    def __init__(
        self, child: int, limits: Limits, folders: Sequence[int], sockets: Path, end: Callable[[str], None]
    ) -> None:
        super().__init__(daemon=True, name=f"watchdog of {child}")
        self.child, self.limits, self.sockets = child, limits, sockets
        self._folders = folders
        self._end = end
        self._stopped = threading.Event()
        self._from = time.monotonic()

    def run(self) -> None:
        """Look until the box ends or is ended."""
        while not self._stopped.wait(INTERVAL) and Path(f"/proc/{self.child}").exists():
            why = self._broken()
            if why:
                self._end(why)
                return

    def stop(self) -> None:
        """Look no longer, and give the folders back."""
        self._stopped.set()
        self.join()
        for folder in self._folders[1:]:  # the first is the box's own
            os.close(folder)

    def _broken(self) -> str | None:
        limits = self.limits
        memory = memory_of(self.child)
        if memory > limits.memory:
            return f"it held {size(memory)} of memory, where {size(limits.memory)} are allowed"
        files = sum(found.f_files - found.f_ffree for found in map(os.fstatvfs, self._folders))
        if files > limits.files:
            return f"it made {files} files, where {limits.files} are allowed"
        if time.monotonic() - self._from > limits.wall:
            return f"it took longer than {limits.wall:g} seconds"
        with contextlib.suppress(OSError), os.scandir(self.sockets) as entries:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
            if len(sizes) > MOST_SOCKETS or sum(sizes) > LARGEST_SOCKETS:
                return "it wrote into the folder of the kernel's sockets"
        return None


def memory_of(child: int) -> int:
    """Bytes of memory that a process and all below it hold. A box's orphans belong to its first one."""
    total = 0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(child)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total
