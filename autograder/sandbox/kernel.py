"""A Jupyter kernel in a box: the provisioner that starts it there, and a client that it cannot flood."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.session import Session
from nbclient import NotebookClient
from traitlets import Dict, Instance, Type, Unicode

from autograder.base.text import size
from autograder.sandbox.box import PATIENCE, Box, OwnBox
from autograder.sandbox.limits import Limits
from autograder.sandbox.mounts import SOCKETS
from autograder.sandbox.warm_kernels import Kernel, WarmKernels

PROVISIONER = "mlflow-kit-box"
#: Where the kernel finds its connection file, in the box.
CONNECTION_FILE = PurePosixPath("/sandbox/kernel.json")
#: The file beside what a kernel left that says how it ended.
ENDED = "ended.json"
#: How many sockets a kernel listens on: shell, iopub, stdin, control, heartbeat.
SOCKETS_OF_A_KERNEL = 5
#: A message of a kernel larger than this is not received, in bytes, and no more than so many wait. A
#: kernel throws away what it cannot send: all small outputs must find room while this side is slow.
LARGEST_MESSAGE = 24 << 20
MOST_WAITING = {"iopub": 50_000, "shell": 4}


class BoxProvisioner(LocalProvisioner):
    """Starts a kernel in a :class:`~autograder.sandbox.box.Box`, reached through sockets that are in it.

    It is forked where the manager has ``warm`` kernels. The box works on a copy of the kernel's working
    directory. When it has ended, what it left is copied into the folder ``left``, and a file ENDED beside
    that says why it was ended, if a limit did it, and what was refused.
    """

    left = Unicode(help="The folder that gets what the kernel leaves; must not exist.").tag(config=True)
    limits = Dict(help="Limits that differ from the usual ones, by their names.").tag(config=True)
    box: Box | None = None

    async def pre_launch(self, **settings: Any) -> dict[str, Any]:
        """Prepare the box, and the command line that starts the kernel in it where it is not forked."""
        manager: Any = self.parent
        folder, limits = Path(settings.get("cwd") or Path.cwd()), Limits(**self.limits)
        environment = settings.pop("env", {})
        self._folder = TemporaryDirectory(prefix="kit-")
        manager.transport = "ipc"
        manager.ip = str(SOCKETS / "k")
        manager.connection_file = str(Path(self._folder.name) / "kernel.json")
        settings = await super().pre_launch(**settings)
        connection_file = Path(manager.connection_file)
        if manager.warm and manager.warm.usable:
            kernel = Kernel(folder, connection_file, settings["cmd"], environment, limits)
            self.box = manager.warm.fork(kernel)
        if self.box:
            return settings
        self.box = box = OwnBox(limits)
        box.bring(folder)
        command = [str(CONNECTION_FILE) if a == manager.connection_file else a for a in settings["cmd"]]
        readable = {connection_file: CONNECTION_FILE}
        settings["cmd"] = box.command(command, environment, readable=readable)
        bare = {"env": {"PATH": "/usr/bin:/bin"}, "cwd": "/", "stdin": box.stdin}
        return {**settings, **bare, "stdout": box.log, "stderr": box.log, "pass_fds": box.pass_fds}

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        """Start the kernel, and wait until it listens."""
        manager: Any = self.parent
        if isinstance(self.box, OwnBox):
            info = await super().launch_kernel(cmd, **settings)
            self.box.started()
        else:
            assert self.box
            self.process = Forked(self.box)  # type: ignore[assignment]
            manager.warm.go()
            info = self.connection_info
        # by an open folder, so that nobody in the box decides where this leads; see _context
        folder = f"/proc/self/fd/{self.box.sockets}"
        end = time.monotonic() + PATIENCE
        while not _listens(folder) and await self.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.01)
        info["ip"] = f"{folder}/k"
        return info

    async def kill(self, restart: bool = False) -> None:
        """Kill everything in the box."""
        if self.box:
            self.box.end()
        await super().kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """End the box and bring home what it left."""
        if self.box and not restart:
            box, self.box = self.box, None
            left = Path(self.left)
            try:
                if self.left and left.parent.is_dir():
                    refused = box.copy_out(left)
                    ended = json.dumps({"why": box.why, "refused": refused})
                    left.with_name(ENDED).write_text(ended, encoding="utf-8")
            finally:
                box.close()
                self._folder.cleanup()
        await super().cleanup(restart)


class Forked:
    """A forked kernel, as far as a provisioner asks of a ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self, box: Box) -> None:
        self._box = box
        self.pid = -1  # its number says nothing here

    def poll(self) -> int | None:
        """None while anything in the box lives."""
        return 0 if self._box.ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until everything in the box is dead."""
        self._box.ended(PATIENCE if timeout is None else timeout)
        return 0

    def kill(self) -> None:
        """Kill everything in the box."""
        self._box.end()

    terminate = kill

    def send_signal(self, _number: int) -> None:
        """A kernel is told by messages; a signal is for its end."""
        self._box.end()


def _listens(folder: str) -> bool:
    """Whether a kernel listens on all its sockets in a folder. No line of a notebook has run yet."""
    paths = list(Path(folder).iterdir())
    for path in paths:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                return False
    return len(paths) >= SOCKETS_OF_A_KERNEL


class Meter:
    """Counts the bytes of all messages of a kernel; calls ``end`` when they are more than ``most``."""

    most = Limits().output
    received = 0
    end: Callable[[], None] = staticmethod(lambda: None)

    def count(self, received: int) -> None:
        """Count a message, before it is looked at. Raises ValueError for one too many."""
        self.received += received
        if self.received > self.most:
            self.end()
            raise ValueError("too many bytes of messages")


class MeteredSession(Session):
    """A session whose messages are counted; its clones share the meter."""

    meter = Instance(Meter, ())

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> dict[str, Any]:
        """Count a message, then take it apart."""
        self.meter.count(sum(map(len, msg_list)))
        return super().deserialize(msg_list, content, copy)


def _context(once: bool = False) -> zmq.asyncio.Context:
    """Sockets that receive no message larger than LARGEST_MESSAGE, and with ``once`` connect once only.

    A kernel that breaks its connections could have put something else in the sockets' place.
    """
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    if once:
        context.setsockopt(zmq.RECONNECT_IVL, -1)
    return context


class BoundedKernelClient(AsyncKernelClient):
    """A client for which few messages wait, and next to none on a channel that nobody listens to."""

    once = False
    #: Tells when the connection over which outputs come is gone: after a message that is too large.
    lost: Any = None

    def _context_default(self) -> zmq.asyncio.Context:
        self._created_context = True
        return _context(self.once)

    def _create_connected_socket(self, channel: str, identity: bytes | None = None) -> Any:
        self.context.setsockopt(zmq.RCVHWM, MOST_WAITING.get(channel, 1))
        connected = super()._create_connected_socket(channel, identity)
        connected.linger = 0  # a kernel that has ended gets no more messages: nobody waits a second for that
        if channel == "iopub":
            self.lost = connected.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        return connected


class BoxKernelClient(BoundedKernelClient):
    """A client that connects once, when the kernel listens and no line of a notebook has run.

    It has no heartbeat, which would connect again and again: the process is looked at instead.
    """

    once = True

    def start_channels(self, *channels: bool, **named: bool) -> None:
        """Start all channels but the heartbeat."""
        super().start_channels(*channels, **{**named, "hb": False})


class BoundedKernelManager(AsyncKernelManager):
    """A manager whose kernel's messages are counted."""

    client_factory = Type(BoundedKernelClient)
    session = Instance(MeteredSession)

    def _session_default(self) -> MeteredSession:
        return MeteredSession(parent=self)


