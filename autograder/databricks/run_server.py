"""Serve a workspace on a socket until it is told to end."""

import logging
import os
import socket
import sys
import threading
import warnings
from pathlib import Path

import uvicorn

from autograder.databricks.app import make_app
from autograder.databricks.listen import LOG
from autograder.databricks.service import IDLE, TERMINAL
from autograder.databricks.state import State

#: Seconds after which a connection without a request is closed.
KEEP_ALIVE = 75
#: Seconds for which requests under way are waited for at the end.
PATIENCE = 5
#: How long one thread may keep the interpreter from the others, in seconds. Python's own 5 ms would
#: have every answer wait that long whenever a model computes.
SWITCH = 0.0005
#: How often a store on another server is asked again when it does not answer. MLflow's own 7 take minutes,
#: for which nobody who calls a model waits.
RETRIES = "1"


def serve(
    folder: Path,
    tracking_uri: str,
    listening: socket.socket,
    idle: float | None = None,
    ended: threading.Event | None = None,
) -> None:
    """Serve the workspace in ``folder`` until ``ended`` is set by its owner, SIGTERM or Ctrl-C."""
    sys.setswitchinterval(SWITCH)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    warnings.filterwarnings("once", category=UserWarning)  # a library would repeat itself with every call
    logging.getLogger("alembic").setLevel(logging.WARNING)
    log = TERMINAL if ended is None else LOG  # who has an owner has no terminal
    app = make_app(State(folder), tracking_uri, IDLE if idle is None else idle, log)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # the request log is a table
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=PATIENCE,
    )
    server = uvicorn.Server(config)
    if ended is not None:

        def end() -> None:
            ended.wait()
            server.should_exit = True

        threading.Thread(target=end, daemon=True).start()
    server.run(sockets=[listening])
