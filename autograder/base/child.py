"""One way to start, ask, limit and end a child process: questions and answers are JSON.

A message is its length, eight bytes, and that many bytes of JSON.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from autograder.base.errors import KitError

#: Seconds until a process that was told to end is killed.
PATIENCE = 10.0
_LENGTH = 8

Message = dict[str, Any]


class ChildFailed(KitError):
    """Raised when a child gave no answer; says in one line, without a full stop, what became of it."""


class Child:
    """A process that answers questions, one at a time, until it is closed.

    ``process`` is what was started; questions go to ``questions``, answers come from ``answers``. Use it as a
    context manager.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", questions: BinaryIO, answers: BinaryIO) -> None:
        self.process = process
        self._questions, self._answers = questions, answers

    @classmethod
    def start(
        cls,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Run ``module`` of this Python, which calls :func:`answer_questions`; what it prints is not kept."""
        # -P: what lies in the current folder is not taken for a library
        command = [sys.executable, "-P", "-m", module, *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
        )
        assert process.stdin and process.stdout
        return cls(process, process.stdin, process.stdout)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, question: Message, seconds: float, most: int) -> Message:
        """The answer to a question; what is not answered within ``seconds`` ends the process.

        Raises ChildFailed for an answer of more than ``most`` bytes, one that is no JSON object, or none.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            _write(self._questions, json.dumps(question).encode())
            answer = parsed(_read(self._answers, most))
        except (OSError, EOFError, ValueError) as error:
            self.process.kill()
            if late.is_set():
                raise ChildFailed(f"it took longer than {seconds:g} seconds") from None
            if isinstance(error, ValueError):
                raise ChildFailed(str(error)) from None
            raise ChildFailed("its process ended without an answer") from None
        finally:
            timer.cancel()
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def parsed(text: bytes) -> Message:
    """A message's JSON object. Raises ValueError, in one line, for anything else."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ValueError("its answer is no JSON object")
    return answer


def answer_questions(answer: Callable[[Message], bytes], channel: int | None = None) -> None:
    """In a child: answer each question with the bytes of a JSON object, until there are no more.

    Questions and answers go over the socket ``channel``, or over standard input and output, on which
    then nothing else is printed.
    """
    if channel is None:
        questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
    else:
        os.set_inheritable(channel, False)
        questions, answers = os.fdopen(channel, "rb"), os.fdopen(os.dup(channel), "wb")
    while True:
        try:
            question = _read(questions, sys.maxsize)
        except (EOFError, OSError):
            return
        _write(answers, answer(json.loads(question)))


def limit(**limits: int) -> None:
    """Limit this process and what it starts, where the system can: by names of ``resource.RLIMIT_…``."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _write(pipe: BinaryIO, message: bytes) -> None:
    pipe.write(len(message).to_bytes(_LENGTH, "big") + message)
    pipe.flush()


def _read(pipe: BinaryIO, most: int) -> bytes:
    length = int.from_bytes(_exactly(pipe, _LENGTH), "big")
    if length > most:
        raise ValueError(f"its answer is larger than {most >> 20} MiB")
    return _exactly(pipe, length)


def _exactly(pipe: BinaryIO, length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data
