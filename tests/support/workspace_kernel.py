"""A real kernel that works in a workspace, and cells for it."""

import socket
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psutil
from jupyter_client.manager import KernelManager

from autograder.sandbox.running import private_channel
from tests.conftest import environment

OPEN = """
import os
from autograder.workspace import open_workspace
workspace = open_workspace()
"""

MODEL = """
import mlflow
from autograder.workspace import load_flowers
from sklearn.linear_model import LogisticRegression
data = load_flowers()
model = LogisticRegression(max_iter=500).fit(data.X_train.to_numpy(), data.y_train)
mlflow.sklearn.log_model(model, name="model", registered_model_name="Iris")
"""

ENDPOINT = """
import time
from mlflow.deployments import get_deploy_client
client = get_deploy_client("databricks")
entities = [{"entity_name": "Iris", "entity_version": "1"}]
client.create_endpoint(name="iris", config={"served_entities": entities})
while client.get_endpoint("iris")["state"]["ready"] != "READY":
    time.sleep(0.1)
"""

CALL = """
import requests
answer = requests.post(
    f"{os.environ['DATABRICKS_HOST']}/serving-endpoints/iris/invocations",
    headers={"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"},
    json={"inputs": [[5.1, 3.5, 1.4, 0.2]]},
)
print(answer.status_code, answer.text)
"""

#: A child that inherits the pipe to the server, and outlives the kernel.
FORKS = """
import multiprocessing, time
multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,)).start()
time.sleep(60)
"""


class Kernel:
    """A real kernel in a folder, as Jupyter starts it."""

    def __init__(self, folder: Path, **changes: str) -> None:
        self.sockets = tempfile.TemporaryDirectory(prefix="kit-")
        self.manager = KernelManager(config=private_channel(Path(self.sockets.name)))
        self.manager.start_kernel(cwd=str(folder), env=environment(**changes))
        self.client: Any = None
        self.connect()

    def connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=180)

    def run(self, *sources: str) -> str:
        """Run cells; what they printed. An exception is a failure of the test."""
        printed: list[str] = []

        def keep(message: dict[str, Any]) -> None:
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content["traceback"])
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])

        for source in sources:
            self.client.execute_interactive(source, timeout=120, output_hook=keep)
        return "".join(printed)

    def end(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.sockets.cleanup()


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((urlparse(url).hostname, urlparse(url).port)) == 0


def ends(pid: int, seconds: float = 60) -> bool:
    """Whether a process is gone within that time."""
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def where(kernel: Kernel) -> tuple[str, int]:
    """The server's address and process."""
    url, pid = kernel.run("print(workspace.host, workspace.server.process.pid)").split()
    return url, int(pid)
