"""What small files among a run's artifacts say: dictionaries and tables, as MLflow logs them."""

import csv
import io
import json
from collections.abc import Collection, Iterator
from typing import Any

from autograder.evidence import Artifact, Run


def named(run: Run, word: str) -> list[Artifact]:
    """The run's artifacts with ``word`` in their path, in any case."""
    return [artifact for artifact in run.artifacts if word in artifact.path.lower()]


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


def _dictionaries(content: Any) -> Iterator[dict[str, Any]]:
    waiting = [content]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
