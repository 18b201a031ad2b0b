"""What the notebooks use: the seeded data, a private store beside the notebook, and what serves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograder.base.importing import importing

if TYPE_CHECKING:
    from autograder.data import Flowers, load_flowers, load_wines
    from autograder.workspace.candidates import (
        log_candidates,
        put_in_use,
        register_candidates,
        release_in_a_hurry,
    )
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
        module = "autograder.data.seeded"
    elif name in ("log_candidates", "put_in_use", "register_candidates", "release_in_a_hurry"):
        module = "autograder.workspace.candidates"
    elif name in ("Workspace", "open_workspace"):
        module = "autograder.workspace.store"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing():
        return getattr(import_module(module), name)
