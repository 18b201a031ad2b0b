"""The watchdog: ends a box that uses more than it may, without cgroups, from outside."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from autograder.base.text import size
from autograder.sandbox.limits import Limits

#: Seconds between two looks.
INTERVAL = 0.1
#: Sockets hold memory that is no process's.
MOST_SOCKETS = 500


class Watchdog(threading.Thread):
    """Looks after the box whose first process is ``child`` and calls ``end`` with the limit it broke.

    ``folders`` are descriptors of its file systems, whose files are counted together.
    """

    def __init__(
        self, child: int, limits: Limits, folders: Sequence[int], end: Callable[[str], None]
    ) -> None:
        super().__init__(daemon=True, name=f"watchdog of {child}")
        self.child, self.limits = child, limits
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
        """Look no longer, and give those folders back that are nobody else's."""
        self._stopped.set()
        self.join()
        for folder in self._folders[2:]:  # the first are the box's own
            os.close(folder)

    def _broken(self) -> str | None:
        limits = self.limits
        memory = memory_of(self.child, limits.memory)
        if memory > limits.memory:
            return f"it held {size(memory)} of memory, where {size(limits.memory)} are allowed"
        files = sum(found.f_files - found.f_ffree for found in map(os.fstatvfs, self._folders))
        if files > limits.files:
            return f"it made {files} files, where {limits.files} are allowed"
        if time.monotonic() - self._from > limits.wall:
            return f"it took longer than {limits.wall:g} seconds"
        sockets = sockets_of(self.child)
        if sockets > MOST_SOCKETS:
            return f"it opened {sockets} sockets, where {MOST_SOCKETS} are allowed"
        return None


def memory_of(child: int, enough: int) -> int:
    """Bytes of memory that a process and all below it hold. A box's orphans belong to its first one.

    Pages that processes share are counted for each of them, but only while that is less than
    ``enough``: else each has its share.
    """
    processes = with_all_below(child)
    total = sum(_memory(process, "status", ("VmRSS", "VmPTE", "VmSwap")) for process in processes)
    if total > enough:
        tables = sum(_memory(process, "status", ("VmPTE",)) for process in processes)
        shared = sum(_memory(process, "smaps_rollup", ("Pss", "SwapPss")) for process in processes)
        total = tables + shared if shared else total
    return total


def with_all_below(first: int) -> list[int]:
    """A process and all below it, by their numbers here, without a look at all others of the machine."""
    found = [first]
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():  # not every kernel tells
        with contextlib.suppress(psutil.Error):
            found += [process.pid for process in psutil.Process(first).children(recursive=True)]
        return found
    for process in found:
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def _memory(process: int, file: str, names: tuple[str, ...]) -> int:
    """The sum of some of the sizes in a file of /proc, in bytes; 0 for a process that is gone."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in names:
                total += int(value.split()[0]) << 10
    return total


def sockets_of(child: int) -> int:
    """How many sockets there are in a box. The tables of single ones take milliseconds to read."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{child}/net/sockstat").read_text().splitlines():
            if line.startswith("sockets: used "):
                return int(line.split()[-1])
    return 0
