"""A feature store in small: feature tables with keys, point-in-time lookup, and models that remember it.

The names are those of Databricks' FeatureEngineeringClient (databricks-feature-engineering).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autograder.databricks.feature_lookup import Lookup, complete, look_up
from autograder.databricks.fitting import TableError, listed
from autograder.databricks.served import RECORD_KEY, input_names, lookups_of, record_of, with_lookup
from autograder.databricks.tables import Tables

__all__ = ["FeatureLookup", "Features", "TrainingSet", "with_lookup"]

#: The properties of a feature table that name its keys (JSON list) and the column of its times.
KEYS_PROPERTY = "kit.primaryKeys"
TIMESTAMP_PROPERTY = "kit.timestampColumn"


@dataclass(frozen=True)
class FeatureLookup:
    """Which features of a table a training set gets, and by which of its own columns they are found.

    ``lookup_key``: the columns that hold the table's primary keys, in the same order.
    ``feature_names``: one or several; by default all columns but keys and timestamp.
    ``timestamp_lookup_key``: the column that says as of when, for a table with a timestamp column.
    ``rename_outputs``: feature name to column name in the training set.
    """

    table_name: str
    lookup_key: str | Sequence[str]
    feature_names: str | Sequence[str] | None = None
    timestamp_lookup_key: str | None = None
    rename_outputs: Mapping[str, str] | None = None


@dataclass(frozen=True)
class TrainingSet:
    """What a model is trained on: a frame, and the features of each row as tables have them.

    ``metadata`` is for ``log_model(..., metadata=training_set.metadata)``: it records the tables,
    their versions, features and keys, so that the features can be looked up again when it predicts.
    """

    tables: Tables
    frame: pd.DataFrame
    lookups: tuple[Lookup, ...]
    label: str | None
    exclude_columns: tuple[str, ...]

    def load_df(self) -> pd.DataFrame:
        """The frame's rows in their order, with its columns, then the features, without those excluded.

        The tables are read at the versions that ``metadata`` records. A feature is null where its
        key is unknown, or has no value at or before the row's time.
        """
        parts = [self.frame]
        for lookup in self.lookups:
            table = self.tables.read(lookup.table_name, lookup.table_version)
            parts.append(look_up(self.frame, table, lookup)[0])
        return pd.concat(parts, axis=1).drop(columns=list(self.exclude_columns))

    @property
    def metadata(self) -> dict[str, Any]:
        """What a model needs to look its features up again, ready for JSON."""
        columns = [
            *self.frame.columns,
            *(name for lookup in self.lookups for name in lookup.features.values()),
        ]
        left_out = {self.label, *self.exclude_columns}
        return {
            RECORD_KEY: {
                "label": self.label,
                "inputs": [column for column in columns if column not in left_out],
                "lookups": [lookup.as_dict() for lookup in self.lookups],
            }
        }


class Features:
    """The feature tables among ``tables``: Delta tables whose properties name their primary keys."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def create_table(
        self,
        name: str,
        frame: pd.DataFrame,
        primary_keys: str | Sequence[str],
        timestamp_column: str | None = None,
        description: str | None = None,
    ) -> int:
        """Make a feature table and write ``frame``; returns the version that holds it.

        The primary keys, together with ``timestamp_column`` (of timestamps) if there is one, tell
        the rows apart. The timestamp column may be among the primary keys, as Databricks wants it.
        Raises :class:`TableError` when there is a table already, and for keys that are missing,
        null or not unique.
        """
        keys = [key for key in _as_list(primary_keys) if key != timestamp_column]
        if not keys:
            raise TableError(
                f"Feature table `{name}` is to have no primary key; expected at least one column besides "
                "the timestamp column. Name the columns that say what a row is about."
            )
        _check_keys(name, frame, keys, timestamp_column)
        properties = {KEYS_PROPERTY: json.dumps(keys)}
        if timestamp_column:
            properties[TIMESTAMP_PROPERTY] = timestamp_column
        return self.tables.create(name, frame, properties, description)

    def write_table(self, name: str, frame: pd.DataFrame) -> int:
        """Update the rows whose keys (and timestamp) the table has, insert the others; the new version.

        Raises :class:`TableError` for a table without keys, for keys that are missing, null or not
        unique in ``frame``, and for columns that are not the table's.
        """
        keys, timestamp_column = self.keys(name)
        _check_keys(name, frame, keys, timestamp_column)
        return self.tables.merge(name, frame, [*keys, *([timestamp_column] if timestamp_column else [])])

    def read_table(self, name: str) -> pd.DataFrame:
        """The table's rows, at its newest version."""
        return self.tables.read(name)

    def keys(self, name: str) -> tuple[list[str], str | None]:
        """The primary keys of a feature table, without its timestamp column, and that column.

        Raises :class:`TableError` for a table that names no keys.
        """
        properties = self.tables.properties(name)
        if KEYS_PROPERTY not in properties:
            raise TableError(
                f"Table `{name}` names no primary keys; expected a feature table. "
                "Make one with Features.create_table(name, frame, primary_keys=...)."
            )
        return json.loads(properties[KEYS_PROPERTY]), properties.get(TIMESTAMP_PROPERTY)

    def create_training_set(
        self,
        frame: pd.DataFrame,
        feature_lookups: Sequence[FeatureLookup],
        label: str | None,
        exclude_columns: Sequence[str] = (),
    ) -> TrainingSet:
        """The rows of ``frame`` with features from the tables, as they are now.

        With a ``timestamp_lookup_key`` each row gets the newest values at or before its own time,
        never later ones. ``label`` and ``exclude_columns`` are columns that the model does not get;
        the excluded ones are not in the training set either. Raises :class:`TableError` when a
        table, key, feature or column is not there, and when two columns would have one name.
        """
        lookups = tuple(self._resolved(frame, lookup) for lookup in feature_lookups)
        columns = [*frame.columns, *(name for lookup in lookups for name in lookup.features.values())]
        twice = sorted({str(column) for column in columns if columns.count(column) > 1})
        if twice:
            raise TableError(
                f"The training set would have {listed(twice)} more than once; expected different names. "
                "Look up fewer features, or rename some with rename_outputs."
            )
        for what, names in (("label", [label] if label is not None else []), ("excluded", exclude_columns)):
            _check_there("the training set", columns, _as_list(names), what)
        return TrainingSet(self.tables, frame, lookups, label, tuple(_as_list(exclude_columns)))

    def score_batch(self, model_uri: str, frame: pd.DataFrame) -> pd.DataFrame:
        """``frame`` with the features that the model's record names, looked up as the tables are now,
        and the column ``prediction``.

        Values in ``frame`` win over looked-up ones. Features of unknown keys are null, which a model
        whose signature requires them refuses for all rows (MlflowException). Raises
        :class:`TableError` for a model without a record.
        """
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(model_uri)
        if (record := record_of(model.metadata)) is None:
            raise TableError(
                f"The model {model_uri} records no feature lookups; expected one that was logged with "
                "metadata=training_set.metadata. Log it so, or call its predict with all features."
            )
        inputs = input_names(model.metadata, record)
        completed = frame
        for lookup in lookups_of(record, inputs):
            completed, _ = complete(completed, self.tables.read(lookup.table_name), lookup)
        return completed.assign(prediction=model.predict(completed[[n for n in inputs if n in completed]]))

    def _resolved(self, frame: pd.DataFrame, wanted: FeatureLookup) -> Lookup:
        """A lookup with everything said, or :class:`TableError` where it cannot be."""
        name = wanted.table_name
        keys, timestamp_column = self.keys(name)
        table = self.tables.delta(name)
        columns = [field.name for field in table.schema().fields]
        lookup_key = _as_list(wanted.lookup_key)
        if len(lookup_key) != len(keys):
            raise TableError(
                f"The lookup key of table `{name}` is {listed(lookup_key)}; expected as many columns as its "
                f"primary keys {listed(keys)}, in the same order. Name one for each."
            )
        if bool(wanted.timestamp_lookup_key) != bool(timestamp_column):
            has = (
                f"has the timestamp column `{timestamp_column}`" if timestamp_column else "has no timestamps"
            )
            todo = "Name the column that says as of when." if timestamp_column else "Leave it out."
            raise TableError(
                f"Table `{name}` {has}, and its timestamp_lookup_key is {wanted.timestamp_lookup_key!r}; "
                "expected one exactly for a table with timestamps: without it, rows would get values from "
                f"after their own time. {todo}"
            )
        times = [wanted.timestamp_lookup_key] if wanted.timestamp_lookup_key else []
        _check_there("the frame", list(frame.columns), [*lookup_key, *times], f"looked up in table `{name}`")
        own = {*keys, timestamp_column}
        _check_there(f"table `{name}`", columns, [key for key in own if key], "keys")
        features = [each for each in columns if each not in own]
        names = features if wanted.feature_names is None else _as_list(wanted.feature_names)
        _check_there(f"table `{name}`", features, names, "features")
        renamed = dict(wanted.rename_outputs or {})
        _check_there("the lookup", names, list(renamed), "renamed")
        return Lookup(
            table_name=name,
            table_version=table.version(),
            primary_keys=tuple(keys),
            lookup_key=tuple(lookup_key),
            timestamp_column=timestamp_column,
            timestamp_lookup_key=wanted.timestamp_lookup_key,
            features={feature: renamed.get(feature, feature) for feature in names},
        )


