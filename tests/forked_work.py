"""What a forked process does. Imports nothing itself; tests.preloaded has what it needs."""

import os
import signal
import sys
import time
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


def be_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become a kernel."""
    _begin(folder, environment)
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=arguments)


def score(folder: str, environment: dict[str, str]) -> None:
    """Ask the model in ``folder``, which may run code of its own."""
    _begin(folder, environment)
    from autograder.evidence.score_process import main

    main()


def be_a_command(arguments: list[str], folder: str, environment: dict[str, str], log: Path) -> None:
    """Become ``nbgrader`` or ``mlflow-kit``, with these arguments; what it prints is in ``log``."""
    import atexit
    from importlib.metadata import entry_points

    from autograder.execution import WarmReader

    _begin(folder, environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2)
    )
    sys.argv = arguments
    WarmReader._start = staticmethod(ForkedReader)  # type: ignore[assignment]
    (command,) = entry_points(group="console_scripts", name=arguments[0])
    try:
        command.load()()
    finally:
        atexit._run_exitfuncs()


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
        while not os.waitpid(self.pid, os.WNOHANG)[0]:  # it ends where its questions end
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
