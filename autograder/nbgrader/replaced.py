"""The functions of nbgrader that the kit replaces, because no setting changes what they do.

Each is replaced once a process. Tests hold the text of the originals, and name the one that a new release of
nbgrader has changed.
"""

import fnmatch
import glob
import os
from collections.abc import Callable, Collection
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from nbgrader import utils
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory

from autograder.base.text import plain
from autograder.nbgrader.handed_at import handed_at
from autograder.nbgrader.handed_in import SUBMITTED, submissions
from autograder.nbgrader.intake import NotAFolder, take_in

Function = Callable[..., Any]


def replace_functions(every_folder: bool) -> None:
    """Replace them all; without ``every_folder``, nbgrader itself searches for submissions."""
    _replace(BaseConverter, "init_assignment", _init_assignment)
    _replace(BaseConverter, "init_notebooks", _init_notebooks)
    _replace(CourseDirectory, "get_existing_timestamp", _get_existing_timestamp)
    _replace(utils, "is_ignored", _is_ignored)
    if every_folder:
        _replace(Autograde, "init_notebooks", _init_submissions)


def _replace(owner: Any, name: str, make: Callable[[Function], Function]) -> None:
    usual = getattr(owner, name)
    if getattr(usual, "replaced_by", None) is not make:
        replacement = wraps(usual)(make(usual))
        replacement.replaced_by = make  # type: ignore[attr-defined]  # a mark, for the next time
        setattr(owner, name, replacement)


def _init_assignment(usual: Function) -> Function:
    """Of a submission only its own regular files are copied: nbgrader's copy follows links."""

    def init_assignment(self: Any, assignment_id: str, student_id: str) -> None:
        if not isinstance(self, Autograde | GenerateFeedback):
            usual(self, assignment_id, student_id)
            return
        taken_in = getattr(self.exporter, "taken_in", None)  # the kit's exporter has done it
        if taken_in == (assignment_id, student_id):
            return
        source, target = (
            Path(place(assignment_id, student_id)) for place in (self._format_source, self._format_dest)
        )
        try:
            note = take_in(source, target, self.coursedir.ignore)
        except NotAFolder as error:
            note = str(error)
        if note:
            self.log.warning("%s, %s: %s", assignment_id, student_id, note)

    return init_assignment


def _init_notebooks(usual: Function) -> Function:
    """The paths of the course and of its folders are no patterns, whatever characters they have."""

    def init_notebooks(self: Any) -> None:
        course = self.coursedir
        pattern = self._format_source(course.assignment_id, course.student_id)
        if pattern.startswith(course.root):
            pattern = glob.escape(course.root) + pattern.removeprefix(course.root)
        self.notebooks = []
        self.assignments = {
            folder: found
            for folder in glob.glob(pattern)  # noqa: PTH207  Path.glob finds hidden folders, too
            if (found := glob.glob(os.path.join(glob.escape(folder), f"{course.notebook_id}.ipynb")))  # noqa: PTH118, PTH207  as nbgrader's
        }
        if not self.assignments:
            usual(self)  # says what was looked for, and ends

    return init_notebooks


def _init_submissions(usual: Function) -> Function:
    """``nbgrader autograde`` takes up each submission, by itself only those with a notebook in its place."""

    def init_notebooks(self: Any) -> None:
        course = self.coursedir
        root, assignment = Path(course.root), course.assignment_id
        usual_place = root / SUBMITTED / "*" / assignment
        found = submissions(root, assignment, course.student_id)
        ours = fnmatch.fnmatchcase(assignment, course.notebook_id) and found
        if not ours or Path(self._format_source(assignment, "*")) != usual_place:
            usual(self)
            refused = {str(one.folder) for one in found if one.refused}
            self.assignments = {path: of for path, of in self.assignments.items() if path not in refused}
            return
        for one in found:
            if one.refused:
                self.log.error("%s is left out: %s. %s", plain(one.student), one.refused, one.next_step)
        self.assignments = {
            str(one.folder): [f"{one.folder}{os.sep}{assignment}.ipynb"] for one in found if not one.refused
        }
        self.notebooks = []

    return init_notebooks


def _get_existing_timestamp(usual: Function) -> Function:
    """A time in any encoding is read, and one that cannot be read is none; nbgrader ends in an exception."""

    def get_existing_timestamp(self: Any, dest_path: str) -> datetime | None:
        found = handed_at(Path(dest_path))
        if found.note:
            self.log.warning("%s: %s", dest_path, found.note)
        return found.time

    return get_existing_timestamp


def _is_ignored(usual: Function) -> Function:
    """Whether a name matches a pattern: nbgrader asks the folder's path for patterns, too."""

    def is_ignored(filename: str, ignore_globs: Collection[str] | None = None) -> bool:
        return any(fnmatch.fnmatchcase(Path(filename).name, pattern) for pattern in ignore_globs or ())

    return is_ignored
