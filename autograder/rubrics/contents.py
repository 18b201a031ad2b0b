"""What small files among a run's artifacts say: dictionaries and tables, as MLflow logs them."""

import csv
import io
import json
import math
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from autograder.evidence import Artifact, Run

#: How the names of the files begin that MLflow's autologging draws, such as training_confusion_matrix.png.
AUTOLOGGED = "training_"
#: How often each combination of values stands in some columns of a table.
Counts = Counter[tuple[str, ...]]


def parsed(text: str | None) -> Any:
    """What a JSON text says; None when it cannot be read, or is nested too deep."""
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None


def number(value: object) -> float | None:
    """A finite number, also one that is written as text; None for all else, and for one that is too large."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def named(run: Run, word: str) -> list[Artifact]:
    """The run's artifacts with ``word`` in their path, in any case.

    Files that autologging names for the training part are not the student's, and left out.
    """
    return [
        artifact
        for artifact in run.artifacts
        if word in (path := artifact.path.lower()) and not path.startswith(AUTOLOGGED)
    ]


def pictures(run: Run, word: str) -> list[Artifact]:
    """Those of them that are pictures."""
    return [artifact for artifact in named(run, word) if artifact.kind == "picture"]


def numbers_by(artifact: Artifact, keys: Collection[str]) -> dict[str, float] | None:
    """The first dictionary in a JSON file that has a number for each of ``keys``, however deep it is."""
    for found in _dictionaries(parsed(artifact.content)):
        values = {key: number(found.get(key)) for key in keys if not isinstance(found.get(key), str)}
        known = {key: value for key, value in values.items() if value is not None}
        if len(known) == len(keys):
            return known
    return None


def rows_of(artifact: Artifact) -> list[dict[str, str]] | None:
    """The rows of a table in JSON, as mlflow.log_table writes it or as records, or in CSV; values as text.

    None when it is no table that can be read.
    """
    text = artifact.content or ""
    try:
        if artifact.path.lower().endswith(".csv"):
            header, *rows = csv.reader(io.StringIO(text, newline=None))
            return [dict(zip(header, row, strict=False)) for row in rows if row]
        content = parsed(text)
        if isinstance(content, list):
            return [{str(k): str(v) for k, v in row.items()} for row in content]
        names = [str(name) for name in content["columns"]]
        return [dict(zip(names, map(str, row), strict=True)) for row in content["data"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error):
        return None


def counted(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Counts | None:
    """How often each combination of values stands in these columns; None when a row lacks one of them."""
    found = Counter(tuple(row.get(name, "") for name in columns) for row in rows)
    return None if any("" in values for values in found) else found


def is_some_times(found: Counts, wanted: Counts) -> bool:
    """Whether all of ``wanted`` was counted once or, as mlflow.log_table adds to a table, some times over."""
    times, rest = divmod(found.total(), wanted.total() or 1)
    return times > 0 and not rest and found == Counter({values: n * times for values, n in wanted.items()})


def _dictionaries(content: Any) -> Iterator[dict[str, Any]]:
    waiting = deque([content])
    while waiting:
        found = waiting.popleft()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
