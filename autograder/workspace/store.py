"""A private MLflow store beside the notebook, and nowhere else unless another was named."""

import contextlib
import gc
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.base.addresses import is_databricks, is_server
from autograder.base.importing import importing
from autograder.base.names import DATABASE, PUBLIC_SEED, SEED_TAG
from autograder.base.paths import MisreadPath, table_path
from autograder.base.startup import begin
from autograder.data import seeded as data
from autograder.databricks.database import artifact_root, check_database, sqlite_uri
from autograder.databricks.features import Features
from autograder.databricks.server import Server, start_server
from autograder.databricks.state import State
from autograder.databricks.tables import Tables
from autograder.databricks.tokens import A_DAY, create_token, permission_of, whoami
from autograder.workspace.environment import ARTIFACT_ROOT_VARIABLE, foreign, set_aside, set_names
from autograder.workspace.prepared import put_store
from autograder.workspace.remote import connect, end_runs

if TYPE_CHECKING:
    from autograder.databricks.metrics import EndpointMetrics

#: Set to 0 to let MLflow work out a model's requirements by importing it in a new process
#: (3 seconds a model) instead of naming MLflow, scikit-learn and skops.
FAST_LOGGING_VARIABLE = "MLFLOW_KIT_FAST_LOGGING"

_opened: "list[Workspace]" = []  # at most one: the store that this process works in


@dataclass(frozen=True)
class Workspace:
    """Where a notebook's work goes: its folder, the store's URI, the seed of its data, and the server of
    its endpoints and of MLflow's UI; None where the work goes to Databricks, which has its own.
    """

    folder: Path
    tracking_uri: str
    seed: int
    server: Server | None = None

    @property
    def host(self) -> str:
        """The address of the serving endpoints and of MLflow's UI."""
        return self.server.url if self.server else os.environ.get("DATABRICKS_HOST", "")

    @property
    def tables(self) -> Tables:
        """The Delta tables beside the notebook."""
        return Tables(self.folder)

    @property
    def features(self) -> Features:
        """The feature tables among them."""
        return Features(self.tables)

    def create_token(
        self, comment: str = "", lifetime_seconds: float | None = None, permission: str = "CAN_MANAGE"
    ) -> str:
        """Make a token for the local endpoints and return its text, which cannot be had again.

        ``permission`` is CAN_QUERY (call endpoints) or CAN_MANAGE (change them, too). Raises
        WorkspaceError for another, or a lifetime that is not positive.
        """
        return create_token(State(self.folder), comment, lifetime_seconds, permission_of(permission))[0]

    def metrics(self, endpoint: str) -> "EndpointMetrics":
        """Calls, errors and latency of a local endpoint; shows itself as a table and a plot."""
        from autograder.databricks.metrics import measure

        return measure(self.folder, endpoint)


