"""Find the rubric of an assignment: ``01-tracking`` is the module ``tracking`` in this package."""

import importlib
import pkgutil

from autograder.rubrics.language import Rubric


class UnknownAssignment(LookupError):
    """Raised by :func:`load_rubric` for a name that no rubric has; the message lists those there are."""


def load_rubric(assignment: str) -> Rubric:
    """The rubric of ``assignment``, such as ``01-tracking``."""
    for rubric in _rubrics():
        if rubric.assignment == assignment:
            return rubric
    known = ", ".join(assignments())
    raise UnknownAssignment(f"There is no assignment called {assignment!r}; expected one of: {known}.")


def assignments() -> list[str]:
    """The names of all assignments, in order."""
    return sorted(rubric.assignment for rubric in _rubrics())


def _rubrics() -> list[Rubric]:
    package = importlib.import_module("autograder.rubrics")
    modules = [
        importlib.import_module(f"autograder.rubrics.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    ]
    return [module.rubric for module in modules if hasattr(module, "rubric")]
