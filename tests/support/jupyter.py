"""A Jupyter server on a folder, with nothing of this machine's own Jupyter settings."""

import contextlib
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import environment

TOKEN = "secret"


@contextlib.contextmanager
def serving(folder: Path, private_folder: Path) -> Iterator[str]:
    """The address of a Jupyter server on ``folder``, with JupyterLab and formgrader.

    What it keeps of its own, and its settings if any, are in ``private_folder``.
    """
    command = ["jupyter", "server", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += [f"--IdentityProvider.token={TOKEN}"]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    private = {name: str(private_folder / name) for name in names}
    log = private_folder / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(**private), stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield _address(log, server)
    finally:
        server.terminate()
        server.wait(30)


def _address(log: Path, server: subprocess.Popen[bytes], seconds: float = 180) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"(http://127\.0\.0\.1:\d+)/", log.read_text())
        # the address is logged a moment before the server listens on it
        with contextlib.suppress(OSError):
            if found:
                urllib.request.urlopen(f"{found[1]}/api?token={TOKEN}", timeout=10).close()
                return found[1]
        time.sleep(0.2)
    raise RuntimeError(log.read_text())
