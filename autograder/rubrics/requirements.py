"""What a model's list of packages, its requirements.txt, says."""

import re

from autograder.evidence import LoggedModel

#: Formats of a scikit-learn model's file that are called as the package that writes and reads them.
FORMATS = ("skops", "cloudpickle")


def lines(model: LoggedModel, package: str) -> list[str]:
    """The lines about a package."""
    return [line for line in model.declared.requirements if _package(line) == package]


def unread_format(model: LoggedModel) -> str | None:
    """The format of the model's file, if it takes a package to read that is not on the list."""
    written_by = model.declared.serialization_format
    return written_by if written_by in FORMATS and not lines(model, written_by) else None


def _package(requirement: str) -> str:
    """The name of the package that a line of requirements.txt is about."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")
