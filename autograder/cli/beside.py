"""Read a store in a second process, while this one imports what it needs to grade.

Both take about a second to import their libraries; imports nothing but the standard library, so
that the second process starts first.
"""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autograder.evidence import Evidence


@contextmanager
def reading(store: str, *workspace: str) -> Iterator[Callable[[], "Evidence"]]:
    """Start to read a store, named by its tracking URI or by its folder; gives the function that waits.
    ``workspace`` is the folder of its endpoints and tables, if that is another.

    That function raises StoreError when the store cannot be read. Downloaded files last as long as
    the context. Meant for a short process: nothing looks for garbage from here on, which takes a
    tenth of the time that imports take, and again as much when Python ends.
    """
    gc.disable()
    with (
        tempfile.TemporaryDirectory(prefix="kit-files-", ignore_cleanup_errors=True) as downloads,
        ThreadPoolExecutor(1) as waiting,
    ):
        # -P: what lies in the current folder is not taken for a library
        command = [sys.executable, "-P", "-m", "autograder.evidence", store, downloads, *workspace]
        # both in UTF-8, whatever this machine's code page is
        done = waiting.submit(
            subprocess.run,
            command,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            errors="replace",
            capture_output=True,
            check=False,
        )
        yield lambda: _facts(done.result())
    gc.freeze()


def _facts(done: "subprocess.CompletedProcess[str]") -> "Evidence":
    from autograder.evidence import StoreError, load

    if done.returncode == 0:
        return load(done.stdout)
    said = done.stderr.strip().splitlines()
    raise StoreError(said[-1] if said else "The process that reads the store ended without a word.")
