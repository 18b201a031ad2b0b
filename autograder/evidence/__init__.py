"""Read what a student's work left behind, as typed, immutable, serialisable facts."""

from autograder.evidence.facts import (
    CellFacts,
    Evidence,
    Experiment,
    LoggedModel,
    NotebookFacts,
    Run,
    Scoring,
    dump,
    load,
)
from autograder.evidence.models import score_model, skops_file
from autograder.evidence.notebooks import read_notebook
from autograder.evidence.store import read_store
from autograder.workspace.database import NoStore, StoreError

__all__ = [
    "CellFacts",
    "Evidence",
    "Experiment",
    "LoggedModel",
    "NoStore",
    "NotebookFacts",
    "Run",
    "Scoring",
    "StoreError",
    "dump",
    "load",
    "read_notebook",
    "read_store",
    "score_model",
    "skops_file",
]
