"""A process with the libraries imported that answers each question in a forked child with limits.

``python -m autograder.sandbox.fork_server MODULE [nested] CHANNEL`` imports MODULE and answers with the
functions in its ``ANSWERS``, by the question's ``"question"``. It opens nothing foreign itself. A child may
crash, hang or be taken over by what it opens: the next one is forked from the same clean process. In a box it
is nested in one of its own, see :mod:`autograder.sandbox.nest`.

Where processes cannot be forked (Windows), a child is started anew: slower, otherwise the same.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from autograder.base.child import Message, answer_questions, limit
from autograder.sandbox.mounts import INCOMING, KIT, SHOWN, WORK, parts_of_python

#: Folders that are empty in a nested child, and the bytes that it may put there.
HIDDEN = {
    str(INCOMING): 0,
    str(WORK): 64 << 20,
    "/tmp": 256 << 20,
    "/home/student": 16 << 20,
    "/dev/shm": 64 << 20,
}
#: What children may use that open a submission: bytes of memory and of a file, seconds of computing.
LIMITS = {"DATA": 2 << 30, "CPU": 60, "FSIZE": 256 << 20, "NPROC": 64, "NOFILE": 512, "CORE": 0}


class Forks:
    """Answers questions in children. ``nested`` gives each a box of its own."""

    def __init__(self, module: str, nested: bool) -> None:
        self.module = module
        importlib.import_module(module)
        gc.collect()
        gc.freeze()  # a child that looks for garbage would copy every page
        self.nested = nested
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)

    def answer(self, question: Message) -> bytes:
        """The answer as JSON; a child that crashed, or took longer than ``seconds``, is one, too.

        Nothing of it is left when this returns.
        """
        seconds, most = question.pop("seconds"), question.pop("most")
        receiver, sender = self._context.Pipe(duplex=False)
        box, tell = os.pipe() if self.nested else (-1, -1)
        child = self._context.Process(target=_child, args=(self.module, question, sender, tell), daemon=True)
        child.start()
        sender.close()
        first = _first_of(box, tell) if self.nested else -1
        late = threading.Event()

        def end(too_late: bool = False) -> None:
            if too_late:
                late.set()
            if first >= 0:  # the first process of its box, with which all others end
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(first, signal.SIGKILL)
            child.kill()

        timer = threading.Timer(seconds, end, (True,))
        timer.start()
        try:
            answer: bytes = receiver.recv_bytes(most)
            return answer
        except EOFError:
            child.join(1)
            if late.is_set():
                return _failed(f"it took longer than {seconds:g} seconds")
            return _failed(f"its process ended early (exit code {child.exitcode})")
        except OSError:
            return _failed(f"its answer is larger than {most >> 20} MiB")
        finally:
            timer.cancel()
            timer.join()  # the next child is forked from a process with one thread
            end()
            child.join()
            receiver.close()
            if first >= 0:
                select.select([first], [], [])
                os.close(first)


def _first_of(box: int, tell: int) -> int:
    """A handle of the first process of a child's box, whose number comes through ``box``; -1 without one."""
    os.close(tell)
    with os.fdopen(box, "rb", buffering=0) as pipe:
        number = pipe.read(32)
    try:
        return os.pidfd_open(int(number)) if number else -1
    except ProcessLookupError:
        return -1


def _failed(why: str) -> bytes:
    return json.dumps({"failed": why}).encode()


def _child(module: str, question: Message, sender: Connection, tell: int) -> None:
    """Answer, in a box of its own where there is a pipe ``tell`` for the number of its first process."""
    if tell >= 0:
        from autograder.sandbox import nest

        keep_only(sender.fileno(), tell)
        hidden = HIDDEN | ({str(KIT): 0} if question.pop("without_kit", False) else {})
        shown = {question["folder"]: str(SHOWN)}
        try:
            nest.enter(shown, hidden, parts_of_python(), LIMITS, lambda first: os.write(tell, b"%d" % first))
        except OSError as error:
            sender.send_bytes(json.dumps({"no nest": str(error)}).encode())
            return
        os.close(tell)
        os.chdir(WORK)
        question["folder"] = str(SHOWN)
    else:
        limit(**LIMITS)
        sys.stdout = sys.stderr
    answers: dict[str, Callable[[Message], Message]] = importlib.import_module(module).ANSWERS
    sender.send_bytes(json.dumps(answers[question.pop("question")](question), allow_nan=False).encode())


def keep_only(*descriptors: int) -> None:
    """Close everything else that was inherited, the channel of questions above all."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    begin = 3
    for descriptor in sorted(descriptors):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))


def main() -> None:
    """Answer until there are no more questions over the socket CHANNEL, or standard input where that is 0."""
    module, *more, channel = sys.argv[1:]
    forks = Forks(module, nested="nested" in more)
    if int(channel):
        from autograder.sandbox import nest

        nest.make_private()
    answer_questions(forks.answer, int(channel) or None)


if __name__ == "__main__":
    main()
