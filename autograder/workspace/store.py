"""A private MLflow store beside the notebook, and nowhere else."""

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from autograder.workspace import data
from autograder.workspace.database import DATABASE, check_database
from autograder.workspace.prepared import put_store

#: The tag on MLflow's own "Default" experiment that records the seed of the data.
SEED_TAG = "kit.data_seed"
#: Set to 0 to let MLflow work out a model's requirements by importing it in a new process
#: (3 seconds a model) instead of naming MLflow, scikit-learn and skops.
FAST_LOGGING_VARIABLE = "MLFLOW_KIT_FAST_LOGGING"

#: Settings that would send work, or read it from, somewhere else than the private store.
REDIRECTING = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_ARTIFACT_URI",
    "DATABRICKS_HOST",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CONFIG_PROFILE",
)

_opened: "list[Workspace]" = []  # at most one: the store that this process works in


@dataclass(frozen=True)
class Workspace:
    """Where a notebook's work goes: its folder, the store's URI and the seed of its data."""

    folder: Path
    tracking_uri: str
    seed: int


def open_workspace(folder: str | Path | None = None) -> Workspace:
    """Open the private store ``mlflow.db`` in ``folder`` and make it MLflow's store here.

    ``folder`` defaults to the kernel's working directory, which Jupyter sets to the notebook's
    own folder. A second call in one process reopens the same store, also after ``os.chdir``.
    What the environment says about a tracking server is set aside, and said so.
    Prints where the work goes. Raises ValueError when the seed makes no sense, and StoreError
    when ``mlflow.db`` is there but cannot be used.
    """
    if folder is None:
        folder = _opened[0].folder if _opened else Path.cwd()
    folder = Path(folder).resolve()
    seed = data.current_seed()
    ignored = {name: os.environ.pop(name) for name in REDIRECTING if name in os.environ}
    tracking_uri = sqlite_uri(folder)
    if ignored.get("MLFLOW_TRACKING_URI") == tracking_uri:
        ignored = {}
    # processes that a cell starts, such as `mlflow ui`, go to the same place
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    if os.environ.get(FAST_LOGGING_VARIABLE, "1") != "0":
        os.environ["MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT"] = "0"

    import mlflow

    _quieten_mlflow()
    database = folder / DATABASE
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    put_store(folder)
    if database.exists() and database.stat().st_size:
        check_database(database)
    # MLflow resolves its default ./mlruns once, when it first opens the store
    with contextlib.chdir(folder):
        mlflow.MlflowClient().set_experiment_tag("0", SEED_TAG, str(seed))
    workspace = Workspace(folder, tracking_uri, seed)
    _opened[:] = [workspace]
    _say_where(workspace, ignored)
    return workspace


def sqlite_uri(folder: Path) -> str:
    """The tracking URI of the store in ``folder`` (made absolute)."""
    return "sqlite:///" + (folder.resolve() / DATABASE).as_posix()


def _quieten_mlflow() -> None:
    """Keep MLflow's warnings, drop its chatter and the failure that the fast path causes on purpose."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _say_where(workspace: Workspace, ignored: dict[str, str]) -> None:
    print(f"Your work goes to {workspace.folder / DATABASE} (a private MLflow store).")
    if ignored:
        names = ", ".join(sorted(ignored))
        print(f"Your environment names another place ({names}); this notebook does not use it.")
    public = workspace.seed == data.PUBLIC_SEED
    print("The data are the public ones." if public else "The data are not the public ones: drawn anew.")
