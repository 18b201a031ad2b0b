"""Bring home what a box left, without believing a name, a link, a type or a size in it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autograder.base.names import DATABASE
from autograder.base.text import plain
from autograder.databricks.state import FOLDER
from autograder.evidence.tables_reader import FOLDER as TABLES
from autograder.sandbox.limits import Limits, size

#: Folders deeper than this are left behind.
DEEPEST = 20
#: No more than this many refusals are told.
MOST_TOLD = 20
CHUNK = 1 << 20


def copy_out(folder: int, target: Path, limits: Limits) -> list[str]:
    """Copy the regular files below the open folder ``folder`` into ``target``.

    Says in a line each what was left behind, and why. No link is followed at any step, sizes are those
    of the bytes really read, and all together they are within ``limits``.
    """
    return _Harvest(folder, limits).run(target)


def _evidence_first(name: str) -> tuple[bool, str]:
    """The order of copying: no litter may use up the limits before the store is home."""
    return not name.startswith((DATABASE, "mlruns", FOLDER, TABLES)), name


class _Harvest:
    def __init__(self, folder: int, limits: Limits) -> None:
        self.root = folder
        self.device = os.fstat(folder).st_dev
        self.files_left = limits.files
        self.bytes_left = self.most = limits.disk
        self.refused: list[str] = []

    def run(self, target: Path) -> list[str]:
        with self._refusing(Path()):
            self._folder(self.root, target, Path(), 0)
        told = self.refused[:MOST_TOLD]
        more = len(self.refused) - len(told)
        return [*told, f"and {more} more"] if more else told

    def _refuse(self, path: Path, why: str) -> None:
        self.refused.append(f"{plain(os.fsencode(path).decode(errors='backslashreplace'))} ({why})")

    @contextmanager
    def _refusing(self, path: Path) -> Iterator[None]:
        """What cannot be read or written is left behind, and the rest is not."""
        try:
            yield
        except OSError as error:
            self._refuse(path, str(error.strerror))

    def _folder(self, folder: int, target: Path, path: Path, depth: int) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name in sorted(os.listdir(folder), key=_evidence_first):
            self.files_left -= 1
            if self.files_left < 0:
                self._refuse(path / name, "there are too many files")
                return
            with self._refusing(path / name):
                self._entry(folder, name, target, path / name, depth)

    def _entry(self, folder: int, name: str, target: Path, path: Path, depth: int) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not name.isprintable():
            self._refuse(path, "its name has characters that cannot be printed")
        elif stat.S_ISDIR(found.st_mode) and depth >= DEEPEST:
            self._refuse(path, "it is too deep")
        elif stat.S_ISDIR(found.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                self._folder(below, target / name, path, depth + 1)
            finally:
                os.close(below)
        elif not stat.S_ISREG(found.st_mode):
            self._refuse(path, "it is a link, a pipe, a socket or a device")
        elif found.st_dev != self.device:
            self._refuse(path, "it is on another file system")
        else:
            self._file(folder, name, target / name, path)

    def _file(self, folder: int, name: str, target: Path, path: Path) -> None:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(source, "rb") as readable, target.open("xb") as writable:
            while chunk := readable.read(CHUNK):
                self.bytes_left -= len(chunk)
                if self.bytes_left < 0:
                    self._refuse(path, f"all files together are larger than {size(self.most)}")
                    break
                writable.write(chunk)
