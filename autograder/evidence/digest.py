"""A digest of a table's rows that a rubric can compute again from a frame."""

import hashlib
import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

#: Rows that are looked at together.
BATCH = 10_000


def table_digest(table: "pyarrow.Table | pd.DataFrame") -> str:
    """The SHA-256, in hexadecimal digits, of the rows of a table, whatever their order.

    Each row is written as JSON, an object with its columns in the order of their names, and hashed
    with SHA-256; the digest is the SHA-256 of these hashes, sorted and put together. Numbers of
    equal value are the same whatever their type (1 and 1.0), and so are null and NaN; times are
    ISO 8601, in UTC where they have a zone. Raises TableError for a frame that makes no table.
    """
    import pyarrow as pa

    from autograder.databricks.fitting import to_arrow

    data = table if isinstance(table, pa.Table) else to_arrow("digested", table)
    hashes = [
        hashlib.sha256(json.dumps(_plain(row), sort_keys=True).encode()).digest()
        for batch in data.to_batches(BATCH)
        for row in batch.to_pylist()
    ]
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def _plain(value: Any) -> Any:  # noqa: PLR0911 (one way out for each kind)
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (float, Decimal)):
        number = float(value)
        if math.isnan(number):
            return None
        return int(number) if number.is_integer() else number
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.hex() if isinstance(value, bytes) else value
