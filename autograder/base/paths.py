"""Paths with characters that libraries misread: the URI of a SQLite file, a plain path, a table's path.

SQLAlchemy and MLflow unquote ``%40`` in plain paths, too (``mlflow.utils.file_utils``:
``local_file_uri_to_path``), and MLflow takes ``?`` and ``#`` for parts of an address. No quoted form helps
everywhere in MLflow, so such a folder is reached through a link in the cache. deltalake resolves links: where
it misreads a path, there can be no tables.
"""

import hashlib
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote

import platformdirs

from autograder.base.errors import KitError

SQLITE = "sqlite:///"
_NO_TEXT = r"\x00-\x1f\x7f\ud800-\udfff"  # control characters, and bytes that are no text
#: What MLflow reads as something else.
MISREAD = re.compile(rf"%[0-9A-Fa-f]{{2}}|[?#;\\{_NO_TEXT}]")
#: What deltalake reads as something else, or ends with a panic at. On Windows the backslash is no name's.
NO_TABLES = re.compile(rf"%[0-9A-Fa-f]{{2}}|[\[\]^|\\{_NO_TEXT}]")
#: The folder of links, in the kit's cache. MLflow's stores name them, so they stay.
LINKS = "folders"


class MisreadPath(KitError):
    """A path has a character that a library misreads, and nothing helps but another name."""


def uri_of_database(path: Path) -> str:
    """The URI of a SQLite file for SQLAlchemy, which unquotes a path and ends it at a question mark.

    Nothing else is quoted: MLflow makes the folder that it reads in the URI as it stands.
    """
    return SQLITE + re.sub(r"%(?=[0-9A-Fa-f]{2})|\?", lambda found: quote(found.group()), path.as_posix())


def path_of_database(uri: str) -> Path:
    """The file that the URI of a SQLite database names, as SQLAlchemy reads it."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0], errors="surrogateescape"))


def plain_path(path: Path) -> Path:
    """A path to the same place, without what a library would misread: ``path`` itself, or through a link.

    Links are to the folder highest up below which all names are plain; the same folder has always the same.
    Raises MisreadPath where none can be made.
    """
    path = path.absolute()
    if not MISREAD.search(path.as_posix()):
        return path
    parts = path.parts
    odd = next(end for end in range(len(parts), 0, -1) if MISREAD.search(parts[end - 1]))
    return _link_to(Path(*parts[:odd])).joinpath(*parts[odd:])


def table_path(path: Path) -> str:
    """The path of a Delta table for deltalake. Raises MisreadPath for one that it could not read."""
    if found := NO_TABLES.search(path.as_posix()):
        raise MisreadPath(
            f"The path {str(path)!r:.300} has {found.group()!r} in it, and the library for Delta tables "
            "(deltalake) cannot work there; expected a path without % and two digits, [, ], ^, | and "
            "backslashes. Put the notebook into a folder with such a path, and run it again from the top."
        )
    return str(path)


def _link_to(folder: Path) -> Path:
    home = platformdirs.user_cache_path("mlflow-teaching-kit") / LINKS
    link = home / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if link.is_symlink() or link.exists():
        return link
    try:
        if MISREAD.search(home.as_posix()):
            raise OSError("the cache's own path has such a character")
        home.mkdir(parents=True, exist_ok=True)
        _make_link(folder, link)
    except FileExistsError:  # another process was faster
        pass
    except OSError as error:
        found = MISREAD.search(folder.as_posix())
        raise MisreadPath(
            f"The path {str(folder)!r:.300} has {found and found.group()!r} in it, which MLflow misreads, "
            f"and no link to it could be made in {home} ({error}); expected a path without %, ?, #, ; and "
            "backslashes. Rename the folder, or set XDG_CACHE_HOME to a folder that can be written to."
        ) from error
    return link


def _make_link(folder: Path, link: Path) -> None:
    """Make a link; on Windows a junction, which anybody may make. Not run on Windows for this kit."""
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(folder), str(link))
    else:
        link.symlink_to(folder, target_is_directory=True)
