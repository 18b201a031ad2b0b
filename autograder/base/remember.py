"""Compute once during one grading what many criteria ask: facts do not change while they are graded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_memory: ContextVar[dict[Any, tuple[Any, Any]] | None] = ContextVar("memory", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Keep the answers of functions marked :func:`remembered` for as long as the block lasts."""
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function of facts: within :func:`remembering` it is called once for the same arguments.

    The same means the very same objects: facts hold dictionaries, which cannot be hashed. Elsewhere the
    function is called each time.
    """

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        memory = _memory.get()
        if memory is None or kwargs:
            return function(*args, **kwargs)
        key = (function, *(id(arg) for arg in args))
        if key not in memory:
            # the arguments are kept, too: an id is theirs for as long as they live
            memory[key] = (args, function(*args, **kwargs))
        answer: T = memory[key][1]
        return answer

    return asked
