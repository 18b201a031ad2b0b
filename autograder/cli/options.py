"""Options that several commands have in common, and how a report is printed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autograder.grading import Report

NOT_GRADED = 1
INTERRUPTED = 130

Assignment = Annotated[str, typer.Argument(help="An assignment, such as 01-tracking.", show_default=False)]
KitFolder = Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)]
CourseFolder = Annotated[
    Path, typer.Option(help="The course: the folder with nbgrader_config.py.", file_okay=False, exists=True)
]


def known(assignment: str) -> str:
    """The assignment's name; a usage error, listing those there are, when no rubric has it."""
    from autograder.rubrics import UnknownAssignment, load_rubric

    try:
        load_rubric(assignment)
    except UnknownAssignment as error:
        raise typer.BadParameter(str(error), param_hint="ASSIGNMENT") from None
    return assignment


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def show(report: "Report", output: Format) -> None:
    """Print a report; the status is 1 when some of it could not be graded."""
    from autograder.reports import report_json, report_junit, report_text

    written = {Format.TEXT: report_text, Format.JSON: report_json, Format.JUNIT: report_junit}
    typer.echo(written[output](report))
    raise typer.Exit(NOT_GRADED if report.pending else 0)


Output = Annotated[Format, typer.Option("--format", help="How the report is written.")]
