"""A process in a box that works on many submissions, one after the other, each in a box within it."""

import itertools
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Self

from autograder.base.child import Child
from autograder.sandbox.box import OwnBox, copy_readable
from autograder.sandbox.limits import Limits
from autograder.sandbox.mounts import INCOMING

#: A batch goes on as long as it takes: what is nested has limits of its own.
LIMITS = Limits(wall=10**9, cpu=10**6, memory=6 << 30, processes=256)


class ServerInBox:
    """A module of the kit in a box, where it answers questions through ``child``; see :mod:`.fork_server`.

    ``arguments`` follow the number of its channel on the command line. Of the kit ``parts`` are there. With
    ``nested`` it may make boxes within this one. Raises BoxFailed.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        parts: Sequence[str],
        environment: Mapping[str, str],
        nested: bool = True,
    ) -> None:
        self._shown: dict[Path, str] = {}
        self._numbers = itertools.count()
        with ExitStack() as stack:
            self.box = stack.enter_context(OwnBox(LIMITS, nested=nested))
            here, there = socket.socketpair()
            self.box.pass_fds += (there.fileno(),)
            command = [sys.executable, "-m", module, str(there.fileno()), *arguments]
            process = stack.enter_context(self.box.running(command, environment, parts=parts))
            there.close()
            pipes = (here.makefile("wb"), here.makefile("rb"))
            here.close()
            self.child = Child(process, *pipes)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def show(self, folder: Path) -> str:
        """Where a copy of ``folder`` is in the box, from now on."""
        if folder not in self._shown:
            name = str(next(self._numbers))
            copy_readable(folder, self.box.incoming / name)
            self._shown[folder] = f"{INCOMING}/{name}"
        return self._shown[folder]

    def hide(self, folder: Path) -> None:
        """Remove the copy that was made to show a folder."""
        if shown := self._shown.pop(folder, None):
            shutil.rmtree(self.box.incoming / PurePosixPath(shown).name, ignore_errors=True)

    def close(self) -> None:
        """End the process, and the box with everything in it."""
        self.child.process.kill()  # it keeps nothing that would be lost
        self._stack.close()
        self.child.close()