class BoxKernelManager(BoundedKernelManager):
    """A manager whose one kernel is this Python's, in a box; see :class:`BoxProvisioner`."""

    left = Unicode().tag(config=True)
    limits = Dict().tag(config=True)
    #: Where its kernel is forked from; None to start it.
    warm: WarmKernels | None = None
    client_factory = Type(BoxKernelClient)

    def _context_default(self) -> zmq.asyncio.Context:
        self._created_context = True
        return _context(once=True)

    @property
    def kernel_spec(self) -> KernelSpec:
        """The only kernel there is."""
        box = {"provisioner_name": PROVISIONER, "config": {"left": self.left, "limits": dict(self.limits)}}
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3 in a box",
            language="python",
            interrupt_mode="message",
            metadata={"kernel_provisioner": box},
        )


class BoundedNotebookClient(NotebookClient):
    """A client that ends a kernel whose messages are more than ``most_output`` bytes.

    ``flooded`` says so, in one line.
    """

    most_output: int = Limits().output
    warm: WarmKernels | None = None
    flooded: str | None = None
    _ending = False

    def create_kernel_manager(self) -> Any:
        """Make the manager, and end its kernel when the meter says so."""
        manager: Any = super().create_kernel_manager()
        manager.warm = self.warm
        manager.session.meter.most = self.most_output
        manager.session.meter.end = self._end_the_flood
        return manager

    def _end_the_flood(self) -> None:
        self.flooded = f"its cells printed and displayed more than {size(self.most_output)}"
        self.shutdown_kernel = "immediate"
        provisioner: Any = self.km.provisioner if self.km else None
        if provisioner and provisioner.process:
            provisioner.process.kill()

    async def _async_check_alive(self) -> None:
        if self._ending:  # nbclient may go on looking; a connection lost from here on is no flood
            return
        await super()._async_check_alive()
        lost = getattr(self.kc, "lost", None)
        if lost and await lost.poll(0):
            self._end_the_flood()

    async def _async_cleanup_kernel(self) -> None:
        self._ending = True
        await super()._async_cleanup_kernel()

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        self.shutdown_kernel = "immediate"  # one that takes too long would not end when asked to, either
        return await super()._async_handle_timeout(timeout, cell)
