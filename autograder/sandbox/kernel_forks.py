"""A process with a notebook's libraries imported, from which kernels are forked, each into a nested box.

``python -m autograder.sandbox.kernel_forks CHANNEL`` answers the questions of :mod:`.warm_kernels`, in a box.
It opens nothing of a submission itself, and runs nothing: a process that has computed with threads cannot
be forked. What a fresh process would not share with another is made anew in each kernel.
"""

import contextlib
import encodings.cp437
import gc
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import alembic.command
import git.repo
import ipykernel.debugger
import ipykernel.kernelapp
import matplotlib.pyplot
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_workspace_store
import mlflow.store.tracking.sqlalchemy_workspace_store
import mlflow.utils.requirements_utils
import numpy as np
import pandas
import pyarrow.pandas_compat
import sklearn.ensemble
import sklearn.linear_model
import sklearn.metrics
import sklearn.model_selection
import sklearn.pipeline
import skops.io
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm

import autograder.data.seeded
import autograder.workspace.store
from autograder.base.child import Message, answer_questions
from autograder.sandbox import nest
from autograder.sandbox.fork_server import keep_only
from autograder.sandbox.mounts import (
    INCOMING,
    KIT,
    SCRATCH,
    SHOWN,
    SOCKETS,
    SOCKETS_SIZE,
    WORK,
    parts_of_python,
)

#: What :mod:`.warm_kernels` shows, beside the connection file: the files that the kernel starts with.
FILES = SHOWN / "work"


#: Characters of what is said of files that do not fit.
MOST_SAID = 300


class _Forked(BaseException):
    """Leaves the loop of questions, and what it holds, in a process that is to be a kernel."""

    def __init__(self, question: Message, ready: int, go: int) -> None:
        self.given = question, ready, go


class Kernels:
    """Forks kernels, one after the other. A kernel waits when its box is there, until it may go."""

    def __init__(self) -> None:
        self._go = -1

    def answer(self, question: Message) -> bytes:
        """To ``fork``: the number of the first process of the kernel's box, or why there is none."""
        if question["question"] == "go":
            with contextlib.suppress(OSError):  # it is dead already
                os.write(self._go, b"g")
            os.close(self._go)
            self._go = -1
            return b"{}"
        self._reap()
        ready, tell = os.pipe()
        wait, go = os.pipe()
        if not os.fork():
            raise _Forked(question, tell, wait)
        os.close(tell)
        os.close(wait)
        self._go = go
        answer: Message = {}
        with os.fdopen(ready, "rb") as lines:
            for line in lines:
                answer |= json.loads(line)
                if answer.keys() & {"ready", "failed", "no nest"}:
                    break
        return json.dumps(answer).encode()

    def _reap(self) -> None:
        if self._go >= 0:
            os.close(self._go)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become_a_kernel(question: Message, ready: int, go: int) -> None:
    """Go into a box of its own, wait for the word, and be a kernel until it is told to end."""
    keep_only(ready, go)

    def tell(**what: Any) -> None:
        os.write(ready, json.dumps(what).encode() + b"\n")

    hidden = {str(INCOMING): 0, str(KIT / "autograder" / "sandbox"): 0, **SCRATCH}
    hidden |= {str(SOCKETS): SOCKETS_SIZE, str(WORK): question["disk"]}
    limits = {name: tuple(both) for name, both in question["limits"].items()}
    try:
        nest.enter(
            {question["folder"]: str(SHOWN)},
            hidden,
            parts_of_python(),
            limits,
            tell=lambda first: tell(first=first),
        )
    except OSError as error:
        tell(**{"no nest": str(error)})
        os._exit(1)
    kernel = os.fork()
    if kernel:
        os.close(ready)
        os.close(go)
        nest.make_private()
        _look_after(kernel)
    os.setsid()
    os.umask(0o022)
    try:
        shutil.copytree(FILES, WORK, symlinks=True, dirs_exist_ok=True)
        os.chdir(WORK)
    except OSError as error:
        tell(failed=str(error)[:MOST_SAID])
        os._exit(1)
    tell(ready=True)
    os.close(ready)
    if not os.read(go, 1):
        os._exit(1)
    os.close(go)
    _be_as_new(question["environment"])
    sys.argv = [str(Path(ipykernel.__file__).parents[1] / "ipykernel_launcher.py"), *question["arguments"]]
    ipykernel.kernelapp.IPKernelApp.launch_instance(argv=sys.argv[1:])


def _look_after(kernel: int) -> NoReturn:
    """Run as process 1 of the box: reap orphaned processes, and end when the kernel ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the first process is spared
    while True:
        ended, status = os.wait()
        if ended == kernel:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _be_as_new(environment: dict[str, str]) -> None:
    """Undo what a process that was started would not have in common with another."""
    os.environ.clear()
    os.environ.update(environment)
    Path(environment["MPLCONFIGDIR"]).mkdir(exist_ok=True)
    random.seed()
    np.random.seed()
    for name in [name for name in sys.modules if name.startswith("autograder.sandbox")]:
        del sys.modules[name]


def main() -> None:
    """Answer until there are no more questions; a forked process is a kernel instead."""
    sqlalchemy.orm.configure_mappers()  # MLflow's, with the first look at a store
    # which package a module is of: MLflow asks all that are installed, once a process
    mlflow.utils.requirements_utils._init_modules_to_packages_map()
    gc.collect()
    gc.freeze()  # a child that looks for garbage would copy every page
    nest.make_private()
    try:
        answer_questions(Kernels().answer, int(sys.argv[1]))
        return
    except _Forked as forked:
        given = forked.given
    # what the loop held is closed by now
    _become_a_kernel(*given)


if __name__ == "__main__":
    main()
