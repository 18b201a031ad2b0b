"""The seeded tables and the settings of an assignment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.data.seeded import Flowers, load_flowers, load_wines

__all__ = ["Flowers", "load_flowers", "load_wines"]


def __getattr__(name: str) -> Any:
    """Import the data when they are asked for: commands that need none do not wait for pandas."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from autograder.data import seeded

    return getattr(seeded, name)
