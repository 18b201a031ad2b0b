"""What small files among a run's artifacts say: dictionaries and tables, as MLflow logs them."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from autograder.evidence import Artifact, Run

#: How the names of the files begin that MLflow's autologging draws, such as training_confusion_matrix.png.
AUTOLOGGED = "training_"
#: How often each combination of values stands in some columns of a table.
Counts = Counter[tuple[str, ...]]


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
    try:
        content = json.loads(artifact.content or "")
    except (ValueError, RecursionError):
        return None
    for found in _dictionaries(content):
        values = {key: found.get(key) for key in keys}
        if all(isinstance(value, int | float) for value in values.values()):
            return {key: float(value) for key, value in values.items() if value is not None}
    return None


def rows_of(artifact: Artifact) -> list[dict[str, str]] | None:
    """The rows of a table in JSON, as mlflow.log_table writes it or as records, or in CSV; values as text.

    None when it is no table that can be read.
    """
    text = artifact.content or ""
    if artifact.path.lower().endswith(".csv"):
        return [{str(k): str(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]
    try:
        content = json.loads(text)
        if isinstance(content, list):
            return [{str(k): str(v) for k, v in row.items()} for row in content]
        names = [str(name) for name in content["columns"]]
        return [dict(zip(names, map(str, row), strict=True)) for row in content["data"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
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
    waiting = [content]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
