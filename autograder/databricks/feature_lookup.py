"""Looking features up by key and time: what a model's record says, done to a frame of rows."""

import dataclasses
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autograder.databricks.fitting import TableError, listed

#: Columns added while looking up; no Delta column can be named so.
_ROW, _FOUND = "\n row", "\n found"
#: How many unknown keys a message names.
_NAMED = 5


@dataclass(frozen=True)
class Lookup:
    """A feature lookup with everything said: what a training set uses and a model's record keeps.

    ``lookup_key`` are the columns of the rows that hold the table's ``primary_keys``;
    ``timestamp_lookup_key`` is the one that says as of when, where the table has a
    ``timestamp_column``. ``features`` maps each feature's name to the column it becomes.
    ``table_version`` is the version that the training set read.
    """

    table_name: str
    table_version: int
    primary_keys: tuple[str, ...]
    lookup_key: tuple[str, ...]
    timestamp_column: str | None
    timestamp_lookup_key: str | None
    features: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The lookup for JSON and YAML."""
        lists = {"primary_keys": list(self.primary_keys), "lookup_key": list(self.lookup_key)}
        return {**vars(self), **lists, "features": dict(self.features)}

    @property
    def asked_by(self) -> dict[str, str]:
        """The columns of the rows that say what is looked up; each with the table's column it is found in."""
        columns = dict(zip(self.lookup_key, self.primary_keys, strict=True))
        if self.timestamp_lookup_key and self.timestamp_column:
            columns[self.timestamp_lookup_key] = self.timestamp_column
        return columns

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Lookup":
        """The lookup that :meth:`as_dict` was made of."""
        tuples = {name: tuple(record[name]) for name in ("primary_keys", "lookup_key")}
        return cls(**{**record, **tuples})

    def only(self, outputs: Iterable[str]) -> "Lookup":
        """The lookup of those of its features that become one of the columns ``outputs``."""
        kept = {feature: output for feature, output in self.features.items() if output in set(outputs)}
        return dataclasses.replace(self, features=kept)


def look_up(
    frame: pd.DataFrame, table: pd.DataFrame, lookup: Lookup, newest: bool = False
) -> tuple[pd.DataFrame, pd.Series]:
    """The features of each row of ``frame``, and whether its key (and time) was found; indexed like it.

    ``table`` holds the feature table's rows. Where it has times, a row gets the values of its key
    with the latest time at or before its own; with ``newest``, rows without the timestamp column get
    the latest of all. Values not found are null. Raises :class:`TableError` for columns that are
    not there, keys or times of another type, missing times, and keys that the table has twice.
    """
    keys, features, name = list(lookup.primary_keys), list(lookup.features), lookup.table_name
    times = [lookup.timestamp_column] if lookup.timestamp_column else []
    _check_table(table, [*keys, *times, *features], [*keys, *times], name)
    timed = bool(times) and not (newest and lookup.timestamp_lookup_key not in frame)
    _check_columns(frame, [*lookup.lookup_key, *([str(lookup.timestamp_lookup_key)] if timed else [])], name)

    rows = pd.DataFrame(
        {key: frame[column].array for key, column in zip(keys, lookup.lookup_key, strict=True)}
    )
    rows[_ROW] = range(len(frame))
    if timed:
        rows[times[0]] = _times(frame[lookup.timestamp_lookup_key], table[times[0]], name)
    rows = rows.dropna(subset=keys)
    for key in keys:
        rows[key] = _whole_numbers(rows[key], table[key])
    values = table[[*keys, *times, *features]].assign(**{_FOUND: True})
    try:
        if timed:
            found = pd.merge_asof(
                rows.sort_values(times[0]), values.sort_values(times[0]), on=times[0], by=keys
            )
        else:
            if times:
                values = values.sort_values(times[0]).drop_duplicates(keys, keep="last").drop(columns=times)
            found = rows.merge(values, on=keys, how="left")
    except ValueError as error:
        held = ", ".join(f"`{key}` is {rows[key].dtype} and in the table {table[key].dtype}" for key in keys)
        raise TableError(
            f"The keys cannot be looked up in table `{name}`: {held}; expected the same types. "
            "Convert the keys, for example with `astype`."
        ) from error
    found = found.set_index(_ROW).reindex(range(len(frame))).set_axis(frame.index)
    return found[features].rename(columns=dict(lookup.features)), found[_FOUND].notna()


