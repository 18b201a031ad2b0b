"""Bring home what a box left, without believing a name, a link, a type or a size in it."""

from pathlib import Path

from autograder.base.names import DATABASE
from autograder.base.regular_files import Choice, Maximum, copy_regular_files
from autograder.databricks.state import FOLDER
from autograder.evidence.tables_reader import FOLDER as TABLES
from autograder.sandbox.limits import Limits

#: No more than this many refusals are told.
MOST_TOLD = 20


def copy_out(folder: int, target: Path, limits: Limits) -> list[str]:
    """Copy the regular files below the open folder ``folder`` into ``target``.

    Says in a line each what was left behind, and why. All files together are within ``limits``.
    """
    choice = Choice(place=lambda path: target / path, order=_evidence_first)
    maximum = Maximum(entries=limits.files, file_size=limits.disk, total_size=limits.disk)
    refused = copy_regular_files(folder, choice, maximum)
    told = refused[:MOST_TOLD]
    more = len(refused) - len(told)
    return [*told, f"and {more} more"] if more else told


def _evidence_first(name: str, _is_folder: bool) -> tuple[bool, str]:
    """The order of copying: no litter may use up the limits before the store is home."""
    return not name.startswith((DATABASE, "mlruns", FOLDER, TABLES)), name
