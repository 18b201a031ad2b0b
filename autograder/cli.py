"""The ``mlflow-kit`` command: a thin layer, no logic of its own.

Exit status: 0 for success, 1 when something could not be graded or built, 2 for a usage error.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    name="mlflow-kit",
    help="Check exercises of the MLflow Teaching Kit and show what became of a class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
NOT_GRADED = 1

Assignment = Annotated[str, typer.Argument(help="An assignment, such as 01-tracking.", show_default=False)]


def _known(assignment: str) -> str:
    """The assignment's name; a usage error, listing those there are, when no rubric has it."""
    from autograder.rubrics import UnknownAssignment, load_rubric

    try:
        load_rubric(assignment)
    except UnknownAssignment as error:
        raise typer.BadParameter(str(error), param_hint="ASSIGNMENT") from None
    return assignment


@app.command()
def check(
    assignment: Assignment,
    folder: Annotated[
        Path,
        typer.Option(help="The notebook's folder, where its mlflow.db is.", file_okay=False, exists=True),
    ] = Path(),
) -> None:
    """Check the work that a notebook left in FOLDER, task by task, as its check cells do."""
    from autograder.evidence import StoreError
    from autograder.notebook import report_on
    from autograder.reports import report_text
    from autograder.workspace.store import sqlite_uri

    try:
        report = report_on(_known(assignment), sqlite_uri(folder))
    except StoreError as error:
        typer.echo(f"{assignment} could not be checked. {error}", err=True)
        raise typer.Exit(NOT_GRADED) from None
    typer.echo(report_text(report))
    raise typer.Exit(NOT_GRADED if report.pending else 0)


@app.command()
def results(
    assignment: Assignment,
    course: Annotated[
        Path,
        typer.Option(help="The course: the folder with nbgrader_config.py.", file_okay=False, exists=True),
    ] = Path(),
) -> None:
    """Show what became of each submission of a class after `nbgrader autograde ASSIGNMENT`."""
    from autograder.nbgrader.course import Course
    from autograder.reports import VerdictKind, class_table

    verdicts = Course(course.resolve()).verdicts(_known(assignment))
    if not verdicts:
        raise typer.BadParameter(
            f"there is nothing in {course.resolve() / 'submitted'} for {assignment}; expected "
            f"submitted/STUDENT/{assignment}/{assignment}.ipynb. Is this the course's folder?",
            param_hint="--course",
        )
    Console().print(class_table(assignment, verdicts))
    if any(verdict.kind is VerdictKind.UNGRADED for verdict in verdicts):
        raise typer.Exit(NOT_GRADED)


@app.command()
def book(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Build the book, strictly: a warning or a failing cell stops it."""
    from autograder import demo

    raise typer.Exit(demo.build_book(root.resolve()))


@app.command("demo")
def demo_command(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Build the book, generate the exercises, grade the sample class, show its results."""
    from autograder import demo

    raise typer.Exit(demo.run(root.resolve()))


if __name__ == "__main__":
    app()
