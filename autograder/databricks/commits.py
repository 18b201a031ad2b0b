"""What a commit of a table says about itself, what follows it, and who makes none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autograder.databricks.fitting import TableError
from autograder.databricks.journal import TABLE

if TYPE_CHECKING:
    from deltalake import CommitProperties, PostCommitHookProperties

#: The key under which a commit's metadata names the run that made it.
RUN_KEY = "mlflow_run_id"


def check_not_the_log(name: str) -> None:
    """Raise :class:`TableError` for the name of the request log, which can be read like any table."""
    if name == TABLE.name:
        raise TableError(
            f"The table `{name}` is the request log, which the workspace writes; expected another name. "
            "Read it as you like, and write your rows to a table of your own."
        )


def commit_of(run_id: str | None, first: bool = False) -> "CommitProperties":
    """What a commit says about itself. A table's first commit is not tried again under the next
    number: that would turn the second of two makers of a table into a writer to the other's.
    """
    import mlflow
    from deltalake import CommitProperties

    active = mlflow.active_run()
    run_id = run_id or (active.info.run_id if active else None)
    return CommitProperties({RUN_KEY: run_id} if run_id else None, max_commit_retries=0 if first else None)


def keep_all() -> "PostCommitHookProperties":
    """What follows a commit: without the cleaning up by which a table's first versions would be gone once
    they are thirty days old.
    """
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(cleanup_expired_logs=False)


def rows_written(commit: Mapping[str, Any]) -> int:
    """The rows that a commit, as a table's history tells it, added, inserted or updated."""
    metrics = commit.get("operationMetrics", {})
    counted = ("num_added_rows", "num_target_rows_inserted", "num_target_rows_updated")
    return sum(metrics.get(name, 0) for name in counted)
