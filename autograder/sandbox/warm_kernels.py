"""Kernels that start in a moment, each in a box: forked from a process that has a notebook's libraries."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from autograder.base.child import ChildFailed, Message
from autograder.sandbox import mounts
from autograder.sandbox.box import Box, BoxFailed, copy_readable
from autograder.sandbox.kernel_environment import kernel_environment
from autograder.sandbox.limits import USUAL, Limits
from autograder.sandbox.server_in_box import ServerInBox
from autograder.sandbox.watch import with_all_below

#: Set to 0 to start each process anew, in a box of its own: slower, and without namespaces inside a box.
WARM_VARIABLE = "MLFLOW_KIT_WARM"
#: Seconds in which the libraries must be imported, and a kernel be forked.
START = 120.0
#: Bytes of an answer.
LARGEST_ANSWER = 64 << 10
HOME = Path("/home/student")
#: The module that a kernel's command line runs.
LAUNCHER = "ipykernel_launcher"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kernel:
    """What a kernel is to be: the folder with the files that it begins with, its connection file, the command
    line that would start it, its environment and its limits.
    """

    files: Path
    connection_file: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    limits: Limits


class ForkedBox(Box):
    """A box within that of a :class:`WarmKernels`, with a kernel in it that waits."""

    def __init__(self, limits: Limits, first: int, folder: Path) -> None:
        super().__init__(limits)
        self._folder = folder
        self.watch(first)

    def close(self) -> None:
        """End it, and remove what was brought."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)


class WarmKernels:
    """Forks kernels whose limits are at most ``limits``; use it as a context manager.

    ``usable`` is False where it is switched off, or once it turned out not to work here: then kernels are
    to be started one by one, see :class:`autograder.sandbox.box.OwnBox`.
    """

    def __init__(self, limits: Limits = USUAL) -> None:
        self._limits = limits
        self.usable = os.environ.get(WARM_VARIABLE, "1") != "0"
        self._server: ServerInBox | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, which imports its libraries while others work; the first kernel does, too."""
        if not self.usable or self._server is not None:
            return
        try:
            # it imports matplotlib, which asks for its backend then
            environment = kernel_environment(HOME) | {
                "MPLBACKEND": "module://matplotlib_inline.backend_inline"
            }
            parts = (*mounts.NOTEBOOK_PARTS, "sandbox")
            self._server = ServerInBox(["autograder.sandbox.kernel_forks"], parts, environment, self._limits)
        except BoxFailed as error:
            self._give_up(str(error))

    def close(self) -> None:
        """End the process, and every box of a kernel with it."""
        if self._server:
            self._server.close()
            self._server = None

    def fork(self, kernel: Kernel) -> ForkedBox | None:
        """The box in which a kernel waits; None where that does not work. Raises BoxFailed for files that do
        not fit.
        """
        for _ in range(2):  # the process may have died with the submission before
            self.start()
            if self._server is None:
                return None
            try:
                return self._fork(self._server, kernel)
            except ChildFailed as error:
                why = str(error)
                self.close()
            except _NoNest as error:
                why = str(error)
                break
        self._give_up(why)
        return None

    def go(self) -> None:
        """Let the kernel that was forked begin."""
        if self._server:
            self._server.child.ask({"question": "go"}, START, LARGEST_ANSWER)

    def _give_up(self, why: str) -> None:
        _log.warning("No warm kernels (%s): each submission gets a box of its own.", why)
        self.usable = False
        self.close()

    def _fork(self, server: ServerInBox, kernel: Kernel) -> ForkedBox:
        folder = Path(tempfile.mkdtemp(dir=server.box.incoming))
        try:
            return self._fork_with(server, folder, kernel)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _fork_with(self, server: ServerInBox, folder: Path, kernel: Kernel) -> ForkedBox:
        folder.chmod(0o755)
        copy_readable(kernel.files, folder / "work")
        shutil.copyfile(kernel.connection_file, folder / "kernel.json")
        (folder / "kernel.json").chmod(0o644)
        connection_file = str(mounts.SHOWN / "kernel.json")
        question: Message = {
            "question": "fork",
            "folder": str(mounts.INCOMING / folder.name),
            "arguments": [
                connection_file if argument == str(kernel.connection_file) else argument
                for argument in kernel.command[kernel.command.index(LAUNCHER) + 1 :]
            ],
            "environment": {**kernel.environment, **mounts.environment(), "PWD": str(mounts.WORK)},
            "disk": kernel.limits.disk,
            "limits": kernel.limits.of_a_process(),
        }
        answer = server.child.ask(question, START, LARGEST_ANSWER)
        if "no nest" in answer:
            raise _NoNest(answer["no nest"])
        if "failed" in answer:
            raise BoxFailed(f"the box could not be filled: {answer['failed']}")
        if not answer.get("ready"):
            raise ChildFailed("a kernel could not be forked")
        number = _here(server.box.first, answer["first"])
        try:
            box = ForkedBox(kernel.limits, number, folder)
        except OSError as error:
            raise ChildFailed(f"a kernel died before it began: {error}") from None
        if _here(server.box.first, answer["first"]) != number:  # now that it is held, it is no other
            box.close()
            raise ChildFailed("a kernel died before it began")
        return box


class _NoNest(Exception):
    """Raised where no box can be made within a box; says why."""


def _here(box: int, number: int) -> int:
    """The number here of the process in a box that has ``number`` there. Raises ChildFailed."""
    for process in with_all_below(box):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:  # it has ended
            continue
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        if numbers[-2:] == [str(number), "1"]:
            return process
    raise ChildFailed("a kernel died before it began")
