"""What course authors run: new, dev check, dev table."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autograder.cli.options import NOT_GRADED, KitFolder

app = typer.Typer()
dev_app = typer.Typer(help="For those who make the course.", no_args_is_help=True)
app.add_typer(dev_app, name="dev")


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(help="Two digits and words, such as 03-comparing.", show_default=False)
    ],
    title: Annotated[str, typer.Option(help="What students read above it.")] = "A new assignment",
    root: KitFolder = Path(),
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
def dev_check(root: KitFolder = Path()) -> None:
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
def dev_table(root: KitFolder = Path()) -> None:
    """Write the book's page on what is graded, from the rubrics."""
    from autograder.authoring.consistency import TABLE, graded_page

    (root / TABLE).write_text(graded_page(root), encoding="utf-8")
    typer.echo(f"wrote {TABLE}")
