"""The process that serves a workspace: ``python -m autograder.databricks.listen``.

Run as a file, it listens at once and imports what it needs only when somebody calls: a notebook that never
calls an endpoint pays a few hundredths of a second for it. It ends with its owner, the process that holds the
other end of its standard input.
"""

import argparse
import contextlib
import gc
import json
import os
import select
import socket
import threading
import time
from pathlib import Path

#: Seconds that a server may take to end by itself once it was told to.
GRACE = 15.0
#: Where it writes what it prints, in the workspace's folder, and the bytes after which that begins anew.
LOG = "workspace/serving.log"
LARGEST_LOG = 1 << 20


def main() -> None:
    """Listen, say where on standard output, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("tracking_uri")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--idle", type=float, default=None)
    parser.add_argument("--eager", action="store_true", help="import what is needed at once")
    given = parser.parse_args()

    owner = _keep_owner()
    listening = listen(given.port)
    port = listening.getsockname()[1]
    log = Path(given.folder) / LOG
    _put_aside(log)
    with log.open("a", buffering=1, encoding="utf-8") as file:  # another server may write there, too
        print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)
        # what is printed from here on goes to a file of the workspace, not into a pipe that nobody reads
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_wait_for_owner, args=(owner,), daemon=True).start()
    if not given.eager:
        select.select([listening], [], [])
    _serving.set()
    from autograder.base.importing import importing

    with importing():
        import skops.io  # noqa: F401 (first: it looks through all modules that are there)

        from autograder.databricks.run_server import serve

    gc.freeze()

    serve(Path(given.folder), given.tracking_uri, listening, idle=given.idle, ended=_ended)


_ended = threading.Event()
_serving = threading.Event()


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """A socket that listens on this machine only; raises OSError for a port that is taken."""
    # named as TCP, or asyncio would leave Nagle's algorithm on: 40 ms a call
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere this would let two processes share a port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(128)
    return listening


def _keep_owner() -> int:
    """The pipe from the owner, out of the way: standard input is empty from here on.

    On Windows, who as much as asks about a pipe waits while another thread reads from it, and libraries
    ask about standard input when they are imported: https://github.com/python/cpython/issues/78961,
    https://github.com/numpy/numpy/issues/24290. Not run on Windows for this kit.
    """
    owner = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return owner


def _put_aside(log: Path) -> None:
    """Rename a log that is large, in place of the one that was renamed before."""
    with contextlib.suppress(OSError):  # there is none, or on Windows another server writes there
        if log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_name(f"{log.name}.old"))


def _wait_for_owner(owner: int) -> None:
    """Set ``_ended`` when the owner is gone, and end the process if nobody heeds that."""
    parent = os.getppid()
    watch = threading.Thread(target=_read_to_the_end, args=(owner,), daemon=True)
    watch.start()
    # a child that the owner left behind may hold the pipe open: where there is one, the parent is asked, too
    while watch.is_alive() and (os.name != "posix" or os.getppid() == parent):
        watch.join(0.5)
    _ended.set()
    if not _serving.is_set():
        os._exit(0)
    time.sleep(GRACE)
    os._exit(1)


def _read_to_the_end(owner: int) -> None:
    while os.read(owner, 1024):
        pass


if __name__ == "__main__":
    main()
