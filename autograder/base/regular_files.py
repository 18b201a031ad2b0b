"""Copy the regular files of a foreign folder, and nothing else: no link is followed, no device is read.

Every step is taken from an open folder, so nothing can be swapped for a link meanwhile. Linux and macOS only.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.base.text import hidden_characters, plain, size

CHUNK = 1 << 20
#: A path that is shown has no more characters than this.
LONGEST_SHOWN = 100
#: What goes wrong because of this machine, and not because of what the folder holds.
OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Maximum:
    """How much is copied: the number of files and folders, bytes of one file and of all, and depth.

    With ``own_names_only`` a file that has a second name, which a hard link made, is left behind: the
    other name may be outside of the folder.
    """

    entries: int
    file_size: int
    total_size: int
    depth: int = 20
    own_names_only: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are copied, where to, and in which order.

    ``place`` gives the target of a path. ``skip`` says which entries are passed over without a word and
    ``order`` sorts those of a folder, what comes last being left behind first: both get a name, and whether
    it is a folder's.
    """

    place: Callable[[Path], Path]
    skip: Callable[[str, bool], bool] = lambda name, is_folder: False
    order: Callable[[str, bool], Any] = lambda name, is_folder: name


class _Full(Exception):
    """Raised when the maximum number of entries is reached."""


def copy_regular_files(folder: int, choice: Choice, maximum: Maximum) -> list[str]:
    """Copy the regular files below the open folder ``folder``; what was left behind and why, a line each.

    Sizes are those of the bytes really read. Raises OSError where this machine is at fault, such as for
    a full disk.
    """
    return _Copy(choice, maximum).run(folder)


def shown(path: Path | str) -> str:
    """A path that may hold any bytes, as people can read it."""
    text = plain(os.fsencode(path).decode(errors="backslashreplace"))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


class _Copy:
    def __init__(self, choice: Choice, maximum: Maximum) -> None:
        self.choice, self.maximum = choice, maximum
        self.entries_left, self.bytes_left = maximum.entries, maximum.total_size
        self.refused: list[str] = []

    def run(self, folder: int) -> list[str]:
        try:
            with self._refusing(Path()):
                self._folder(folder, Path(), 0)
        except _Full:
            pass
        return self.refused

    def _refuse(self, path: Path, why: str) -> None:
        self.refused.append(f"{shown(path)} ({why})")

    @contextmanager
    def _refusing(self, path: Path) -> Iterator[None]:
        """What cannot be read or written is left behind, and the rest is not."""
        try:
            yield
        except OSError as error:
            if error.errno in OURS:
                raise
            self._refuse(path, str(error.strerror))

    def _folder(self, folder: int, path: Path, depth: int) -> None:
        self.choice.place(path).mkdir(parents=True, exist_ok=True)
        for _, name in self._chosen(folder):
            self.entries_left -= 1
            if self.entries_left < 0:
                self._refuse(path / name, f"there are more than {self.maximum.entries:,} files")
                raise _Full
            with self._refusing(path / name):
                self._entry(folder, name, path / name, depth)

    def _chosen(self, folder: int) -> list[tuple[Any, str]]:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        choice = self.choice
        return sorted((choice.order(*entry), entry[0]) for entry in found if not choice.skip(*entry))

    def _entry(self, folder: int, name: str, path: Path, depth: int) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if hidden_characters(name):
            self._refuse(path, "its name has characters that cannot be printed")
        elif stat.S_ISDIR(found.st_mode) and depth >= self.maximum.depth:
            self._refuse(path, "it is too deep")
        elif stat.S_ISDIR(found.st_mode):
            below = os.open(name, FOLDER, dir_fd=folder)
            try:
                self._folder(below, path, depth + 1)
            finally:
                os.close(below)
        elif not stat.S_ISREG(found.st_mode):
            self._refuse(path, f"it is {KINDS.get(stat.S_IFMT(found.st_mode), 'no regular file')}")
        elif self.maximum.own_names_only and found.st_nlink > 1:
            self._refuse(path, "it is a hard link")
        else:
            self._file(folder, name, path)

    def _file(self, folder: int, name: str, path: Path) -> None:
        with os.fdopen(os.open(name, FILE, dir_fd=folder), "rb") as readable:
            if not stat.S_ISREG(os.fstat(readable.fileno()).st_mode):
                self._refuse(path, "it was replaced while it was read")
                return
            target = self.choice.place(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            why = ""
            with target.open("xb") as writable:
                of_this_one = 0
                while not why and (chunk := readable.read(CHUNK)):
                    of_this_one += len(chunk)
                    if of_this_one > self.maximum.file_size:
                        why = f"it is larger than {size(self.maximum.file_size)}"
                    elif of_this_one > self.bytes_left:
                        why = f"all files together are larger than {size(self.maximum.total_size)}"
                    else:
                        writable.write(chunk)
        if why:
            target.unlink()
            self._refuse(path, why)
        else:
            self.bytes_left -= of_this_one
