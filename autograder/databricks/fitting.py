"""Which names and data frames fit a table, and what to say when one does not."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pandas as pd

from autograder.base.errors import KitError
from autograder.base.paths import MisreadPath

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, Field

#: Types whose values may go into a column of another such type, as long as no value changes.
_NUMBERS = {"byte", "short", "integer", "long", "float", "double"}


_PART = "[A-Za-z0-9_][A-Za-z0-9_-]*"
_NAME = re.compile(rf"{_PART}|{_PART}\.{_PART}\.{_PART}")
_LONGEST_NAME = 200


class TableError(KitError):
    """Raised by :class:`Tables` and by the features built on it, when a table is not as asked for.

    The message says what was found, what was expected and what to do next, on one line.
    """


def check_name(name: str) -> str:
    """The name as a folder's name; raises ValueError for a name that no table can have."""
    if not (isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME):
        raise ValueError(
            f"The table's name is {name!r}; expected one word or catalog.schema.table, of letters, digits, "
            f"_ and -, with at most {_LONGEST_NAME} characters. Choose such a name."
        )
    return name.lower()


def to_arrow(name: str, frame: pd.DataFrame) -> "pa.Table":
    """The frame as Arrow has it; raises :class:`TableError` where its columns make no table."""
    import pyarrow as pa
    from deltalake import Schema

    if not isinstance(frame, pd.DataFrame):
        raise TableError(
            f"What to write to table `{name}` is of type {type(frame).__name__}; "
            "expected a pandas DataFrame. Put it into one first."
        )
    frame = frame.reset_index(drop=not any(frame.index.names))
    names = {column.lower() for column in frame.columns if isinstance(column, str)}
    if not names or len(names) < len(frame.columns):
        raise TableError(
            f"The columns to write to table `{name}` are {listed(frame.columns)}; expected at least one, all "
            "named by texts that differ in more than upper and lower case. Rename the columns."
        )
    try:
        data = pa.Table.from_pandas(frame, preserve_index=False)
        for column in data.schema:
            if pa.types.is_timestamp(column.type):
                # Delta's have microseconds, and no zone but UTC
                data = _cast(
                    data, column.name, pa.timestamp("us", "UTC" if column.type.tz else None), safe=False
                )
            if pa.types.is_unsigned_integer(column.type):
                data = _cast(data, column.name, pa.int64())
        Schema.from_arrow(data.schema)
    except Exception as error:  # what deltalake raises for a type that it does not have
        raise TableError(
            f"A column to write to table `{name}` mixes types or has one that Delta tables do not have "
            f"({first_line(error)}); expected numbers, texts, truth values or times. Convert the column "
            "first, for example with `astype`."
        ) from None
    return data


def _cast(data: "pa.Table", column: str, kind: "pa.DataType", safe: bool = True) -> "pa.Table":
    return data.set_column(data.column_names.index(column), column, data[column].cast(kind, safe=safe))


def check_types(name: str, data: "pa.Table") -> None:
    """Raise :class:`TableError` for a column without any value: a new table would not know its type."""
    import pyarrow as pa

    without = [field.name for field in data.schema if pa.types.is_null(field.type)]
    if without:
        raise TableError(
            f"The columns {listed(without)} to write to table `{name}` hold no value, so they have no type; "
            "expected a type for each. Give them one with `astype`, or leave them out."
        )


def fit(name: str, data: "pa.Table", table: "DeltaTable") -> "pa.Table":
    """``data`` with the table's columns and types; raises :class:`TableError` if a value would change.

    ``deltalake`` itself writes 1.5 as 1 where the table holds whole numbers.
    """
    import pyarrow as pa
    from deltalake import Schema

    # as Delta names the types, text is text, however Arrow keeps it
    expected = {field.name: _type_name(field) for field in table.schema().fields}
    found = {field.name: _type_name(field) for field in Schema.from_arrow(data.schema).fields}
    problems = [f"`{column}` is missing" for column in expected if column not in found]
    problems += [f"`{column}` is not in the table" for column in found if column not in expected]
    target = pa.schema(table.schema())
    fitted = {}
    for column in set(expected) & set(found):
        types = {found[column], expected[column]}
        try:
            if len(types) == 1 or types <= _NUMBERS or "void" in types:
                fitted[column] = data[column].cast(target.field(column).type)
                continue
        except pa.ArrowInvalid:
            pass
        problems.append(f"`{column}` holds {found[column]} where the table holds {expected[column]}")
    if problems:
        raise TableError(
            f"The rows do not fit table `{name}`: {'; '.join(sorted(problems))}. Expected the columns "
            f"{listed(expected)}. Nothing was written: correct the rows, or overwrite the table."
        )
    return pa.table({column: fitted[column] for column in expected})


def _type_name(field: "Field") -> str:
    return str(field.type).removeprefix('PrimitiveType("').removesuffix('")')


@contextlib.contextmanager
def explained(name: str, done: str) -> Iterator[None]:
    """Say what deltalake's errors mean."""
    from deltalake.exceptions import CommitFailedError

    try:
        yield
    except CommitFailedError:
        raise TableError(
            f"Another program changed table `{name}` at the same moment; expected to be alone. "
            "Nothing of this write was kept: do it again."
        ) from None
    except MisreadPath as error:
        raise TableError(str(error)) from None
    except Exception as error:  # deltalake raises this very class for some errors
        raise TableError(
            f"Table `{name}` could not be {done}: {first_line(error)}. Expected a Delta table with all its "
            "files. If one was deleted or edited by hand, move the table away and write it anew."
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, on one line and without its full stop."""
    return str(error).strip().split("\n", maxsplit=1)[0].rstrip(".")


def listed(names: Iterable[object]) -> str:
    """Names as a sentence has them."""
    return ", ".join(f"`{name}`" for name in names)