def _as_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check_there(where: str, there: Sequence[str], names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in there]
    if missing:
        raise TableError(
            f"There is no {listed(missing)} in {where} ({what}); expected some of {listed(there)}. "
            "Correct the names."
        )


def _check_keys(name: str, frame: pd.DataFrame, keys: list[str], timestamp_column: str | None) -> None:
    """Raise :class:`TableError` unless the keys (and times) are there, never null, and unique."""
    unique = [*keys, *([timestamp_column] if timestamp_column else [])]
    _check_there("the frame", list(frame.columns), unique, f"keys of feature table `{name}`")
    null = [key for key in unique if frame[key].isna().any()]
    if null:
        rows = frame.index[frame[null].isna().any(axis=1)]
        raise TableError(
            f"The keys {listed(null)} of feature table `{name}` are null in {len(rows)} rows, first in row "
            f"{rows[0]}; expected a value in each. Fill them in, or leave these rows out."
        )
    if timestamp_column and not pd.api.types.is_datetime64_any_dtype(frame[timestamp_column]):
        raise TableError(
            f"The timestamp column `{timestamp_column}` of feature table `{name}` is "
            f"{frame[timestamp_column].dtype}; expected timestamps. Convert it with pandas.to_datetime."
        )
    if timestamp_column:  # the table keeps microseconds: what differs by less is the same time there
        frame = frame.assign(**{timestamp_column: frame[timestamp_column].dt.floor("us")})
    twice = frame[frame.duplicated(unique)][unique].drop_duplicates()
    if len(twice):
        said = ", ".join(str(tuple(row)) for row in twice.head(5).itertuples(index=False))
        raise TableError(
            f"Feature table `{name}` would have several rows with the same {listed(unique)}: {said}; "
            "expected one row for each. Drop the duplicates, or add the column that tells the rows apart "
            "to the keys."
        )
