"""What a forked process does. Imports the standard library only; tests.support.preloaded has the rest."""

import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from autograder.base.child import Child

#: Seconds between two looks at a process that should end.
INTERVAL = 0.02


def _begin(folder: str, environment: dict[str, str]) -> None:
    """Work in ``folder``, with nothing of this process's environment."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.setpgrp()


def _print_to_descriptors() -> None:
    """Have Python print to what descriptors 1 and 2 are now."""
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2)
    )


def be_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become a kernel; the server of a workspace that it opens is forked, too."""
    _begin(folder, environment)
    from ipykernel.kernelapp import IPKernelApp

    import autograder.databricks.server

    autograder.databricks.server._launch = ForkedServer  # type: ignore[assignment]
    IPKernelApp.launch_instance(argv=arguments)


def be_a_server(
    arguments: list[str], folder: str, environment: dict[str, str], read: Connection, *written: Connection
) -> None:
    """Become the server of a workspace, its standard input and outputs the ends of pipes."""
    from autograder.databricks import listen

    _begin(folder, environment)
    for number, end in enumerate((read, *written)):
        os.dup2(end.fileno(), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    _print_to_descriptors()
    sys.argv = arguments
    listen.main()


def be_a_command(arguments: list[str], folder: str, environment: dict[str, str], log: Path) -> None:
    """Become ``nbgrader`` or ``mlflow-kit``, with these arguments; what it prints is in ``log``."""
    import atexit
    from importlib.metadata import entry_points

    from autograder.pipeline import reader

    _begin(folder, environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _print_to_descriptors()
    sys.argv = arguments
    reader._boxed = lambda nested: reader._Plain(forked_child())  # type: ignore[assignment, return-value]
    (command,) = entry_points(group="console_scripts", name=arguments[0])
    try:
        command.load()()
    finally:
        atexit._run_exitfuncs()


class ForkedServer:
    """A forked :func:`be_a_server`: as far as ``workspace.server`` asks of a subprocess.Popen."""

    def __init__(self, command: list[str]) -> None:
        from autograder.databricks.server import _environment

        # a forked process may ask the one that forked it, but would start another
        forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
        context = multiprocessing.get_context("forkserver")
        pipes = [context.Pipe(duplex=False) for _ in range(3)]
        (read, ask), (out, print_out), (error, print_error) = pipes
        script = command.index("-P") + 1
        arguments = (command[script:], str(Path.cwd()), _environment(), read, print_out, print_error)
        self._process = context.Process(target=be_a_server, args=arguments, daemon=True)
        self._process.start()
        self.pid = self._process.pid
        for end in (read, print_out, print_error):
            end.close()
        self.stdin: IO[bytes] = os.fdopen(os.dup(ask.fileno()), "wb")
        self.stdout: IO[bytes] = os.fdopen(os.dup(out.fileno()), "rb")
        self.stderr: IO[bytes] = os.fdopen(os.dup(error.fileno()), "rb")
        for end in (ask, out, error):
            end.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the server", seconds or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


class ForkedProcess:
    """A forked process: as far as a ``base.child.Child`` asks of a subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = False

    def poll(self) -> int | None:
        self._ended = self._ended or bool(os.waitpid(self.pid, os.WNOHANG)[0])
        return 0 if self._ended else None

    def wait(self, seconds: float | None = None) -> None:
        end = time.monotonic() + (math.inf if seconds is None else seconds)
        while self.poll() is None:  # it ends where its questions end
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("the reader", seconds or 0)
            time.sleep(INTERVAL)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def forked_child() -> "Child":
    """The process that opens what submissions made, forked, and without a box."""
    from autograder.base.child import Child

    here, there = socket.socketpair()
    pid = os.fork()
    if not pid:
        here.close()
        _serve(there.detach())
    there.close()
    return Child(ForkedProcess(pid), here.makefile("wb"), here.makefile("rb"))  # type: ignore[arg-type]


def _serve(channel: int) -> None:
    from autograder.base.child import answer_questions
    from autograder.pipeline.reader import ANSWERS
    from autograder.sandbox.fork_server import Forks

    try:
        answer_questions(Forks(ANSWERS, nested=False).answer, channel)
    finally:
        os._exit(0)
