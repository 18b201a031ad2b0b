"""Find the rubric of an assignment: ``01-tracking`` is the module ``tracking`` in ``by_assignment``."""

import functools
import importlib
import pkgutil

from autograder.base.errors import KitError
from autograder.data.settings import Settings
from autograder.rubrics.language import Rubric


class UnknownAssignment(KitError):
    """Raised by :func:`load_rubric` for a name that no rubric has; the message lists those there are."""


def load_rubric(assignment: str, settings: Settings | None = None) -> Rubric:
    """The rubric of ``assignment``, such as ``01-tracking``, with the points that ``settings`` give.

    Raises SettingsError for settings that name what this rubric does not have.
    """
    for rubric in _rubrics():
        if rubric.assignment == assignment:
            return rubric.with_settings(settings) if settings else rubric
    known = ", ".join(assignments())
    raise UnknownAssignment(f"There is no assignment called {assignment!r}; expected one of: {known}.")


def assignments() -> list[str]:
    """The names of all assignments, in order."""
    return [rubric.assignment for rubric in _rubrics()]


@functools.cache
def _rubrics() -> list[Rubric]:
    package = importlib.import_module("autograder.rubrics.by_assignment")
    modules = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    ]
    found = [module.rubric for module in modules if hasattr(module, "rubric")]
    return sorted(found, key=lambda rubric: rubric.assignment)
