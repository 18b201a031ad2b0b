"""The ``mlflow-kit`` command: a thin layer, no logic of its own. One module for each kind of user.

Exit status: 0 for success, 1 when something could not be graded or built or is not ready, 2 for a usage
error, 130 when Ctrl-C ended it.
"""

import typer

from autograder.cli import author, instructor, student

app = typer.Typer(
    name="mlflow-kit",
    help="Check exercises of the MLflow Teaching Kit and show what became of a class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for commands in (student.app, instructor.app, author.app):
    app.add_typer(commands)
