"""Rehearse: run one's own notebook as the grader will, under yet another seed, and report on it."""

import secrets
import tempfile
from pathlib import Path

import nbformat

from autograder.base.errors import KitError
from autograder.data.settings import Conditions, load_settings
from autograder.grading import Report, grade
from autograder.pipeline.collect import collect
from autograder.pipeline.warm import WarmReader
from autograder.rubrics import load_rubric
from autograder.sandbox import run_notebook


class NotANotebook(KitError):
    """Raised by :func:`rehearse` for a file that cannot be read as a notebook."""


def rehearse(assignment: str, notebook: Path, seed: int | None = None) -> Report:
    """The report on a fresh run of ``notebook`` from an empty store, without its check cells.

    The run is in a folder of its own, which is removed; nothing beside the notebook is touched. It is
    one's own notebook, so there is no sandbox.
    ``seed`` defaults to a random one. Raises UnknownAssignment, NotANotebook, and StoreError when
    the run left a store that cannot be read,
    SettingsError for settings beside the notebook that make no sense.
    """
    settings = load_settings(notebook.parent)
    rubric = load_rubric(assignment, settings)
    try:
        opened = nbformat.read(notebook, as_version=4)
    except Exception as error:
        raise NotANotebook(
            f"{notebook} cannot be read as a notebook; expected {assignment}.ipynb, saved from Jupyter."
        ) from error
    checks = {task.id for task in rubric.tasks}
    for cell in opened.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade_id") in checks:
            cell.source = ""
    conditions = Conditions(secrets.randbelow(2**32) if seed is None else seed, settings)
    with (
        tempfile.TemporaryDirectory(prefix="kit-rehearsal-", ignore_cleanup_errors=True) as folder,
        WarmReader(sandbox=False) as reader,
    ):
        execution = run_notebook(opened, Path(folder), conditions, sandbox=False)
        return grade(rubric, collect(execution, conditions, rubric.features(*conditions), reader))
