"""A real tracking server, and the solution of the first assignment worked on it."""

import contextlib
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat

from autograder.data.settings import Conditions
from autograder.databricks.database import sqlite_uri
from autograder.sandbox import Limits, run_notebook
from autograder.workspace.prepared import put_store
from autograder.workspace.store import SEED_TAG
from tests.conftest import ASSIGNMENT, ROOT, environment

#: The seed of the data that the work is about.
SEED = 3


@contextlib.contextmanager
def serving(home: Path, *more: str, **settings: str) -> Iterator[str]:
    """The address of a real tracking server with an empty store in ``home``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home.mkdir()
    put_store(home)
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", sqlite_uri(home)]
    command += ["--artifacts-destination", str(home / "files"), *more]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=home, env=environment(**quiet, **settings), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(f"{address}/health", process)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _wait(address: str, process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{address} did not come up")


def work_on(server: str, folder: Path, credentials: dict[str, str] | None = None) -> None:
    """Run the solution in ``folder`` so that it logs to a tracking server, with the seed it has."""
    notebook = nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id == "setup":
            cell.source = f"""
import os, mlflow
os.environ.update({credentials or {}!r})
mlflow.set_tracking_uri({server!r})
mlflow.MlflowClient().set_experiment_tag("0", {SEED_TAG!r}, "{SEED}")
"""
    folder.mkdir()
    # over HTTP, with everything else going on
    run_notebook(notebook, folder, Conditions(SEED), Limits(cell=600, wall=900), sandbox=False)
