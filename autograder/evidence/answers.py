"""What a child process answers about files that a student made: a notebook, a store, or one model.

:mod:`autograder.sandbox.fork_server` imports this module once, with all libraries that the answers need,
and calls a function of ``ANSWERS`` in a forked child. Nothing here computes while it is imported: threads
do not survive a fork. It must not import the seeded data, from which labels could be had: models are
asked in such a child.
"""

import encodings.cp437
import warnings
from dataclasses import replace
from pathlib import Path

import alembic.command
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_workspace_store
import mlflow.store.tracking.sqlalchemy_workspace_store
import mlflow.utils.search_logged_model_utils
import pandas as pd
import PIL.Image
import scipy.ndimage
import sklearn.ensemble
import sklearn.linear_model
import sklearn.pipeline
import skops.io
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm
from pydantic import TypeAdapter

import autograder.databricks.fitting
from autograder.base.child import Message
from autograder.base.text import one_line
from autograder.databricks.database import NoStore, StoreError, sqlite_uri
from autograder.evidence.exchange import dump
from autograder.evidence.facts import Scoring
from autograder.evidence.handed_in_notebook import Unreadable, read_cells
from autograder.evidence.models import load_any, score_model, why_unusable
from autograder.evidence.store_reader import read_store

PIL.Image.preinit()
sqlalchemy.orm.configure_mappers()

_scoring = TypeAdapter(Scoring)


def _store(question: Message) -> Message:
    """The facts of the store and the workspace in ``folder``, in which models have their folders below it."""
    try:
        facts = read_store(sqlite_uri(Path(question["folder"])), question["seed"])
    except StoreError as error:
        return {"problem": str(error), "missing": isinstance(error, NoStore)}
    except Exception as error:
        why = one_line(f"{type(error).__name__}: {error}")
        return {"problem": f"The store holds what MLflow does not write ({why}).", "missing": False}
    home = Path(question["folder"]).resolve()
    models = tuple(
        replace(model, folder=model.folder and Path(model.folder).relative_to(home).as_posix())
        for model in facts.models
    )
    return {"facts": dump(replace(facts, models=models))}


def _notebook(question: Message) -> Message:
    """The cells of the notebook at ``path`` in ``folder``, as they were handed in."""
    try:
        cells, notes = read_cells(Path(question["folder"], question["path"]))
    except Unreadable as error:
        return {"unreadable": one_line(error), "next_step": error.next_step}
    return {"cells": cells, "notes": notes}


def _model(question: Message) -> Message:
    """What the model in ``folder``, below ``path``, answers for ``features``: it runs what code it brings."""
    warnings.simplefilter("ignore")
    features = pd.DataFrame(**question["features"])
    try:
        scoring = score_model(load_any(Path(question["folder"], question["path"])), features)
    except Exception as error:
        scoring = Scoring(error=why_unusable(error))
    return {"scoring": _scoring.dump_python(scoring, mode="json")}


ANSWERS = {"notebook": _notebook, "store": _store, "model": _model}
