"""Run a notebook from an empty folder and keep what it leaves."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from autograder.execution.environment import kernel_environment
from autograder.workspace.prepared import put_store

#: Seconds that one cell may take.
CELL_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Execution:
    """An executed notebook. ``stopped`` says in one line why it ended before its last cell, if it did."""

    notebook: NotebookNode
    folder: Path
    stopped: str | None


def run_notebook(
    notebook: NotebookNode, folder: Path, seed: int, cell_timeout: int = CELL_TIMEOUT
) -> Execution:
    """Run every cell of ``notebook`` (changed in place) in a new kernel whose working directory is
    ``folder``, under the data's ``seed`` and a scrubbed environment.

    A cell that raises does not end the run. A cell that takes longer than ``cell_timeout`` seconds,
    a kernel that dies or one that sends nonsense does: what was done before it stays, and what of the
    outputs is no notebook is left out. The kernel is gone afterwards.
    """
    folder = folder.resolve()
    put_store(folder)
    with tempfile.TemporaryDirectory(prefix="kit-home-", ignore_cleanup_errors=True) as home:
        client = NotebookClient(
            notebook,
            timeout=cell_timeout,
            kernel_name="python3",
            allow_errors=True,
            kernel_manager_class=AsyncKernelManager,
            resources={"metadata": {"path": str(folder)}},
            config=private_channel(Path(home)),
        )
        stopped = None
        try:
            client.execute(env=kernel_environment(Path(home), seed))
        except CellTimeoutError:
            stopped = f"a cell took longer than {cell_timeout} seconds"
        except DeadKernelError:
            stopped = "the kernel died"
        except Exception as error:
            # the kernel is the submission's: it can send anything, and what it did before stands
            stopped = f"its kernel sent what is no notebook output ({type(error).__name__})"
    if stopped:
        _leave_out_nonsense(notebook)
    return Execution(notebook, folder, stopped)


def _leave_out_nonsense(notebook: NotebookNode) -> None:
    """Empty the outputs of cells whose outputs are no notebook's."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                nbformat.validate({**notebook, "cells": [cell]})
                json.dumps(cell.outputs)
            except Exception:
                cell.outputs = []


def private_channel(home: Path) -> Config:
    """Talk to the kernel through sockets in its own folder, where there are such, not through ports."""
    config = Config()
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(home / "k")
    return config