@importing()
def open_workspace(folder: str | Path | None = None, remote: str | None = None) -> Workspace:
    """Open the private store ``mlflow.db`` in ``folder``, make it MLflow's store here, and serve it.

    ``folder`` defaults to the kernel's working directory, which Jupyter sets to the notebook's
    own folder. A second call in one process reopens the same store, also after ``os.chdir``.
    What the environment says about a tracking server is set aside, and said so. Calls to this machine are
    kept from proxies. With ``remote``, the
    address of a tracking server or ``databricks``, the work goes there instead.

    A process that ends with this one serves MLflow's UI and, in the way of Databricks, endpoints;
    DATABRICKS_HOST and DATABRICKS_TOKEN are set so that clients for Databricks find them.
    Prints where the work goes. Raises ValueError when the seed makes no sense, StoreError when
    the store is there but cannot be used, and WorkspaceError when the server cannot be started.
    """
    begin()
    if remote is not None:
        return _open_remote(Path(folder or Path.cwd()).resolve(), remote)
    if folder is None:
        folder = _opened[0].folder if _opened else Path.cwd()
    folder = Path(folder).resolve()
    seed = data.current_seed()
    # it looks through all modules there are: before MLflow's, in a third of the time
    import skops.io  # noqa: F401

    tracking_uri = sqlite_uri(folder)
    ignored = foreign()
    if _opened:  # MLflow itself writes these when it is used
        ignored.pop("MLFLOW_EXPERIMENT_ID", None)
        ignored.pop("MLFLOW_REGISTRY_URI", None)
    if ignored.get("MLFLOW_TRACKING_URI") == tracking_uri:  # handed down by a notebook that works here
        ignored = {}
    before = dict(os.environ)
    set_aside()
    # scripts that a cell starts go to the same place
    set_names({"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_DISABLE_TELEMETRY": "true"})
    if artifact_root(folder) != str(folder / "mlruns"):  # MLflow would misread its own ./mlruns
        set_names({ARTIFACT_ROOT_VARIABLE: artifact_root(folder)})
    # a server on this machine that does not answer is gone: MLflow would wait a minute for it
    set_names({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    if os.environ.get(FAST_LOGGING_VARIABLE, "1") != "0":
        os.environ["MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT"] = "0"

    import mlflow

    _quieten_mlflow()
    database = folder / DATABASE
    end_runs(before)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    put_store(folder)
    if database.exists() and database.stat().st_size:
        check_database(database)
    # MLflow resolves its default ./mlruns once, when it first opens the store
    with contextlib.chdir(folder):
        mlflow.MlflowClient().set_experiment_tag("0", SEED_TAG, str(seed))
        if _opened and _opened[0].tracking_uri != tracking_uri:  # the experiment was another store's
            mlflow.set_experiment(experiment_id="0")
    workspace = Workspace(folder, tracking_uri, seed, _serve(folder, tracking_uri))
    _remember(workspace)
    _say_where(workspace, ignored)
    return workspace


def _open_remote(folder: Path, remote: str) -> Workspace:
    """Work with the tracking server, or the Databricks workspace, that was asked for by name."""
    _quieten_mlflow()
    connect(remote)
    if is_databricks(remote):
        _close_server()
    server = None if is_databricks(remote) else _serve(folder, remote)
    workspace = Workspace(folder, remote, data.current_seed(), server)
    _remember(workspace)
    print(f"Your work goes to {remote}, as you asked; others who use it can see it.")
    _say_host(workspace)
    return workspace


def _remember(workspace: Workspace) -> None:
    """Note which workspace this process works in; with the first one, its libraries are there to stay."""
    if not _opened:
        gc.freeze()  # looking through them for garbage takes a kernel a second when it ends
    _opened[:] = [workspace]


def _serve(folder: Path, tracking_uri: str) -> Server:
    """The server of a workspace, started unless this process has it already, and its address and a token
    of its own for the clients here.
    """
    server = None
    for before in _opened:
        same = (before.folder, before.tracking_uri) == (folder, tracking_uri)
        if same and before.server and before.server.running:
            server = before.server
    if server is None:
        _close_server()
        server = start_server(folder, tracking_uri)
    # a new token each time: the one before may have expired, or was revoked
    token, _ = create_token(State(folder), "this notebook", A_DAY)
    set_names({"DATABRICKS_HOST": server.url, "DATABRICKS_TOKEN": token, "DATABRICKS_AUTH_TYPE": "pat"})
    # MLflow would let the SDK look for other credentials
    set_names({"MLFLOW_ENABLE_DB_SDK": "false"})
    return server


def _close_server() -> None:
    """End the server that this process has, if it has one."""
    for before in _opened:
        if before.server:
            before.server.close()


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
    try:
        table_path(workspace.folder)
    except MisreadPath as error:
        print(f"There can be no tables and no request log here. {error}")
    public = workspace.seed == PUBLIC_SEED
    _say_host(workspace)
    print("The data are the public ones." if public else "The data are not the public ones: drawn anew.")


def _say_host(workspace: Workspace) -> None:
    if workspace.server:
        if is_server(workspace.tracking_uri):
            print(f"MLflow's UI is at {workspace.tracking_uri}.")
            print(f"Your serving endpoints are at {workspace.host} while this runs.")
        else:
            print(f"MLflow's UI and your serving endpoints are at {workspace.host} while this runs.")
        print(f"The token in DATABRICKS_TOKEN is yours ({whoami()}).")
