"""Kernels that start in a moment: forked from a process that has MLflow and scikit-learn imported.

For the many known submissions. They are real kernels, with real messages, without the box; a part of
the submissions is graded by stock nbgrader in the box, too.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from autograder.sandbox.kernel import BoundedKernelManager
from tests.support.forked_work import be_a_kernel

#: Seconds until a kernel that does not listen is given up.
PATIENCE = 90
NAME = "mlflow-kit-forked"
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.support.preloaded"])


class Forked:
    """A forked kernel, as far as a provisioner asks of a subprocess.Popen."""

    def __init__(self, *arguments: Any) -> None:
        self._process = context.Process(target=be_a_kernel, args=arguments)
        self._process.start()
        self.pid = self._process.pid or 0
        self.stdin = self.stdout = self.stderr = None

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Forks the kernel instead of starting it."""

    async def pre_launch(self, **settings: Any) -> dict[str, Any]:
        self._given = (settings.get("cwd"), dict(settings.get("env") or {}))
        return await super().pre_launch(**settings)

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        folder, environment = self._given
        self.process = Forked(
            [*cmd[1:], "--IPKernelApp.parent_handle=1"], str(folder or Path.cwd()), environment
        )
        self.pid, self.pgid = self.process.pid, None
        info = self.connection_info  # clients that connect before it listens lose a second
        assert info["transport"] == "ipc"
        sockets = [Path(f"{info['ip']}-{port}") for name, port in info.items() if name.endswith("_port")]
        end = time.monotonic() + PATIENCE
        while not all(path.exists() for path in sockets) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        return self.connection_info


class ForkedKernelManager(BoundedKernelManager):
    """A manager of such kernels."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=["python", "-f", "{connection_file}"],
            display_name="forked",
            language="python",
            interrupt_mode="message",
            metadata={"kernel_provisioner": {"provisioner_name": NAME}},
        )


KernelProvisionerFactory.instance().provisioners[NAME] = EntryPoint(
    NAME, f"{__name__}:{ForkedProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME
)
