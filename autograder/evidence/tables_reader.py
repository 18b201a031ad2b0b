"""The Delta tables of a workspace: found here, read in a process of their own."""

import os
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from autograder.base.child import Child, ChildFailed
from autograder.base.text import plain
from autograder.evidence.files import local_folder
from autograder.evidence.workspace_facts import Request, TableFacts

#: The folder of the tables, and the table that is the request log.
FOLDER = "tables"
REQUEST_LOG = "serving_payload"
#: No more tables than this are read, and no more of the folder's entries are looked at.
MOST_TABLES = 50
MOST_ENTRIES = 1_000
#: Seconds for one table, and for all of them. What a table costs is limited in the process itself, in seconds
#: of processor time, which a busy machine does not shorten; these end only what waits and computes nothing.
ALONE = 45.0
BUDGET = 180.0
#: A longer answer is not read, in bytes.
LARGEST_ANSWER = 48 << 20
PROCESS = "autograder.evidence.table_process"


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """What was found out about a table; ``requests`` if it is the request log."""

    name: str
    facts: TableFacts | None = None
    requests: tuple[Request, ...] = ()
    findings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The answer on one line."""
        return _answer.dump_json(self).decode()


_answer = TypeAdapter(TableAnswer)


def told(name: str, finding: str) -> str:
    """A finding about a table, as a sentence."""
    return f"Table “{plain(name)[:100]}”: {finding}."


def read_tables(home: Path) -> list[TableAnswer]:
    """The tables of the workspace in ``home``, by name. What cannot be read is a finding of its own."""
    names, answers = _names(home)
    end = time.monotonic() + BUDGET
    found = {}
    process = _Process(home)
    try:
        for name in names:
            if (left := end - time.monotonic()) <= 1:
                found[name] = _unread(name, "there was no time left to read it after the tables before it")
                continue
            try:
                found[name] = process.ask(name, min(ALONE, left))
            except ChildFailed as error:
                found[name] = _unread(name, f"the process that read it failed: {error}")
    finally:
        process.close()
    return answers + [found[name] for name in sorted(found)]


def _unread(name: str, why: str) -> TableAnswer:
    return TableAnswer(name, findings=(told(name, f"{why}; expected a table like those of the course"),))


def _names(home: Path) -> tuple[list[str], list[TableAnswer]]:
    """The names of the tables, the request log first, and what is wrong with other entries."""
    from autograder.databricks.fitting import check_name

    folder = home / FOLDER
    if not folder.exists() and not folder.is_symlink():
        return [], []
    if local_folder(FOLDER, home) is None:
        return [], [_unread(FOLDER, "the folder of the tables is a link or no folder")]
    names, problems = [], []
    for path in sorted({folder / REQUEST_LOG, *islice(folder.iterdir(), MOST_ENTRIES)}):
        try:
            fits = check_name(path.name) == path.name
        except ValueError:
            fits = False
        if not path.is_symlink() and (not path.is_dir() or not (path / "_delta_log").exists()):
            continue  # no table, and none that is made to look like one
        if not fits or path.is_symlink():
            problems.append(_unread(path.name, "its folder is a link, or its name no table's"))
        else:
            names.append(path.name)
    names.sort(key=lambda name: name != REQUEST_LOG)
    out = names[MOST_TABLES:]
    if out:
        problems.append(
            TableAnswer(
                FOLDER, findings=(f"There are {len(names)} tables, of which {MOST_TABLES} are read.",)
            )
        )
    return names[:MOST_TABLES], problems[:MOST_TABLES]


class _Process:
    """Reads tables one after the other in a child process, and starts a new one after a failure."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.child: Child | None = None
        self.answered = 0

    def ask(self, name: str, seconds: float) -> TableAnswer:
        """The answer about a table. Raises ChildFailed when a process that read no other table fails."""
        if self.child is None:
            self.child = Child.start(PROCESS, str(self.home), environment=_environment())
            self.answered = 0
        try:
            answer = self.child.ask({"table": name}, seconds, LARGEST_ANSWER)
            found = _answer.validate_json(str(answer["answer"]))
        except (ChildFailed, KeyError, ValidationError):
            alone = not self.answered
            self.close()
            if alone:
                raise ChildFailed("it crashed, or came to its limit of memory or time") from None
            return self.ask(name, seconds)  # the tables before it may have used up the limits
        self.answered += 1
        return found

    def close(self) -> None:
        """End the process."""
        if self.child:
            self.child.close()
            self.child = None


def _environment() -> dict[str, str]:
    """The environment of the process: no token, the kit on its path, and libraries that start one thread
    each, and ask the system for memory only as they need it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    return environment | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TOKIO_WORKER_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
