"""What of a submission's folder is taken in: its own regular files, up to a maximum. The rest is named.

nbgrader's own copies follow links, to the course's secret or to another submission, and read devices. Here
links, pipes, sockets and devices are left behind. So are hard links: such a file has another name, which
may be in the course, and nothing tells a harmless one.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from autograder.base.errors import KitError
from autograder.base.regular_files import FILE, FOLDER, Choice, Maximum, copy_regular_files

#: What one submission may bring: files and folders, bytes of a file, bytes of all.
MAXIMUM = Maximum(entries=2_000, file_size=64 << 20, total_size=256 << 20, own_names_only=True)
#: No more than this many files that were left behind are named.
MOST_NAMED = 5
NOTEBOOKS = "*.ipynb"


class NotAFolder(KitError):
    """Raised for a submission whose folder is a link or a file, or cannot be opened."""


@contextmanager
def open_submission(folder: Path) -> Iterator[int]:
    """The open folder ``…/STUDENT/ASSIGNMENT``, neither of which may be a link. Raises NotAFolder."""
    opened = [os.open(folder.parents[1], os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for name in folder.parts[-2:]:
            try:
                opened.append(os.open(name, FOLDER, dir_fd=opened[-1]))
            except NotADirectoryError:
                raise NotAFolder(
                    "its folder is a link or a file, and not a folder",
                    "Put the folder itself in the place of the link, or ask the student to hand in again.",
                ) from None
            except OSError as error:
                raise NotAFolder(
                    f"its folder cannot be opened ({error.strerror})",
                    "Make it a folder that you can read, and grade again.",
                ) from error
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def read_start(folder: Path, name: str, most: int) -> bytes | None:
    """The first ``most`` bytes of a file in a submission's folder; None where there is none.

    Raises NotAFolder, and OSError for what is no regular file.
    """
    with open_submission(folder) as opened:
        try:
            descriptor = os.open(name, FILE, dir_fd=opened)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most)


def take_in(folder: Path, target: Path, ignored: Collection[str], notebooks: Path | None = None) -> str:
    """Copy a submission's files into ``target``, and its notebooks into ``notebooks`` or nowhere.

    Names that match a pattern in ``ignored`` are passed over. Returns a note of what was left behind, which
    is empty where nothing was. Raises NotAFolder; OSError where this machine is at fault.
    """
    with open_submission(folder) as opened:
        refused = []
        if notebooks:  # first, so that nothing else uses up the maximum
            choice = Choice(
                lambda path: notebooks / path,
                lambda name, is_folder: matches(name, ignored) or _no_notebook(name, is_folder),
                _files_first,
            )
            refused += copy_regular_files(opened, choice, MAXIMUM)
        choice = Choice(
            lambda path: target / path,
            lambda name, is_folder: matches(name, [*ignored, *(() if is_folder else (NOTEBOOKS,))]),
            _files_first,
        )
        refused += copy_regular_files(opened, choice, MAXIMUM)
    return left_behind(list(dict.fromkeys(refused)))


def left_behind(refused: list[str]) -> str:
    """The note for a verdict on the entries that were refused."""
    if not refused:
        return ""
    more = len(refused) - MOST_NAMED
    named = ", ".join(refused[:MOST_NAMED])
    return f"left behind of what was handed in: {named}" + (f" and {more} more" if more > 0 else "")


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a file's name matches one of nbgrader's patterns for names."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _no_notebook(name: str, is_folder: bool) -> bool:
    """Whether an entry is neither a notebook nor a folder in which to look for one."""
    if name.startswith("."):
        return True
    return name.startswith("__") if is_folder else not matches(name, [NOTEBOOKS])


def _files_first(name: str, is_folder: bool) -> tuple[bool, bool]:
    """The order of taking in. A project's hidden folders may hold thousands of files: they come last."""
    return name.startswith("."), is_folder
