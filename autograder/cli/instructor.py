"""What instructors run: grade, results, doctor, demo, book."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autograder.cli.options import INTERRUPTED, NOT_GRADED, Assignment, CourseFolder, KitFolder, known

app = typer.Typer()


@app.command()
def grade(
    assignment: Assignment,
    course: CourseFolder = Path(),
    student: Annotated[str, typer.Option(help="Grade this student's submission only.")] = "*",
    force: Annotated[bool, typer.Option("--force", help="Grade again what is graded already.")] = False,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe-no-sandbox", help="Run the notebooks as yourself. For your own ones only."),
    ] = False,
) -> None:
    """Grade a class with nbgrader and show what became of it; interrupted, it goes on when run again."""
    from autograder.course import grade_class as batch
    from autograder.nbgrader.course_files import Course

    folder, console = Course(course.resolve()), Console()
    if not folder.submissions(known(assignment), student):
        raise _nothing_there(folder.root, assignment, student)
    try:
        status = batch.grade_class(batch.Batch(folder, assignment, student, force, unsafe), console)
    except KeyboardInterrupt:
        again = shlex.join(word for word in sys.argv[1:] if word != "--force")
        typer.echo(f"\nStopped. Nothing is lost: `mlflow-kit {again}` goes on where this was.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if status:
        typer.echo(batch.what_went_wrong(folder, assignment), err=True)
    _show_results(folder.root, assignment, student, failed=bool(status))


@app.command()
def results(assignment: Assignment, course: CourseFolder = Path()) -> None:
    """Show what became of each submission of a class after it was graded."""
    _show_results(course.resolve(), known(assignment))


def _show_results(root: Path, assignment: str, student: str = "*", failed: bool = False) -> None:
    """Print the class table; the status is 1 when a submission could not be graded, or with ``failed``."""
    from autograder.course.by_hand import NoGradebook, with_hand_grades
    from autograder.nbgrader.course_files import Course
    from autograder.reports import VerdictKind, class_table

    verdicts = Course(root).verdicts(assignment, student)
    if not verdicts:
        raise _nothing_there(root, assignment, student)
    try:
        verdicts = with_hand_grades(root, verdicts)
    except NoGradebook as error:
        typer.echo(error, err=True)
    Console().print(class_table(assignment, verdicts))
    if failed or any(verdict.kind is VerdictKind.UNGRADED for verdict in verdicts):
        raise typer.Exit(NOT_GRADED)


def _nothing_there(root: Path, assignment: str, student: str) -> typer.BadParameter:
    expected = f"submitted/{'STUDENT' if student == '*' else student}/{assignment}/{assignment}.ipynb"
    return typer.BadParameter(
        f"there is nothing in {root / 'submitted'} for {assignment}; expected {expected}. "
        "Is this the course's folder?",
        param_hint="--course",
    )


@app.command()
def doctor() -> None:
    """Say whether this machine is ready for the kit, and how to mend what is not."""
    from autograder.course.doctor import doctor_table, examine, ready

    rows = examine()
    Console().print(doctor_table(rows))
    raise typer.Exit(0 if ready(rows) else NOT_GRADED)


@app.command()
def book(root: KitFolder = Path()) -> None:
    """Build the book, strictly: a warning or a failing cell stops it."""
    from autograder.course import demo

    raise typer.Exit(demo.build_book(root.resolve()))


@app.command("demo")
def demo_command(root: KitFolder = Path()) -> None:
    """Build the book, generate the exercises, grade the sample class, show its results."""
    from autograder.authoring.samples import hand_in_known
    from autograder.course import demo

    raise typer.Exit(demo.run(root.resolve(), hand_in_known))
