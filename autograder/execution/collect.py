"""From an execution to evidence: read the store it left, score its models, add the notebook's facts."""

from dataclasses import replace

import pandas as pd

from autograder.evidence import Evidence, NoStore, read_notebook
from autograder.execution.run import Execution
from autograder.execution.warm import WarmReader
from autograder.workspace.store import sqlite_uri


def collect(execution: Execution, seed: int, features: pd.DataFrame, reader: WarmReader) -> Evidence:
    """The evidence of an execution under the data's ``seed``; its models answered for ``features``.

    A run that left no store is evidence of that. Raises StoreError for a store that is there and
    cannot be read.
    """
    notebook = read_notebook(execution.notebook, execution.stopped)
    try:
        facts = reader.read_store(sqlite_uri(execution.folder), seed)
    except NoStore:
        raised = f" The notebook raised “{notebook.errors[0].error}”." if notebook.errors else ""
        problem = f"Run from the top, the notebook left no MLflow store: was its first cell changed?{raised}"
        return Evidence(seed=seed, notebook=notebook, problem=problem)
    scored = facts.with_scores(lambda model: reader.score(model, features))
    return replace(scored, notebook=notebook)
