"""Rehearse: run one's own notebook as the grader will, under yet another seed, and report on it."""

import secrets
import tempfile
from pathlib import Path

import nbformat

from autograder.base.errors import KitError
from autograder.data.settings import Conditions, load_settings
from autograder.grading import Report
from autograder.pipeline.jobs import execute, files_beside, job_of, report_on
from autograder.pipeline.reader import Reader
from autograder.rubrics import load_rubric


class NotANotebook(KitError):
    """Raised by :func:`rehearse` for a file that cannot be read as a notebook."""


class NotRehearsed(KitError):
    """Raised by :func:`rehearse` when the run left a store that cannot be read."""


def rehearse(assignment: str, notebook: Path, seed: int | None = None) -> Report:
    """The report on a fresh run of ``notebook`` from an empty store, without its check cells.

    The run is in a folder of its own with copies of the files beside the notebook. That folder is removed;
    nothing beside the notebook is touched. It is one's own notebook, so there is no sandbox.
    ``seed`` defaults to a random one. Raises UnknownAssignment, NotANotebook, FilesTooLarge, NotRehearsed,
    and SettingsError for settings beside the notebook that make no sense.
    """
    settings = load_settings(notebook.parent)
    rubric = load_rubric(assignment, settings)
    try:
        opened = nbformat.read(notebook, as_version=4)
    except Exception as error:
        raise NotANotebook(
            f"{notebook} cannot be read as a notebook; expected {assignment}.ipynb, saved from Jupyter."
        ) from error
    conditions = Conditions(secrets.randbelow(2**32) if seed is None else seed, settings)
    job = job_of(rubric, opened, conditions, files_beside(notebook.parent))
    with (
        tempfile.TemporaryDirectory(prefix="kit-rehearsal-", ignore_cleanup_errors=True) as folder,
        Reader(sandbox=False) as reader,
    ):
        kept = execute(job, Path(folder), reader)
    if kept.evidence is None:
        raise NotRehearsed(kept.problem)
    return report_on(rubric, kept, conditions.seed)
