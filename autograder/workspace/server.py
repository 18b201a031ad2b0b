"""Starts the process that serves a workspace, and ends it."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from autograder.workspace.serving import listen
from autograder.workspace.serving.state import FOLDER, State, WorkspaceError

#: Seconds in which a server must listen, and in which it must end once it was told to.
PATIENCE = 60.0
SETTING_PORT = "port"


@dataclass
class Server:
    """A process that serves the workspace in ``folder`` at ``url``. It ends with this process, also when
    that is killed: it reads from a pipe whose other end is here.
    """

    folder: Path
    url: str
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def end(self) -> None:
        """Tell the process to end, and do not wait for it."""
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def close(self) -> None:
        """End the process; what it had in its journal is in the request log then."""
        self.end()
        if os.name == "posix":  # a child of this process may hold the pipe open
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_server(
    folder: Path, tracking_uri: str, port: int | None = None, idle: float | None = None, eager: bool = False
) -> Server:
    """Start serving the workspace in ``folder``, with the models of a tracking store.

    Without ``port`` the one that the workspace had last time is taken again, or a free one. With
    ``eager`` the server loads its libraries at once, not when it is first asked. ``idle`` is the time
    in seconds after which an unused model is unloaded. Raises WorkspaceError when the port is taken or
    the server does not start.
    """
    state = State(folder)
    ports = [port] if port is not None else [_last_port(state), 0]
    told: list[str] = []
    for wanted in ports:
        command = [sys.executable, "-P", listen.__file__, str(state.folder), tracking_uri]
        command += ["--port", str(wanted)] + (["--idle", str(idle)] if idle is not None else [])
        process = subprocess.Popen(
            [*command, "--eager"] if eager else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            # who interrupts the notebook does not mean the server
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        if line:
            process.stdout.close()
            process.stderr.close()
            found = json.loads(line)["port"]
            _remember_port(state, found)
            server = Server(state.folder, f"http://127.0.0.1:{found}", process)
            atexit.register(server.end)
            return server
        told.append(process.stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2])
        process.wait()
    raise WorkspaceError(
        f"The workspace's server did not start on port {ports[-1] or 'any'}: {told[-1]}. Expected a "
        "port that is "
        "free: leave the port out, or name another. What it said before is in "
        f"{state.folder / FOLDER}/serving.log."
    )


def free_socket(state: State, port: int | None = None) -> socket.socket:
    """A socket in this process for serving a workspace: on ``port``, or on the one it had last time, or a
    free one. Raises WorkspaceError when the port is taken.
    """
    try:
        listening = listen.listen(_last_port(state) if port is None else port)
    except OSError as error:
        if port is not None:
            raise WorkspaceError(
                f"The port {port} cannot be had ({error.strerror}); expected one that is free. "
                "Name another, or leave it out."
            ) from None
        listening = listen.listen()
    _remember_port(state, listening.getsockname()[1])
    return listening


def _environment() -> dict[str, str]:
    """The environment of the server: no token, and a path on which the kit is found."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    environment["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    return environment


def _last_port(state: State) -> int:
    connection = state.connect()
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING_PORT,)).fetchone()
    connection.close()
    return int(row[0]) if row else 0


def _remember_port(state: State, port: int) -> None:
    connection = state.connect()
    connection.execute("REPLACE INTO settings VALUES (?, ?)", (SETTING_PORT, str(port)))
    connection.close()
