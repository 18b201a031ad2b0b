"""What a forked process does. Imports the standard library only; tests.support.preloaded has the rest."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

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


def score(folder: str, environment: dict[str, str]) -> None:
    """Ask the model in ``folder``, which may run code of its own."""
    _begin(folder, environment)
    from autograder.evidence.score_process import main

    main()


def be_a_command(arguments: list[str], folder: str, environment: dict[str, str], log: Path) -> None:
    """Become ``nbgrader`` or ``mlflow-kit``, with these arguments; what it prints is in ``log``."""
    import atexit
    from importlib.metadata import entry_points

    from autograder.pipeline.warm import WarmReader

    _begin(folder, environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _print_to_descriptors()
    sys.argv = arguments
    WarmReader._start = staticmethod(ForkedReader)  # type: ignore[assignment]
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


class ForkedReader:
    """The process that reads stores, forked: as far as a WarmReader asks of a subprocess.Popen."""

    def __init__(self) -> None:
        questions, ask = os.pipe()
        answers, answer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(ask)
            os.close(answers)
            _serve(questions, answer)
        os.close(questions)
        os.close(answer)
        self.stdin: IO[bytes] = os.fdopen(ask, "wb")
        self.stdout: IO[bytes] = os.fdopen(answers, "rb")

    def wait(self, seconds: float | None = None) -> None:
        end = time.monotonic() + (math.inf if seconds is None else seconds)
        while not os.waitpid(self.pid, os.WNOHANG)[0]:  # it ends where its questions end
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("the reader", seconds or 0)
            time.sleep(INTERVAL)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _serve(questions: int, answer: int) -> None:
    from autograder.evidence.warm_process import serve

    try:
        sys.stdin, sys.stdout = os.fdopen(questions), os.fdopen(answer, "w")
        serve()
    finally:
        os._exit(0)
