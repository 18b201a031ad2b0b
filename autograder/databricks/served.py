"""The same lookup when a model is served: a request brings keys, the tables bring the features."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import pandas as pd

from autograder.databricks.feature_lookup import Lookup, check_still_has, complete, lacking, said_keys
from autograder.databricks.fitting import TableError, listed
from autograder.databricks.tables import Tables

if TYPE_CHECKING:
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel
    from mlflow.types.schema import Schema

#: The key under which a model's metadata records its lookups.
RECORD_KEY = "feature_lookups"
#: Columns that a message names, at most.
MOST_NAMED = 12
#: Delta's types for keys, and what MLflow calls them.
_KEY_TYPES = {
    **dict.fromkeys(("byte", "short", "integer"), "integer"),
    **dict.fromkeys(("timestamp", "timestamp_ntz", "date"), "datetime"),
    **{name: name for name in ("long", "float", "double", "string", "boolean")},
}


def record_of(metadata: "Model") -> dict[str, Any] | None:
    """What a model's metadata records of its lookups; None for a model without."""
    return (metadata.metadata or {}).get(RECORD_KEY)


def input_names(metadata: "Model", record: Mapping[str, Any]) -> list[str]:
    """The columns that a model takes: those of its signature, or else of its training set."""
    schema = metadata.get_input_schema()
    return list(schema.input_names() if schema and schema.has_input_names() else record["inputs"])


def lookups_of(record: Mapping[str, Any], inputs: list[str]) -> list[Lookup]:
    """The lookups that a model's inputs need."""
    lookups = [Lookup.from_dict(each).only(inputs) for each in record["lookups"]]
    return [lookup for lookup in lookups if lookup.features]


def with_lookup(model: "PyFuncModel", tables: Tables) -> "PyFuncModel | LookupModel":
    """The model as it is served: with its features looked up, if its metadata records lookups.

    A model without a record is returned as it is.
    """
    record = record_of(model.metadata)
    return model if record is None else LookupModel(model, tables, record)


def served_schema(model: "PyFuncModel | LookupModel") -> "Schema | None":
    """The schema by which a request to a model, with or without lookup, is parsed."""
    return model.served_schema if isinstance(model, LookupModel) else model.metadata.get_input_schema()


def expected(model: "PyFuncModel | LookupModel") -> str:
    """What a request to a model should contain, in one line; nothing where no names are known."""
    if isinstance(model, LookupModel):
        return model.expected
    schema = model.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return ""
    named = _named(schema.input_names(), quote="'")
    return f"The model was trained with the columns {named}: send these names, in any order."


def unchecked(model: "PyFuncModel | LookupModel") -> str | None:
    """What nobody checks of a request to a model without a signature; None for a model with one."""
    if model.metadata.get_input_schema() is not None:
        return None
    if isinstance(model, LookupModel):
        return "types of columns were not checked, nor whether all are there"
    return "names and types of columns were not checked"


