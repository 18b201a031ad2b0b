"""The ``mlflow-kit`` command: a thin layer, no logic of its own.

Exit status: 0 for success, 1 when something could not be graded or built
or is not ready, 2 for a usage error,
130 when Ctrl-C ended it.
"""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from autograder.base.startup import begin
from autograder.cli import serving as local

if TYPE_CHECKING:
    from autograder.grading import Report


class App(typer.Typer):
    """The command, which prepares its process before it looks at what it was asked for."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the command."""
        begin()
        return super().__call__(*arguments, **named)


app = App(
    name="mlflow-kit",
    help="Check exercises of the MLflow Teaching Kit and show what became of a class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(local.serve)
app.command()(local.ui)
app.add_typer(local.token_app, name="token")
dev_app = typer.Typer(help="For those who make the course.", no_args_is_help=True)
app.add_typer(dev_app, name="dev")
NOT_GRADED = 1
INTERRUPTED = 130

Assignment = Annotated[str, typer.Argument(help="An assignment, such as 01-tracking.", show_default=False)]


def _known(assignment: str) -> str:
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


def _show(report: "Report", output: Format) -> None:
    """Print a report; the status is 1 when some of it could not be graded."""
    from autograder.reports import report_json, report_junit, report_text

    written = {Format.TEXT: report_text, Format.JSON: report_json, Format.JUNIT: report_junit}
    typer.echo(written[output](report))
    raise typer.Exit(NOT_GRADED if report.pending else 0)


Output = Annotated[Format, typer.Option("--format", help="How the report is written.")]


@app.command()
def check(
    assignment: Assignment,
    folder: Annotated[
        Path,
        typer.Option(help="The notebook's folder, where its mlflow.db is.", file_okay=False, exists=True),
    ] = Path(),
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            help="Check this store or tracking server instead of FOLDER's store.",
            callback=local.server_address,
        ),
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="Look at the runs of this experiment only.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check your own work, task by task, as the check cells do; models are loaded on this machine."""
    from autograder.cli.beside import reading

    with reading(tracking_uri or str(folder), str(folder)) as facts:
        from autograder.data.settings import SettingsError, load_settings
        from autograder.evidence import StoreError
        from autograder.pipeline.own_work import report_of
        from autograder.rubrics import UnknownAssignment

        try:
            report = report_of(assignment, facts, experiment, load_settings(folder))
        except UnknownAssignment as error:
            raise typer.BadParameter(str(error), param_hint="ASSIGNMENT") from None
        except (StoreError, SettingsError) as error:
            typer.echo(f"{assignment} could not be checked. {error}", err=True)
            raise typer.Exit(NOT_GRADED) from None
    _show(report, output)


@app.command()
def rehearse(
    assignment: Assignment,
    notebook: Annotated[
        Path | None,
        typer.Argument(help="Your notebook; ASSIGNMENT.ipynb here when not given.", dir_okay=False),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Run your notebook from the top in an empty store, on other data, as grading will."""
    from autograder.data.settings import SettingsError
    from autograder.evidence import StoreError
    from autograder.pipeline.rehearsal import NotANotebook
    from autograder.pipeline.rehearsal import rehearse as run_rehearsal

    path = notebook or Path(f"{_known(assignment)}.ipynb")
    if not path.is_file():
        raise typer.BadParameter(f"there is no {path}", param_hint="NOTEBOOK")
    try:
        with Console(stderr=True).status(f"Running {path.name} from the top …"):
            report = run_rehearsal(_known(assignment), path)
    except (NotANotebook, StoreError, SettingsError) as error:
        typer.echo(f"{assignment} could not be rehearsed. {error}", err=True)
        raise typer.Exit(NOT_GRADED) from None
    _show(report, output)


CourseFolder = Annotated[
    Path, typer.Option(help="The course: the folder with nbgrader_config.py.", file_okay=False, exists=True)
]


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
    from autograder.nbgrader.one_batch import GradedAlready

    folder, console = Course(course.resolve()), Console()
    if not folder.submissions(_known(assignment), student):
        raise _nothing_there(folder.root, assignment, student)
    try:
        status = batch.grade_class(batch.Batch(folder, assignment, student, force, unsafe), console)
    except GradedAlready as error:
        typer.echo(error, err=True)
        raise typer.Exit(NOT_GRADED) from None
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
    _show_results(course.resolve(), _known(assignment))


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
def book(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Build the book, strictly: a warning or a failing cell stops it."""
    from autograder.course import demo

    raise typer.Exit(demo.build_book(root.resolve()))


@app.command("demo")
def demo_command(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Build the book, generate the exercises, grade the sample class, show its results."""
    from autograder.authoring.samples import hand_in_known
    from autograder.course import demo

    raise typer.Exit(demo.run(root.resolve(), hand_in_known))


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(help="Two digits and words, such as 03-comparing.", show_default=False)
    ],
    title: Annotated[str, typer.Option(help="What students read above it.")] = "A new assignment",
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Begin an assignment: a rubric, a notebook, known submissions and a chapter that work, to be filled."""
    from autograder.authoring.consistency import missing_samples
    from autograder.authoring.new_assignment import CannotBegin, begin_assignment
    from autograder.authoring.samples import load_samples

    try:
        for path in begin_assignment(root.resolve(), name, title):
            typer.echo(f"wrote {path.relative_to(root.resolve())}")
    except CannotBegin as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    typer.echo(
        "Next: `make exercises`, `mlflow-kit dev table`, then `mlflow-kit dev check`. It will ask for:"
    )
    for missing in missing_samples(load_samples(root / "tests" / "submissions" / name)):
        typer.echo(f"  {missing}")


@dev_app.command("check")
def dev_check(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Say what is not consistent: tasks, hints, points, chapters, known submissions, generated files."""
    from autograder.authoring.consistency import problems

    found = 0
    with Console(stderr=True).status("Comparing notebooks, rubrics, chapters and known submissions …"):
        for problem in problems(root.resolve()):
            typer.echo(problem)
            found += 1
    typer.echo(f"{found} problems found." if found else "The course is consistent.")
    raise typer.Exit(NOT_GRADED if found else 0)


@dev_app.command("table")
def dev_table(
    root: Annotated[Path, typer.Option(help="The kit's folder.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Write the book's page on what is graded, from the rubrics."""
    from autograder.authoring.consistency import TABLE, graded_page

    (root / TABLE).write_text(graded_page(root), encoding="utf-8")
    typer.echo(f"wrote {TABLE}")


if __name__ == "__main__":
    app()
