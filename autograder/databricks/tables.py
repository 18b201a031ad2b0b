"""Versioned tables on this machine: Delta tables in a folder, and which MLflow run used which version.

Everything about storage is the ``deltalake`` library's: transactions, versions, time travel.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from autograder.base.paths import table_path
from autograder.databricks.commits import RUN_KEY, check_not_the_log, commit_of, keep_all, rows_written
from autograder.databricks.fitting import (
    TableError,
    check_name,
    check_types,
    explained,
    fit,
    listed,
    to_arrow,
)

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: The folder of the tables, inside the folder that :class:`Tables` is given.
FOLDER = "tables"

Mode = Literal["error", "append", "overwrite"]


class Tables:
    """The Delta tables in ``folder/tables``, one folder each.

    A name is one word (``flowers``) or three (``catalog.schema.table``, as in Unity Catalog), of
    letters, digits, ``_`` and ``-``; upper and lower case are the same. Every method raises
    ValueError for another name, and :class:`TableError` when there is no such table, no such
    version, or the folder of that name holds something else.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve() / FOLDER

    def path(self, name: str) -> Path:
        """The folder of the table ``name``, whether or not there is one yet."""
        return self.folder / check_name(name)

    def names(self) -> list[str]:
        """The names of the tables there are, sorted."""
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path.name for path in folders if _is_table(path))

    def write(self, name: str, frame: pd.DataFrame, mode: Mode = "error", run_id: str | None = None) -> int:
        """Write ``frame`` as one commit; returns the version that this commit made.

        ``mode`` says what happens when the table is there already: ``error``; ``append`` adds the
        rows, for which the columns must have the table's names and types; ``overwrite`` replaces
        rows and columns, and the older versions stay readable. A named index becomes a column.
        The commit names the run ``run_id`` (by default the active MLflow run, if there is one).
        Raises :class:`TableError` for a frame that does not fit, and when another program
        committed first; the table then is as it was.
        """
        from deltalake import write_deltalake

        if mode not in get_args(Mode):
            raise ValueError(f"The mode is {mode!r}; expected one of {listed(get_args(Mode))}.")
        check_not_the_log(self.path(name).name)
        data = to_arrow(name, frame)
        table = self.delta(name) if self._exists(name) else None
        if table and mode == "error":
            raise TableError(
                f"There is a table `{name}` already, at version {table.version()}; expected "
                'none. Write with mode="append" or mode="overwrite", or under another name.'
            )
        if table and mode == "append":
            data = fit(name, data, table)
        else:
            check_types(name, data)
        with explained(name, "written"):
            write_deltalake(
                table or table_path(self.path(name)),
                data,
                mode=mode if table else "error",  # should there be one by now
                schema_mode="overwrite" if table and mode == "overwrite" else None,
                commit_properties=commit_of(run_id, first=not table),
                post_commithook_properties=keep_all(),
            )
        return table.version() if table else 0

    def create(
        self,
        name: str,
        frame: pd.DataFrame,
        properties: Mapping[str, str],
        description: str | None = None,
        run_id: str | None = None,
    ) -> int:
        """Make a new table that carries ``properties``, and write ``frame``; returns the version.

        Version 0 is the empty table. Raises :class:`TableError` when there is a table already.
        """
        from deltalake import DeltaTable, Schema

        check_not_the_log(self.path(name).name)
        data = to_arrow(name, frame)
        check_types(name, data)
        if self._exists(name):
            raise TableError(
                f"There is a table `{name}` already; expected none. "
                "Choose another name, or add rows to the table there is."
            )
        with explained(name, "made"):
            DeltaTable.create(
                table_path(self.path(name)),
                schema=Schema.from_arrow(data.schema),
                description=description,
                configuration=dict(properties),
                commit_properties=commit_of(run_id, first=True),
                raise_if_key_not_exists=False,  # or only Delta's own properties would do
            )
        return self.write(name, frame, mode="append", run_id=run_id)

    def merge(self, name: str, frame: pd.DataFrame, keys: Sequence[str], run_id: str | None = None) -> int:
        """Update the rows that have the same ``keys`` as a row of ``frame``, insert the others.

        The columns must be the table's; otherwise as :meth:`write`. Returns the new version.
        """
        check_not_the_log(self.path(name).name)
        table = self.delta(name)
        data = fit(name, to_arrow(name, frame), table)
        same = " AND ".join(f"target.`{key}` = source.`{key}`" for key in keys)
        with explained(name, "written"):
            table.merge(
                data,
                same,
                source_alias="source",
                target_alias="target",
                commit_properties=commit_of(run_id),
                post_commithook_properties=keep_all(),
            ).when_matched_update_all().when_not_matched_insert_all().execute()
        return table.version()

    def read(self, name: str, version: int | None = None) -> pd.DataFrame:
        """The rows of the table as they were at ``version`` (by default the newest), in no set order."""
        table = self.delta(name, version)
        with explained(name, "read"):
            return table.to_pandas()

    def properties(self, name: str) -> dict[str, str]:
        """The properties that the table was given when it was made."""
        return dict(self.delta(name).metadata().configuration)

    def history(self, name: str) -> pd.DataFrame:
        """The table's commits, newest first: ``version``, ``time`` (UTC), ``operation``,
        ``rows_written`` (added, inserted or updated) and ``run_id`` (None where no run is named).
        """
        commits = self._commits(name)
        return pd.DataFrame(
            {
                "version": [commit["version"] for commit in commits],
                "time": pd.to_datetime([commit["timestamp"] for commit in commits], unit="ms", utc=True),
                "operation": [commit["operation"] for commit in commits],
                "rows_written": [rows_written(commit) for commit in commits],
                "run_id": pd.Series([commit.get(RUN_KEY) for commit in commits], dtype=object),
            }
        )

    def delta(self, name: str, version: int | None = None) -> "DeltaTable":
        """The table as ``deltalake`` gives it, at ``version`` (by default the newest)."""
        from deltalake import DeltaTable

        if not self._exists(name):
            names = self.names()
            raise TableError(
                f"There is no table `{name}` in {self.folder}; "
                + (f"there are {listed(names)}. " if names else "there are no tables yet. ")
                + "Write it first, or correct the name."
            )
        with explained(name, "read"):
            table = DeltaTable(table_path(self.path(name)))
        if version is None:
            return table
        versions = sorted(commit["version"] for commit in self._commits(name))
        if version not in versions:
            raise TableError(
                f"There is no version {version!r} of table `{name}`; expected one of {listed(versions)}. "
                "Leave the version out to get the newest."
            )
        with explained(name, "read"):
            return DeltaTable(table_path(self.path(name)), version=int(version))

    def log_input(self, name: str, version: int | None = None, context: str = "training") -> int:
        """Log the table at ``version`` (by default the newest) as an input of the active MLflow run.

        Returns the version. Raises :class:`TableError` when no run is active.
        """
        import mlflow
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.pandas_dataset import from_pandas

        if not mlflow.active_run():
            raise TableError(
                f"No MLflow run is active; expected one that table `{name}` is an input of. "
                "Call log_input inside `with mlflow.start_run():`."
            )
        table = self.delta(name, version)
        source = DeltaDatasetSource(self.path(name).as_posix(), delta_table_version=table.version())
        frame = self.read(name, table.version())
        dataset = from_pandas(frame, source=source, name=self.path(name).name)
        mlflow.log_input(dataset, context=context)
        return table.version()

    def version_of(self, run_id: str, name: str) -> int | None:
        """The version of the table that a run worked with: the newest it logged as an input, or
        else the newest it wrote; None when it did neither.

        Raises mlflow.MlflowException when there is no such run.
        """
        import mlflow

        used = self._used(mlflow.MlflowClient().get_run(run_id), name)
        return max(used or self._written(name).get(run_id, set()), default=None)

    def runs_of(self, name: str, version: int | None = None) -> list[str]:
        """The ids of the runs that used or wrote the table (at ``version``, by default at any):
        those of the current tracking store that logged it as an input, newest first, then others
        that its history names.
        """
        import mlflow

        if version is not None:
            self.delta(name, version)
        runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
        tied = {run.info.run_id: self._used(run, name) for run in runs}
        for run_id, versions in self._written(name).items():
            tied.setdefault(run_id, set()).update(versions)
        return [
            run for run, versions in tied.items() if versions and (version is None or version in versions)
        ]

    def _used(self, run: Any, name: str) -> set[int]:
        """The versions of the table that a run logged as inputs.

        The end of the path decides: it stays the same when a folder with store and tables moves.
        """
        tail = f"/{FOLDER}/{self.path(name).name}"
        logged = [used.dataset for used in run.inputs.dataset_inputs]
        sources = [json.loads(each.source) for each in logged if each.source_type == "delta_table"]
        # MLflow leaves out version 0 where it writes a source down
        return {
            source.get("delta_table_version", 0)
            for source in sources
            if source.get("path", "").replace("\\", "/").endswith(tail)
        }

    def _written(self, name: str) -> dict[str, set[int]]:
        """The versions that each run wrote, newest run first."""
        written: dict[str, set[int]] = {}
        for commit in self._commits(name):
            if commit.get(RUN_KEY):
                written.setdefault(commit[RUN_KEY], set()).add(commit["version"])
        return written

    def _commits(self, name: str) -> list[dict[str, Any]]:
        """The table's commits, newest first.

        ``history`` counts down from the version that is open, whatever was committed after it.
        """
        table = self.delta(name)
        with explained(name, "read"):
            while True:
                version, commits = table.version(), table.history()
                table.update_incremental()
                if table.version() == version:
                    return commits

    def _exists(self, name: str) -> bool:
        """Whether there is a table; raises :class:`TableError` for a folder with something else."""
        path = self.path(name)
        if not path.exists():
            return False
        if _is_table(path):
            return True
        if path.is_dir() and not any(path.iterdir()):
            return False
        raise TableError(
            f"{path} is no Delta table, but is not empty either; expected a table, or nothing. "
            "Choose another name, or move what is there away."
        )


def _is_table(path: Path) -> bool:
    from deltalake import DeltaTable

    return path.is_dir() and DeltaTable.is_deltatable(table_path(path))
