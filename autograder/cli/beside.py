"""Read a store in a second process, while this one imports what it needs to grade.

Both take about a second to import their libraries; imports next to nothing itself, so that the second
process starts first.
"""

import gc
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autograder.base.child import Child, ChildFailed, Message

if TYPE_CHECKING:
    from autograder.evidence import Evidence

#: Seconds in which a store, perhaps one far away, must be read, and bytes of its facts.
PATIENCE, LARGEST = 600.0, 128 << 20


@contextmanager
def reading(store: str, workspace: str | None = None) -> "Iterator[Callable[[], Evidence]]":
    """Start to read a store, named by its tracking URI or by its folder; gives the function that waits.
    ``workspace`` is the folder of its endpoints and tables, if that is another.

    That function raises StoreError when the store cannot be read. Downloaded files last as long as
    the context. Meant for a short process: garbage collection is off from here on, which saves a
    tenth of the time that imports take, and again as much when Python ends.
    """
    gc.disable()
    with (
        tempfile.TemporaryDirectory(prefix="kit-files-", ignore_cleanup_errors=True) as downloads,
        Child.start("autograder.evidence") as child,
        ThreadPoolExecutor(1) as waiting,
    ):
        question = {"store": store, "downloads": downloads, "workspace": workspace}
        answer = waiting.submit(child.ask, question, PATIENCE, LARGEST)
        yield lambda: _facts(answer.result)
    gc.freeze()


def _facts(answer: Callable[[], Message]) -> "Evidence":
    from autograder.evidence import StoreError, load

    try:
        found = answer()
    except ChildFailed as error:
        raise StoreError(f"The process that reads the store failed: {error}.") from None
    if "facts" not in found:
        raise StoreError(str(found.get("problem")))
    return load(str(found["facts"]))
