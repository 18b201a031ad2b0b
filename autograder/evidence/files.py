"""Files that a store names: found only inside the store's folder, described without being believed."""

import json
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from autograder.evidence.bounds import LONGEST_CONTENT
from autograder.evidence.facts import Artifact
from autograder.evidence.pictures import read_picture

#: A longer location is none.
LONGEST_LOCATION = 2_000
#: A run's files beyond this many are not described.
MOST_FILES = 200
#: Files larger than this, in bytes, are named but not opened.
LARGEST_FILE = 32 << 20
#: Pictures of a run that are looked at, at most.
MOST_PICTURES = 40
#: Tables and JSON files of a run whose text is kept, at most; each has LONGEST_CONTENT bytes at most.
MOST_CONTENTS = 20
#: Files below a folder that are looked at, at most.
MOST_ENTRIES = 5_000


def local_folder(location: str, home: Path) -> Path | None:
    """The folder behind an artifact location, or None when it is not a folder inside ``home``.

    A store keeps absolute paths. In a store that was moved or copied they point to where it was
    made, so the longest tail of the path that is a folder inside ``home`` is taken. A path with a
    link on its way, and any address that is not a path, is none.
    """
    path = _as_path(location)
    if path is None:
        return None
    parts = path.parts[1:] if path.is_absolute() else path.parts
    if ".." in parts:
        return None
    home = home.resolve()
    if path.is_relative_to(home):
        parts = path.relative_to(home).parts
        return _without_links(home, parts)
    for start in range(len(parts)):
        found = _without_links(home, parts[start:])
        if found is not None:
            return found
    return None


def _as_path(location: str) -> Path | None:
    """The path that a location names, or None when it is an address or no text for a path."""
    try:
        parsed = urlparse(location)
    except ValueError:
        return None
    if "\0" in location or len(location) > LONGEST_LOCATION:
        return None
    if parsed.scheme == "file" and parsed.netloc in ("", "localhost"):
        return Path(url2pathname(parsed.path))
    # a scheme of one letter is a Windows drive
    return None if len(parsed.scheme) > 1 else Path(location)


def _without_links(home: Path, parts: tuple[str, ...]) -> Path | None:
    path = home
    for part in parts:
        path = path / part
        try:
            if not stat.S_ISDIR(path.lstat().st_mode):
                return None
        except (OSError, ValueError):
            return None
    return path if parts else None


def files_in(folder: Path) -> Iterator[Path]:
    """Regular files below ``folder``, in order of their names; links, pipes and devices are left out.

    After MOST_ENTRIES entries it ends.
    """
    looked_at = 0
    for current, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        looked_at += len(folders)
        for name in sorted(names):
            looked_at += 1
            if looked_at > MOST_ENTRIES:
                return
            path = Path(current) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def describe(folder: Path) -> tuple[Artifact, ...]:
    """The files below ``folder`` as artifacts, no more than MOST_FILES."""
    artifacts: list[Artifact] = []
    kept = seen = 0
    for path in islice(files_in(folder), MOST_FILES):
        size = path.lstat().st_size
        picture = read_picture(path) if 0 < size <= LARGEST_FILE and seen < MOST_PICTURES else None
        seen += picture is not None
        kind = "picture" if picture else _kind(path, size)
        content = _content(path, size) if kind in ("table", "json") and kept < MOST_CONTENTS else None
        kept += content is not None
        artifacts.append(Artifact(path.relative_to(folder).as_posix(), size, kind, picture, content))
    return tuple(artifacts)


def _content(path: Path, size: int) -> str | None:
    """The text of a file that is not too large for the evidence."""
    try:
        return path.read_text(encoding="utf-8") if size <= LONGEST_CONTENT else None
    except (UnicodeDecodeError, OSError):
        return None


def _kind(path: Path, size: int) -> str:
    """What a file is that is no decodable picture."""
    kind = {".parquet": "table", ".svg": "picture"}.get(path.suffix.lower(), "other")
    if path.name == "MLmodel":
        kind = "model"
    elif kind == "other" and 0 < size <= LARGEST_FILE:
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            return kind
        kind = _json_kind(text) if path.suffix == ".json" else "text"
        if path.suffix in (".csv", ".tsv"):
            kind = "table"
    return kind


def _json_kind(text: str) -> str:
    """A table as MLflow's log_table writes it (split orientation), any other JSON, or just text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "text"
    return "table" if isinstance(content, dict) and {"columns", "data"} <= set(content) else "json"
