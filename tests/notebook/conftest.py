"""The notebook that the tests of this room work through."""

import nbformat
import pytest
from nbformat import NotebookNode

from tests.conftest import ASSIGNMENT, ROOT


@pytest.fixture(scope="session")
def solution() -> NotebookNode:
    """The solution's notebook, as committed."""
    return nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