class LookupModel:
    """A model that is asked with keys: it has what MLflow's scoring server needs of a model.

    Hand ``served_schema`` to ``mlflow.pyfunc.scoring_server.invocations`` as its schema.
    """

    def __init__(self, model: "PyFuncModel", tables: Tables, record: Mapping[str, Any]) -> None:
        self.model = model
        self.tables = tables
        self.inputs = input_names(model.metadata, record)
        self.lookups = lookups_of(record, self.inputs)
        recorded = [Lookup.from_dict(each) for each in record["lookups"]]
        #: What a request may carry: also what the training set had and this model does without.
        self.known = dict.fromkeys(
            [*self.inputs, *record["inputs"], *(column for each in recorded for column in each.asked_by)]
        )

    @property
    def metadata(self) -> "Model":
        """The model's own metadata."""
        return self.model.metadata

    @property
    def served_schema(self) -> "Schema":
        """What a request may carry: the keys, the inputs that are not looked up, and, not required,
        the time as of when and the looked-up inputs. Raises :class:`TableError` without the tables.
        """
        from mlflow.types.schema import ColSpec, Schema

        specs: dict[str, ColSpec] = {}
        for lookup in self.lookups:
            fields = self.tables.delta(lookup.table_name).schema().fields
            types = {field.name: _KEY_TYPES.get(getattr(field.type, "type", "")) for field in fields}
            check_still_has(types, lookup.asked_by.values(), lookup.table_name)
            for column, key in lookup.asked_by.items():
                if kind := types[key]:
                    specs[column] = ColSpec(kind, column, required=column in lookup.lookup_key)
        schema = self.metadata.get_input_schema()
        for spec in schema.inputs if schema and schema.has_input_names() else ():
            specs[spec.name] = (
                ColSpec(spec.type, spec.name, required=False) if spec.name in self._looked_up else spec
            )
        return Schema(list(specs.values()))

    @property
    def expected(self) -> str:
        """What a request should contain, in one line."""
        keys = [key for lookup in self.lookups for key in lookup.lookup_key]
        needed = dict.fromkeys([*keys, *(name for name in self.inputs if name not in self._looked_up)])
        times = {time: None for lookup in self.lookups for time in lookup.asked_by if time not in needed}
        told = f"Send the columns {_named(needed)}, in any order."
        for lookup in self.lookups:
            told += (
                f" Looked up in table `{lookup.table_name}`, but taken from the request where it has them: "
                f"{_named(lookup.features.values())}."
            )
        if times:
            told += f" {_named(times)} may say as of when; without it the newest values count."
        return told

    @property
    def _looked_up(self) -> set[str]:
        return {output for lookup in self.lookups for output in lookup.features.values()}

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """What the model predicts for the rows, completed by the tables' newest values.

        Where a row has a time, it gets the values as of then. Values in the request win. Raises
        mlflow.MlflowException (INVALID_PARAMETER_VALUE) for a key that a table does not have, rows
        that have no key and columns that nobody knows, as a misspelt time would get the newest
        values; (INTERNAL_ERROR) when a table cannot be read.
        """
        frame = _to_frame(data)
        self._check_columns(frame)
        for lookup in self.lookups:
            frame = self._completed(frame, lookup)
        return self.model.predict(frame[[name for name in self.inputs if name in frame]], params=params)

    def _check_columns(self, frame: pd.DataFrame) -> None:
        from mlflow.exceptions import MlflowException

        unknown = [column for column in frame.columns if column not in self.known]
        if unknown:
            near = get_close_matches(str(unknown[0]), list(self.known), 1)
            raise MlflowException.invalid_parameter_value(
                f"There is no {_named(unknown)} among what the model and its lookups take; "
                + (f"was `{near[0]}` meant? " if near else "expected only columns that they know. ")
                + "Correct the names, or leave these columns out."
            )
        if not frame.columns.is_unique:
            twice = dict.fromkeys(frame.columns[frame.columns.duplicated()])
            raise MlflowException.invalid_parameter_value(
                f"The request has {_named(twice)} more than once; expected each column once. Leave one out."
            )

    def _completed(self, frame: pd.DataFrame, lookup: Lookup) -> pd.DataFrame:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import INTERNAL_ERROR

        if not lacking(frame, lookup).any():
            return frame  # whatever became of the table
        try:
            table = self.tables.read(lookup.table_name)
        except TableError as error:
            raise MlflowException(str(error), INTERNAL_ERROR) from error
        try:
            completed, unknown = complete(frame, table, lookup, newest=True)
        except TableError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        if unknown.any():
            asked_with_time = lookup.timestamp_lookup_key in frame
            raise MlflowException.invalid_parameter_value(
                f"There is no row for {said_keys(frame[unknown], lookup)} in table `{lookup.table_name}`"
                f"{' at or before that time' if asked_with_time else ''}; expected a key that the table has. "
                "Send another key, write the features of this one to the table first, or send the values of "
                f"{listed(lookup.features.values())} in the request."
            )
        return completed


def _to_frame(data: Any) -> pd.DataFrame:
    """The request's rows; MLflow hands over a frame, a list of records or a dictionary of columns."""
    from mlflow.exceptions import MlflowException

    try:
        return data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    except ValueError as error:
        raise MlflowException.invalid_parameter_value(
            f"The request's data make no rows ({error}); expected rows with named columns. "
            "Send them as dataframe_records or dataframe_split."
        ) from error


def _named(names: Collection[object], quote: str = "`") -> str:
    """Names as a message has them, not more than fit into it."""
    named = ", ".join(f"{quote}{name}{quote}" for name in list(names)[:MOST_NAMED])
    return named + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
