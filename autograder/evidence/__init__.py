"""Read what a student's work left behind, as typed, immutable, serialisable facts.

The reader itself, ``autograder.evidence.store_reader``, imports MLflow and is imported where it is used:
the process that grades has no need of it.
"""

from autograder.databricks.database import NoStore, StoreError
from autograder.evidence.executed_notebook import read_notebook
from autograder.evidence.facts import (
    Artifact,
    CellFacts,
    Change,
    DatasetInput,
    Evidence,
    Experiment,
    LoggedModel,
    MetricPoint,
    ModelFile,
    ModelVersion,
    NotebookFacts,
    Picture,
    RegisteredModel,
    Run,
    Scoring,
    dump,
    load,
)
from autograder.evidence.find import find_model, find_registered, find_version, model_of_version
from autograder.evidence.models import score_model
from autograder.evidence.workspace_facts import (
    AccessToken,
    Endpoint,
    EndpointChange,
    Request,
    ServedEntity,
    TableFacts,
    TableVersion,
    WorkspaceFacts,
)

__all__ = [
    "AccessToken",
    "Artifact",
    "CellFacts",
    "Change",
    "DatasetInput",
    "Endpoint",
    "EndpointChange",
    "Evidence",
    "Experiment",
    "LoggedModel",
    "MetricPoint",
    "ModelFile",
    "ModelVersion",
    "NoStore",
    "NotebookFacts",
    "Picture",
    "RegisteredModel",
    "Request",
    "Run",
    "Scoring",
    "ServedEntity",
    "StoreError",
    "TableFacts",
    "TableVersion",
    "WorkspaceFacts",
    "dump",
    "find_model",
    "find_registered",
    "find_version",
    "load",
    "model_of_version",
    "read_notebook",
    "score_model",
]
