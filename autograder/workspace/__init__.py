"""What the notebooks use: the seeded data and a private store beside the notebook."""

from autograder.workspace.data import Flowers, load_flowers
from autograder.workspace.store import Workspace, open_workspace

__all__ = ["Flowers", "Workspace", "load_flowers", "open_workspace"]
