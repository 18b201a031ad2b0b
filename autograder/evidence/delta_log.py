"""A stranger's Delta table, checked before anything else reads it, and copied as far as it was checked.

A table's log names the files of which the table is made; whoever reads the table opens them, wherever
they are. So the log is read as JSON first. What passes is written anew, under names of the kit's own,
beside copies of the files: a reader of the copy finds what was checked and nothing else.
"""

import json
import re
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from autograder.base.errors import KitError
from autograder.base.text import plain

LOG = "_delta_log"
#: Commits and bytes of a log, and files that it names, at most.
MOST_COMMITS = 5_000
LARGEST_LOG = 64 << 20
MOST_FILES = 20_000
#: Bytes of all files of a table, at most.
LARGEST_TABLE = 256 << 20
#: Of entries of the log's folder no more are looked at.
MOST_ENTRIES = 20_000

_COMMIT = re.compile(r"[0-9]{20}\.json")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_OBJECTS = {"add": dict, "remove": dict, "metaData": dict, "protocol": dict, "commitInfo": dict}

Action = dict[str, Any]


class ForeignTable(KitError, ValueError):
    """Raised for a table that is not read; says in one line what was found and what was expected."""


@dataclass(slots=True)
class Commit:
    """A commit: what it says about itself, and the files that make up the table after it."""

    number: int
    info: Action
    files: frozenset[str]


@dataclass(slots=True)
class CheckedTable:
    """A table in ``folder`` that can be opened: a copy of what was checked. ``paths`` maps the names
    of its files there to the files themselves; those that are missing are not among them.
    """

    folder: Path
    commits: list[Commit]
    properties: dict[str, str]
    paths: dict[str, Path] = field(default_factory=dict)


def check_table(table: Path, copy: Path) -> CheckedTable:
    """Check the table in the folder ``table`` and put what was checked into the new folder ``copy``.

    Raises ForeignTable when its log is not one that can be read and checked from its beginning, names
    a file outside of the table or by a link, or marks rows as deleted without rewriting their file;
    and when a file of the newest version is missing. OSError for what cannot be read or written.
    """
    log = _Log(table)
    (copy / LOG).mkdir(parents=True)
    for number, text in enumerate(_commits(table / LOG)):
        actions = log.take(number, text)
        lines = "\n".join(json.dumps(action) for action in actions)
        (copy / LOG / f"{number:020}.json").write_text(lines, encoding="utf-8")
    if not log.commits:
        raise ForeignTable("its log has no commits; expected at least one")
    checked = CheckedTable(copy, log.commits, log.properties)
    needed = log.commits[-1].files
    left = LARGEST_TABLE
    for path, name in sorted(log.names.items(), key=lambda each: each[1] not in needed):
        source = _file(table, path)
        if source is None and name in needed:
            raise ForeignTable(
                f"the file {_told(path)} of its newest version is missing or a link; expected all its files"
            )
        if source is None:
            continue
        left -= source.stat().st_size
        if left < 0 and name in needed:
            raise ForeignTable(f"its files are larger than {LARGEST_TABLE >> 20} MiB; expected less")
        if left >= 0:
            shutil.copyfile(source, copy / name)
            checked.paths[name] = copy / name
    return checked


