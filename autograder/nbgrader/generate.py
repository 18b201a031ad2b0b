"""Making the students' notebooks: the rubric owns the points, and generating says where they differ.

Where an instructor set other points, those are written into the students' version.
"""

from datetime import UTC
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets.config import Config

from autograder.data.settings import load_settings
from autograder.rubrics import UnknownAssignment, load_rubric


class CheckPoints(NbGraderPreprocessor):
    """Refuses a source notebook whose graded cells are not the rubric's tasks, with its points; then
    gives the cells the points that the instructor set. An assignment without a rubric is nbgrader's alone.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        try:
            rubric = load_rubric(resources["nbgrader"]["assignment"])
        except UnknownAssignment:
            self.log.warning(
                "%s has no rubric of the kit's: its points are not checked",
                resources["nbgrader"]["assignment"],
            )
            return nb, resources
        expected = {task.id: task.points for task in rubric.tasks}
        cells = [cell.metadata.nbgrader for cell in nb.cells if is_grade(cell)]
        found = {cell.grade_id: float(cell.points) for cell in cells}
        differing = sorted(id for id in expected | found if expected.get(id) != found.get(id))
        if differing:
            raise NbGraderException(
                f"{rubric.assignment}: the check cells and the rubric differ. "
                + "; ".join(
                    f"{id}: {found.get(id, 'no')} points in the notebook, "
                    f"{expected.get(id, 'no')} in the rubric"
                    for id in differing
                )
                + ". The rubric owns the points: change the cell's metadata."
            )
        settings = load_settings(Path(resources["metadata"]["path"]))
        points = {task.id: task.points for task in load_rubric(rubric.assignment, settings).tasks}
        for cell in cells:
            if points[cell.grade_id] != cell.points:
                cell.points = points[cell.grade_id]
        return nb, resources


def source_folder(coursedir: CourseDirectory, assignment: str) -> Path:
    """The folder of an assignment's source notebook, and of its settings."""
    return Path(coursedir.format_path(coursedir.source_directory, ".", assignment))


def register(coursedir: CourseDirectory, assignment: str, config: Config) -> NotebookNode:
    """Bring the assignment's source into the gradebook, as ``nbgrader generate_assignment`` does, but
    write no exercise. Returns the student's version of the notebook.

    Raises NbGraderException when there is no source, or it cannot be made into an exercise.
    """
    source = source_folder(coursedir, assignment) / f"{assignment}.ipynb"
    if not source.is_file():
        raise NbGraderException(f"There is no source notebook {source}; expected one for {assignment}.")
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        deadline = load_settings(source.parent).deadline
        kept = {"duedate": deadline.astimezone(UTC).replace(tzinfo=None)} if deadline else {}
        gradebook.update_or_create_assignment(assignment, **kept)
    exporter = NotebookExporter(config=config)
    for preprocessor in GenerateAssignment(coursedir=coursedir, config=config).preprocessors:
        exporter.register_preprocessor(preprocessor, enabled=True)
    resources = {
        "nbgrader": {
            "assignment": assignment,
            "notebook": assignment,
            "student": ".",
            "db_url": coursedir.db_url,
        }
    }
    text, _ = exporter.from_filename(str(source), resources=resources)
    return nbformat.reads(text, as_version=4)
