"""Read what a student's work left behind, as typed, immutable, serialisable facts.

The reader itself, ``autograder.evidence.store_reader``, imports MLflow and is imported where it is used:
the process that grades has no need of it.
"""

from autograder.databricks.database import NoStore, StoreError
from autograder.evidence.exchange import LARGEST_FACTS, UnusableFacts, dump, limited, load
from autograder.evidence.executed_notebook import read_notebook
from autograder.evidence.facts import (
    Artifact,
    CellFacts,
    DatasetInput,
    Evidence,
    Experiment,
    LoggedModel,
    MetricPoint,
    ModelFile,
    NotebookFacts,
    Picture,
    Run,
    Scoring,
)
from autograder.evidence.find import (
    find_model,
    find_registered,
    find_version,
    model_of_version,
    models_of_run,
    runs_of_model,
    version_number,
)
from autograder.evidence.models import score_model
from autograder.evidence.registry_facts import Change, ModelVersion, RegisteredModel
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
    "LARGEST_FACTS",
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
    "UnusableFacts",
    "WorkspaceFacts",
    "dump",
    "find_model",
    "find_registered",
    "find_version",
    "limited",
    "load",
    "model_of_version",
    "models_of_run",
    "read_notebook",
    "runs_of_model",
    "score_model",
    "version_number",
]
