"""A process in a box that works on many submissions, one after the other, each in a box within it."""

import itertools
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath

from autograder.base.child import Child
from autograder.sandbox.box import OwnBox, copy_readable
from autograder.sandbox.limits import USUAL, Limits
from autograder.sandbox.mounts import INCOMING

#: What the process itself may take besides what is nested in its box: bytes of memory, processes.
OWN_MEMORY, OWN_PROCESSES = 2 << 30, 64


def around(nested: Limits) -> Limits:
    """The limits of a box that has boxes with the limits ``nested`` in it, one at a time."""
    return replace(
        nested,
        wall=10**9,
        cpu=10**6,
        memory=nested.memory + OWN_MEMORY,
        process_memory=nested.process_memory + OWN_MEMORY,
        processes=nested.processes + OWN_PROCESSES,
    )


class ServerInBox:
    """A module of the kit in a box, where it answers questions through ``child``; see :mod:`.fork_server`.

    ``program`` is the module and its arguments, after which it gets the number of its channel. Of the kit
    ``parts`` are there. What is nested in its box has at most ``limits``; without ``nested`` it cannot make
    boxes. Raises BoxFailed.
    """

    def __init__(
        self,
        program: Sequence[str],
        parts: Sequence[str],
        environment: Mapping[str, str],
        limits: Limits = USUAL,
        nested: bool = True,
    ) -> None:
        self._shown: dict[Path, str] = {}
        self._numbers = itertools.count()
        with ExitStack() as stack:
            self.box = stack.enter_context(OwnBox(around(limits), nested=nested))
            here, there = socket.socketpair()
            self.box.pass_fds += (there.fileno(),)
            command = [sys.executable, "-m", *program, str(there.fileno())]
            process = stack.enter_context(self.box.running(command, environment, parts=parts))
            there.close()
            pipes = (here.makefile("wb"), here.makefile("rb"))
            here.close()
            self.child = Child(process, *pipes)
            self._stack = stack.pop_all()

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
