"""The tables of a workspace of the test's own."""

from pathlib import Path

import pytest

from autograder.databricks.features import Features
from autograder.databricks.tables import Tables


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """The tables of a workspace of the test's own."""
    return Tables(tmp_path)


@pytest.fixture
def features(tables: Tables) -> Features:
    """Its feature tables."""
    return Features(tables)
