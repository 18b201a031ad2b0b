"""Going to the tracking server, or the Databricks workspace, that was asked for by name."""

import os

from autograder.base.addresses import is_databricks, is_server, refuse_password
from autograder.databricks.database import StoreError
from autograder.workspace.environment import (
    as_it_was,
    give_back_databricks,
    kept_if_it_fails,
    set_aside,
    set_names,
)


def connect(remote: str) -> None:
    """Make ``remote`` MLflow's store and registry here; runs that are active end where they are.

    Raises ValueError for what is no address of a tracking server or has a password in it, and StoreError,
    with everything as it was before, for one that does not answer.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import fluent

    refuse_password(remote)
    if not is_databricks(remote) and not is_server(remote):
        raise ValueError(
            f"remote is {remote!r}; expected the address of a tracking server, such as "
            "'http://127.0.0.1:5000', or 'databricks'. Leave it out to work in the notebook's own store."
        )
    # nothing for Databricks: MLflow knows that the registry beside it is Unity Catalog
    registry = None if is_databricks(remote) else remote
    before = dict(os.environ)
    with kept_if_it_fails():
        set_aside()
        if is_databricks(remote):  # which workspace, and who asks, is what the environment said
            give_back_databricks()
        set_names({"MLFLOW_TRACKING_URI": remote, "MLFLOW_DISABLE_TELEMETRY": "true"})
        set_names({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"})
        try:
            mlflow.MlflowClient(remote, registry).search_experiments(max_results=1)
        except (MlflowException, OSError, ValueError) as error:
            raise StoreError(
                f"The tracking server at {remote} does not answer as expected: {str(error)[:300]}. Check "
                "the address, that it runs, and its user name and password (MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD; DATABRICKS_HOST and DATABRICKS_TOKEN for Databricks)."
            ) from error
    end_runs(before)
    if mlflow.get_tracking_uri() != remote:
        # the experiment was another store's, and its number means somebody else's in this one
        fluent._active_experiment_id = None
    mlflow.set_tracking_uri(remote)
    # MLflow would go on with the registry of the store before
    mlflow.set_registry_uri(registry)  # type: ignore[arg-type]


def end_runs(environment: dict[str, str]) -> None:
    """End the active runs in the store where they are, which ``environment`` tells how to reach."""
    import mlflow
    from mlflow.exceptions import MlflowException

    with as_it_was(environment):
        while run := mlflow.active_run():
            try:
                mlflow.end_run()
            except (MlflowException, OSError, ValueError):  # it is no longer active here in any case
                print(f"The run {run.info.run_name} stays unfinished: the store it is in does not answer.")