class _Log:
    """What the commits of a log come to."""

    def __init__(self, table: Path) -> None:
        self.table = table
        self.commits: list[Commit] = []
        self.properties: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def take(self, number: int, text: str) -> list[Action]:
        """Check a commit; its actions as they are written anew."""
        files = set(self.commits[-1].files) if self.commits else set()
        info: Action = {}
        actions: list[Action] = []
        for line in filter(None, map(str.strip, text.splitlines())):
            for kind, body in _parsed(number, line).items():
                if kind not in _OBJECTS or body is None:  # says nothing about the rows
                    continue
                if not isinstance(body, _OBJECTS[kind]):
                    raise ForeignTable(
                        f"in commit {number} “{kind}” is of type {type(body).__name__}; expected an object"
                    )
                if kind == "commitInfo":
                    info = body
                    continue
                if kind in ("add", "remove"):
                    body = self._of_file(number, body)  # noqa: PLW2901
                    (files.add if kind == "add" else files.discard)(body["path"])
                if kind == "metaData":
                    self.properties = _texts(body.get("configuration"))
                actions.append({kind: body})
        self.commits.append(Commit(number, info, frozenset(files)))
        return actions

    def _of_file(self, number: int, body: Action) -> Action:
        """The action with the name that the file has in the copy."""
        path = _checked_path(number, body.get("path"))
        if body.get("deletionVector") is not None:
            raise ForeignTable(
                f"commit {number} uses deletion vectors; expected a table of whole files, as the kit "
                "writes them"
            )
        name = self.names.setdefault(path, f"file-{len(self.names)}.parquet")
        if len(self.names) > MOST_FILES:
            raise ForeignTable(f"its log names more than {MOST_FILES:,} files; expected fewer")
        return {**body, "path": name}


def _commits(folder: Path) -> list[str]:
    """The texts of all commits, in order."""
    if not _is(stat.S_ISDIR, folder):
        raise ForeignTable(f"{LOG} is a link or no folder; expected the table's log")
    names = set()
    for count, entry in enumerate(folder.iterdir()):
        if count > MOST_ENTRIES:
            raise ForeignTable(f"its log has more than {MOST_ENTRIES:,} files; expected fewer")
        if _COMMIT.fullmatch(entry.name):
            names.add(entry.name)
    if len(names) > MOST_COMMITS:
        raise ForeignTable(f"its log has {len(names):,} commits; expected at most {MOST_COMMITS:,}")
    left = LARGEST_LOG
    texts = []
    for number in range(len(names)):
        path = folder / f"{number:020}.json"
        if path.name not in names:
            raise ForeignTable(f"its log lacks commit {number}; expected all of them, from 0")
        if not _is(stat.S_ISREG, path):
            raise ForeignTable(f"commit {number} of its log is a link or no file; expected a file")
        left -= path.stat().st_size
        if left < 0:
            raise ForeignTable(f"its log is larger than {LARGEST_LOG >> 20} MiB; expected less")
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ForeignTable(f"commit {number} of its log is no text; expected JSON") from None
    return texts


def _parsed(number: int, line: str) -> Action:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ForeignTable(f"a line of commit {number} is no JSON object; expected one a line")
    return found


def _checked_path(number: int, path: object) -> str:
    """The path of a file below the table's folder, decoded; raises ForeignTable for any other."""
    if not isinstance(path, str):
        raise ForeignTable(f"commit {number} names a file by a {type(path).__name__}; expected a path")
    decoded = unquote(path)
    parts = PurePosixPath(decoded).parts
    strange = not decoded.isprintable() or "\\" in decoded or _ADDRESS.match(decoded) or not parts
    if strange or decoded.startswith("/") or ".." in parts or len(decoded) > MOST_CHARACTERS:
        raise ForeignTable(
            f"commit {number} names the file {_told(path)}; expected a path inside the table's folder: "
            "not followed"
        )
    return decoded


#: A longer path is none.
MOST_CHARACTERS = 1_000


def _told(path: str) -> str:
    return f"“{plain(path)[:100]}”"


def _file(table: Path, path: str) -> Path | None:
    """The regular file at ``path`` below the table, or None; no link is followed at any step."""
    *folders, name = PurePosixPath(path).parts
    current = table
    for folder in folders:
        current = current / folder
        if not _is(stat.S_ISDIR, current):
            return None
    return current / name if _is(stat.S_ISREG, current / name) else None


def _is(kind: Any, path: Path) -> bool:
    try:
        return bool(kind(path.lstat().st_mode))
    except (OSError, ValueError):
        return False


def _texts(found: object) -> dict[str, str]:
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in pairs if isinstance(text, str)}