def complete(
    frame: pd.DataFrame, table: pd.DataFrame, lookup: Lookup, newest: bool = False
) -> tuple[pd.DataFrame, pd.Series]:
    """``frame`` with the looked-up features as columns, and which rows got one from nowhere.

    Values that ``frame`` has already win over looked-up ones. Errors as :func:`look_up`; a frame
    that has all values itself needs no keys.
    """
    outputs = list(lookup.features.values())
    given = pd.DataFrame({output: frame[output] for output in outputs if output in frame}, index=frame.index)
    incomplete = lacking(frame, lookup)
    if not incomplete.any():
        return frame, incomplete
    values, found = look_up(frame, table, lookup, newest)
    for output in given:
        values[output] = given[output].where(given[output].notna(), values[output])
    return frame.assign(**{str(output): values[output] for output in outputs}), ~found & incomplete


def lacking(frame: pd.DataFrame, lookup: Lookup) -> pd.Series:
    """Which rows of ``frame`` lack one of the values that would be looked up."""
    return frame.reindex(columns=list(lookup.features.values())).isna().any(axis=1)


def said_keys(frame: pd.DataFrame, lookup: Lookup) -> str:
    """The keys (and times) of rows, as a message names them."""
    columns = [
        *lookup.lookup_key,
        *([lookup.timestamp_lookup_key] if lookup.timestamp_lookup_key in frame else []),
    ]
    rows = frame[columns].drop_duplicates().to_dict("records")
    said = ["(" + ", ".join(f"{column}={value!s}" for column, value in row.items()) + ")" for row in rows]
    return ", ".join(said[:_NAMED]) + (f" and {len(said) - _NAMED} more" if len(said) > _NAMED else "")


def check_still_has(present: Container[str], columns: Iterable[str], name: str) -> None:
    """Raise :class:`TableError` unless all of a lookup's ``columns`` are among those of table ``name``."""
    missing = [column for column in columns if column not in present]
    if missing:
        raise TableError(
            f"Table `{name}` has no {listed(missing)} any more; expected the columns that the features were "
            "looked up from. Write the table with them, or make the training set and the model anew."
        )


def _check_table(table: pd.DataFrame, columns: list[str], unique: list[str], name: str) -> None:
    check_still_has(table, columns, name)
    twice = table[table.duplicated(unique, keep=False)][unique].drop_duplicates()
    if len(twice):
        raise TableError(
            f"Table `{name}` has several rows with {listed(unique)} = {tuple(twice.iloc[0])}; expected one. "
            "Restore it by overwriting it, and write with Features.write_table, which updates rows."
        )


def _check_columns(frame: pd.DataFrame, columns: list[str], name: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise TableError(
            f"There is no {listed(missing)} among the columns {listed(frame.columns)}; expected the keys of "
            f"table `{name}`. Add the missing columns."
        )


def _times(times: pd.Series, known: pd.Series, name: str) -> Any:
    """The rows' times in the table's resolution; raises :class:`TableError` where they are none."""
    both = (times, known)
    stamps = all(pd.api.types.is_datetime64_any_dtype(each) for each in both)
    if not stamps or len({each.dt.tz is None for each in both}) == 2:
        raise TableError(
            f"The times in `{times.name}` are {times.dtype} and those of table `{name}` {known.dtype}; "
            "expected timestamps, both with a time zone or both without. Convert them with "
            "pandas.to_datetime."
        )
    if times.isna().any():
        raise TableError(
            f"{int(times.isna().sum())} of {len(times)} rows have no time in `{times.name}`; expected one "
            f"each, to look up table `{name}` as of then. Fill in or leave out these rows."
        )
    if times.dt.tz is not None:
        times = times.dt.tz_convert(known.dt.tz)
    return times.dt.as_unit(known.dt.unit).array


def _whole_numbers(keys: pd.Series, known: pd.Series) -> pd.Series:
    """Whole numbers that pandas kept as floating-point numbers (for a missing one) as such again."""
    is_whole = pd.api.types.is_float_dtype(keys) and pd.api.types.is_integer_dtype(known)
    return keys.astype(known.dtype) if is_whole and (keys % 1 == 0).all() else keys
