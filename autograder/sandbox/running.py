"""Run a notebook from an empty folder and keep what it leaves."""

import asyncio
import contextlib
import json
import logging
import math
import os
import shutil
import signal
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from autograder.base.errors import KitError
from autograder.data.settings import Conditions
from autograder.sandbox.find_bwrap import find_bwrap
from autograder.sandbox.kernel import ENDED, BoundedKernelManager, BoundedNotebookClient, BoxKernelManager
from autograder.sandbox.kernel_environment import kernel_environment
from autograder.sandbox.limits import USUAL, Limits
from autograder.sandbox.mounts import WORK
from autograder.sandbox.warm_kernels import WarmKernels
from autograder.workspace.prepared import put_store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Execution:
    """An executed notebook. ``stopped`` says in one line why it ended before its last cell, if it did;
    ``refused`` what of the files it left was left behind, and why.
    """

    notebook: NotebookNode
    folder: Path
    stopped: str | None
    refused: tuple[str, ...] = ()


def run_notebook(
    notebook: NotebookNode,
    folder: Path,
    conditions: Conditions,
    limits: Limits = USUAL,
    sandbox: bool | WarmKernels = True,
) -> Execution:
    """Run every cell of ``notebook`` (changed in place) in a new kernel, under ``conditions``.

    The kernel works on the files of ``folder`` and what it leaves is in ``folder`` afterwards. With
    ``sandbox`` it does so in a box, see :mod:`autograder.sandbox.box`, and is forked where that is the warm
    kernels; without, in the folder itself, with a scrubbed environment, as the user who runs this.

    A cell that raises does not end the run. A limit that is exceeded, a kernel that dies or one that
    sends nonsense does: what was done before it stays, and what of the outputs is no notebook is left
    out. The kernel is gone afterwards. Raises NoSandbox where there is no bubblewrap, BoxFailed where
    it makes no box.
    """
    folder = folder.resolve()
    put_store(folder, seen_as=str(WORK) if sandbox else None)
    with tempfile.TemporaryDirectory(prefix="kit-home-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        config = private_channel(home)
        if sandbox:
            find_bwrap()
            config.BoxKernelManager = Config(left=str(home / "left"), limits=asdict(limits))
        client = BoundedNotebookClient(
            notebook,
            timeout=math.ceil(limits.cell),
            kernel_name="python3",
            allow_errors=True,
            kernel_manager_class=BoxKernelManager if sandbox else BoundedKernelManager,
            resources={"metadata": {"path": str(folder)}},
            config=config,
        )
        client.most_output = limits.output
        client.warm = sandbox if isinstance(sandbox, WarmKernels) else None
        try:
            stopped = _execute(client, kernel_environment(home, conditions), limits)
        except (KitError, RuntimeError) as error:
            if client.warm is None or not client.warm.usable:
                raise
            # no line has run: the process that the kernel is forked from may have died in between
            _log.warning("A warm kernel did not begin (%s): the submission gets a box of its own.", error)
            return run_notebook(notebook, folder, conditions, limits)
        refused = []
        if sandbox:
            ended = json.loads((home / ENDED).read_text(encoding="utf-8"))
            stopped, refused = ended["why"] or stopped, ended["refused"]
            shutil.rmtree(folder)
            shutil.move(home / "left", folder)
    _leave_out_nonsense(notebook, every=bool(stopped))
    return Execution(notebook, folder, client.flooded or stopped, tuple(refused))


def _execute(client: NotebookClient, environment: dict[str, str], limits: Limits) -> str | None:
    """Run a client's notebook; in one line why it ended early, if it did."""
    begun = []

    def begin(notebook: NotebookNode) -> None:
        begun.append(True)
        # nbclient would take Ctrl-C for the kernel's end, and that for the submission's own doing
        with contextlib.suppress(RuntimeError, NotImplementedError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    client.on_notebook_start = begin
    try:
        client.execute(env=environment)
    except CellTimeoutError:
        return f"a cell took longer than {limits.cell:g} seconds"
    except DeadKernelError:
        return "the kernel died"
    except Exception as error:
        if not begun:  # no line of the submission has run: this is not its doing
            raise
        # the kernel is the submission's: it can send anything, and what it did before stands
        return f"its kernel sent what is no notebook output ({type(error).__name__})"
    return None


def _leave_out_nonsense(notebook: NotebookNode, every: bool) -> None:
    """Empty the outputs that are no notebook's, or cannot be written down; ``every`` looks closely."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                json.dumps(cell, ensure_ascii=False, allow_nan=False).encode()
                if every:
                    nbformat.validate({**notebook, "cells": [cell]})
            except Exception:
                cell.outputs, cell.execution_count = [], None


def private_channel(home: Path) -> Config:
    """Talk to the kernel through sockets in its own folder, where there are such, not through ports."""
    config = Config()
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(home / "k")
    return config
