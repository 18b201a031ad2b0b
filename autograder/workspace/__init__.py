"""What the notebooks use: the seeded data, a private store beside the notebook, and what serves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.workspace.candidates import (
        log_candidates,
        put_in_use,
        register_candidates,
        release_in_a_hurry,
    )
    from autograder.workspace.data import Flowers, load_flowers, load_wines
    from autograder.workspace.store import Workspace, open_workspace

__all__ = [
    "Flowers",
    "Workspace",
    "load_flowers",
    "load_wines",
    "log_candidates",
    "open_workspace",
    "put_in_use",
    "register_candidates",
    "release_in_a_hurry",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: commands that need no data do not wait for pandas."""
    if name in ("Flowers", "load_flowers", "load_wines"):
        return getattr(import_module("autograder.workspace.data"), name)
    if name in ("log_candidates", "put_in_use", "register_candidates", "release_in_a_hurry"):
        return getattr(import_module("autograder.workspace.candidates"), name)
    if name in ("Workspace", "open_workspace"):
        return getattr(import_module("autograder.workspace.store"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
