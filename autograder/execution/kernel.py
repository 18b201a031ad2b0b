"""A Jupyter kernel in a box: the provisioner that starts it there, and a client that it cannot flood."""

import json
import sys
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient
from traitlets import Dict, Unicode

from autograder.execution.box import Box
from autograder.execution.limits import Limits, size

PROVISIONER = "mlflow-kit-box"
#: A message of a kernel larger than this is not received, in bytes.
LARGEST_MESSAGE = 32 << 20


class BoxProvisioner(LocalProvisioner):
    """Starts a kernel in a :class:`~autograder.execution.box.Box`, reached through private sockets.

    The box works on a copy of the kernel's working directory. When it has ended, what it left is
    copied into the folder ``left``, and a file ``ended.json`` beside that says why it was ended, if a
    limit did it, and what was refused.
    """

    left = Unicode(help="The folder that gets what the kernel leaves; must not exist.").tag(config=True)
    limits = Dict(help="Limits that differ from the usual ones, by their names.").tag(config=True)
    box: Box | None = None

    async def pre_launch(self, **settings: Any) -> dict[str, Any]:
        """Prepare the box and the command line that starts the kernel in it."""
        self.box = box = Box(Limits(**self.limits))
        box.bring(Path(settings.get("cwd") or Path.cwd()))
        manager: Any = self.parent
        manager.transport = "ipc"
        manager.ip = str(box.sockets / "k")
        manager.connection_file = str(box.sockets / "kernel.json")
        environment = settings.pop("env", {})
        settings = await super().pre_launch(**settings)
        settings["cmd"] = box.command(settings["cmd"], environment)
        log = box.log.open("wb")
        bare: dict[str, Any] = {
            "env": {"PATH": "/usr/bin:/bin"},
            "cwd": "/",
            "stdout": log,
            "stderr": log,
            "stdin": box.stdin,
        }
        return {**settings, **bare, "pass_fds": box.pass_fds}

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        """Start the kernel and wait until it runs."""
        assert self.box
        info = await super().launch_kernel(cmd, **settings)
        self.box.started()
        return info

    async def kill(self, restart: bool = False) -> None:
        """Kill everything in the box."""
        if self.box:
            self.box.end()
        await super().kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """End the box and bring home what it left."""
        if self.box and not restart:
            left = Path(self.left)
            if self.left and left.parent.is_dir():
                refused = self.box.copy_out(left)
                ended = json.dumps({"why": self.box.why, "refused": refused})
                left.with_name("ended.json").write_text(ended, encoding="utf-8")
            self.box.close()
            self.box = None
        await super().cleanup(restart)


class BoundedKernelClient(AsyncKernelClient):
    """A client that receives no message larger than LARGEST_MESSAGE."""

    def _context_default(self) -> zmq.asyncio.Context:
        context = super()._context_default()
        context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        return context


class BoxKernelManager(AsyncKernelManager):
    """A manager whose one kernel is this Python's, in a box; see :class:`BoxProvisioner`."""

    left = Unicode().tag(config=True)
    limits = Dict().tag(config=True)
    client_class = "autograder.execution.kernel.BoundedKernelClient"

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
    """A client that ends a kernel whose cells print or display more than ``most_output`` bytes.

    ``flooded`` says so, in one line.
    """

    most_output: int = Limits().output
    flooded: str | None = None
    _received = 0

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        self.shutdown_kernel = "immediate"  # one that takes too long would not end when asked to, either
        return await super()._async_handle_timeout(timeout, cell)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Count a message, and pass it on while there is room."""
        self._received += len(json.dumps(msg["content"], default=str)) + sum(map(len, msg.get("buffers", ())))
        if self._received <= self.most_output:
            return super().process_message(msg, cell, cell_index)
        if not self.flooded:
            self.flooded = f"its cells printed and displayed more than {size(self.most_output)}"
            provisioner: Any = self.km.provisioner if self.km else None
            if provisioner and provisioner.process:
                self.shutdown_kernel = "immediate"
                provisioner.process.kill()
        return None
