"""Starts the process that serves a workspace, and ends it."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from autograder.base.startup import without_proxy
from autograder.databricks import listen
from autograder.databricks.state import FOLDER, State, WorkspaceError

#: Seconds in which a server must listen, and in which it must end once it was told to.
PATIENCE = 60.0
#: Seconds for which a process that ends waits for its server, which puts the last calls into their table.
LAST_CALLS = 3.0
SETTING_PORT = "port"
#: Ports that a workspace remembers, for as many servers of it at the same time.
MOST_PORTS = 4


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

    def finish(self) -> None:
        """End the process with this one; whoever reads or removes the folder then finds the last calls."""
        self.end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LAST_CALLS)

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

    Without ``port`` the first that the workspace had before and that is not taken is taken again, or a
    free one. With ``eager`` the server loads its libraries at once, not when it is first asked. ``idle``
    is the time in seconds after which an unused model is unloaded. Raises WorkspaceError when the port is
    taken or the server does not start in time.
    """
    state = State(folder)
    ports = [port] if port is not None else [*_usable_ports(state)[:1], 0]
    told: list[str] = []
    for wanted in ports:
        command = [sys.executable, "-P", listen.__file__, str(state.folder), tracking_uri]
        command += ["--port", str(wanted)] + (["--idle", str(idle)] if idle is not None else [])
        process = _launch([*command, "--eager"] if eager else command)
        assert process.stdout and process.stderr
        began = time.monotonic()
        late = threading.Timer(PATIENCE, process.kill)
        late.daemon = True
        late.start()
        line = process.stdout.readline()
        late.cancel()
        if line:
            process.stdout.close()
            process.stderr.close()
            found = json.loads(line)["port"]
            _remember_port(state, found, port is not None)
            server = Server(state.folder, f"http://127.0.0.1:{found}", process)
            atexit.register(server.finish)
            return server
        told.append(process.stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2])
        process.wait()
        if time.monotonic() - began >= PATIENCE:
            raise WorkspaceError(
                f"The workspace's server said nothing for {PATIENCE:g} seconds and was ended; expected the "
                "port that it listens on, which takes a moment. Is this machine very busy, or does something "
                "run whenever Python starts (sitecustomize.py, a .pth file)? Open the workspace again."
            )
    raise WorkspaceError(
        f"The workspace's server did not start on port {ports[-1] or 'any'}: {told[-1]}. Expected a "
        "port that is "
        "free: leave the port out, or name another. What it said before is in "
        f"{state.folder / FOLDER}/serving.log."
    )


def _launch(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        # who interrupts the notebook does not mean the server
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def free_socket(state: State, port: int | None = None) -> socket.socket:
    """A socket in this process for serving a workspace: on ``port``, or on the first that it had before and
    that is not taken, or a free one. Raises WorkspaceError when the port is taken.
    """
    wanted = port if port is not None else next(iter(_usable_ports(state)), 0)
    try:
        listening = listen.listen(wanted)
    except OSError as error:
        if port is not None:
            raise WorkspaceError(
                f"The port {port} cannot be had ({error.strerror}); expected one that is free. "
                "Name another, or leave it out."
            ) from None
        listening = listen.listen()
    _remember_port(state, listening.getsockname()[1], port is not None)
    return listening


def _environment() -> dict[str, str]:
    """The environment of the server: no token, a path on which the kit is found, no proxy to this machine."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    environment |= {**without_proxy(environment), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    return environment


def _ports(state: State) -> list[int]:
    """The ports at which the workspace was served before, those of the first server first."""
    connection = state.connect()
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING_PORT,)).fetchone()
    connection.close()
    return [int(port) for port in row[0].split()] if row else []


def _usable_ports(state: State) -> list[int]:
    """Those of them that nobody has now."""
    return [port for port in _ports(state) if _is_free(port)]


def _is_free(port: int) -> bool:
    try:
        listen.listen(port).close()
    except OSError:
        return False
    return True


def _remember_port(state: State, port: int, named: bool = False) -> None:
    """Have the workspace served there again: first of all if the port was named, and no other server of the
    workspace is there, whose address would change; else after those before.
    """
    others = [known for known in _ports(state) if known != port]
    if port in _ports(state) and not named:
        return
    alone = named and all(_is_free(other) for other in others)
    ports = [port, *others][:MOST_PORTS] if alone else [*others[: MOST_PORTS - 1], port]
    connection = state.connect()
    connection.execute("REPLACE INTO settings VALUES (?, ?)", (SETTING_PORT, " ".join(map(str, ports))))
    connection.close()
