"""The ``mlflow-kit`` command: a thin layer, no logic of its own. One module for each kind of user.

Exit status: 0 for success, 1 when something could not be graded or built or is not ready, 2 for a usage
error, 130 when Ctrl-C ended it.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from autograder.base.errors import KitError
from autograder.base.startup import begin
from autograder.cli import author, instructor, student
from autograder.cli.options import NOT_GRADED


class Commands(TyperGroup):
    """All commands. An error of the kit ends each of them with its text and its next step, and status 1."""

    def invoke(self, ctx: Any) -> object:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except KitError as error:
            text = " ".join(part for part in (str(error), error.next_step) if part)
            typer.echo(text, err=True)
            raise typer.Exit(NOT_GRADED) from None


class App(typer.Typer):
    """The ``mlflow-kit`` command. It sets up its process before it parses the arguments."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the command."""
        begin()
        return super().__call__(*arguments, **named)


app = App(
    name="mlflow-kit",
    cls=Commands,
    help="Check exercises of the MLflow Teaching Kit and show what became of a class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for commands in (student.app, instructor.app, author.app):
    app.add_typer(commands)
