"""From an execution to evidence: read the store it left, score its models, add the notebook's facts."""

import time
from dataclasses import replace

import pandas as pd

from autograder.data.settings import Conditions
from autograder.databricks.database import sqlite_uri
from autograder.evidence import Evidence, LoggedModel, NoStore, Scoring, read_notebook
from autograder.pipeline.warm import WarmReader
from autograder.sandbox.running import Execution

#: Seconds that asking all models of one submission may take.
SCORING_BUDGET = 180


def collect(
    execution: Execution, conditions: Conditions, features: pd.DataFrame, reader: WarmReader
) -> Evidence:
    """The evidence of an execution under ``conditions``; its models answered for ``features``.

    A run that left no store is evidence of that. Raises StoreError for a store that is there and
    cannot be read.
    """
    seed, settings = conditions
    notebook = read_notebook(execution.notebook, execution.stopped)
    try:
        facts = reader.read_store(sqlite_uri(execution.folder), seed)
    except NoStore:
        raised = f" The notebook raised “{notebook.errors[0].error}”." if notebook.errors else ""
        problem = f"Run from the top, the notebook left no MLflow store: was its first cell changed?{raised}"
        return Evidence(seed=seed, settings=settings, notebook=notebook, problem=problem)
    end = time.monotonic() + SCORING_BUDGET
    belonging = {model_id for run in facts.runs for model_id in run.model_ids}

    def score(model: LoggedModel) -> Scoring:
        if model.model_id not in belonging:
            return Scoring(error="it belongs to no run")
        if time.monotonic() > end:
            return Scoring(error=f"asking the models before it took {SCORING_BUDGET} seconds")
        return reader.score(model, features)

    return replace(facts.with_scores(score), notebook=notebook, settings=settings)
