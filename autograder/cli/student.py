"""What students run: check, rehearse, serve, ui, token."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from autograder.base.addresses import is_server, refuse_password
from autograder.base.names import DATABASE
from autograder.cli.options import Assignment, Format, Output, known, show
from autograder.databricks.database import check_database
from autograder.databricks.server import free_socket
from autograder.databricks.state import FOLDER, STATE, State
from autograder.databricks.tokens import Permission, Token, create_token, list_tokens, revoke_token

app = typer.Typer()
Folder = Annotated[
    Path, typer.Option(help="The notebook's folder, where its mlflow.db is.", file_okay=False, exists=True)
]
Port = Annotated[
    int | None, typer.Option(help="The port; the last one or a free one when not given.", min=1, max=65535)
]


def server_address(given: str | None) -> str | None:
    """A tracking URI as it was given; a usage error for a server's with a password in it."""
    try:
        if given is not None and is_server(given):
            refuse_password(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return given


TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="Serve the models of this tracking server instead of FOLDER's store.", callback=server_address
    ),
]
Idle = Annotated[float, typer.Option(help="Unload a model that nobody asked for so many seconds.", min=1)]

token_app = typer.Typer(help="Make, list and revoke the tokens of a workspace.", no_args_is_help=True)
app.add_typer(token_app, name="token")


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
            help="Check this store or tracking server instead of FOLDER's store.", callback=server_address
        ),
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="Look at the runs of this experiment only.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check your own work, task by task, as the check cells do; models are loaded on this machine."""
    from autograder.cli.beside import reading

    with reading(tracking_uri or str(folder), str(folder)) as facts:
        from autograder.data.settings import load_settings
        from autograder.pipeline.own_work import report_of
        from autograder.rubrics import UnknownAssignment

        try:
            report = report_of(assignment, facts, experiment, load_settings(folder))
        except UnknownAssignment as error:
            raise typer.BadParameter(str(error), param_hint="ASSIGNMENT") from None
    show(report, output)


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
    from autograder.pipeline.rehearsal import rehearse as run_rehearsal

    path = notebook or Path(f"{known(assignment)}.ipynb")
    if not path.is_file():
        raise typer.BadParameter(f"there is no {path}", param_hint="NOTEBOOK")
    with Console(stderr=True).status(f"Running {path.name} from the top …"):
        report = run_rehearsal(known(assignment), path)
    show(report, output)


@app.command()
def serve(
    folder: Folder = Path(), port: Port = None, tracking_uri: TrackingUri = None, idle: Idle = 1800
) -> None:
    """Serve the endpoints of a folder's workspace, and MLflow's UI, until Ctrl-C."""
    _serve(folder, port, tracking_uri, idle, browser=False)


@app.command()
def ui(folder: Folder = Path(), port: Port = None, tracking_uri: TrackingUri = None) -> None:
    """Open MLflow's UI on a folder's store in the browser; endpoints are served, too, until Ctrl-C."""
    _serve(folder, port, tracking_uri, 1800, browser=True)


def _serve(folder: Path, port: int | None, tracking_uri: str | None, idle: float, browser: bool) -> None:
    console = Console()
    if tracking_uri is None:
        check_database(folder.resolve() / DATABASE)
    state = State(folder)
    listening = free_socket(state, port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with console.status(f"Starting at {url} …"):
        from autograder.databricks.database import sqlite_uri
        from autograder.databricks.run_server import serve as run
    elsewhere = tracking_uri if tracking_uri and is_server(tracking_uri) else None
    what = "The" if elsewhere else "MLflow's UI and the"
    console.print(f"{what} serving endpoints of {state.folder} are at {url}", soft_wrap=True)
    if elsewhere:
        console.print(f"MLflow's UI is the tracking server's own, at {elsewhere}", soft_wrap=True)
    console.print(
        "For clients: DATABRICKS_HOST is that address, DATABRICKS_TOKEN what `mlflow-kit token create` says."
    )
    console.print("Ctrl-C ends it; runs, endpoints and the request log stay.")
    if browser:
        typer.launch(elsewhere or url)
    run(state.folder, tracking_uri or sqlite_uri(folder), listening, idle)


@token_app.command("create")
def create(
    folder: Folder = Path(),
    comment: Annotated[str, typer.Option(help="What the token is for.")] = "",
    lifetime: Annotated[
        float | None, typer.Option(help="Seconds until it expires; never when not given.")
    ] = None,
    permission: Annotated[Permission, typer.Option(help="What its bearer may do.")] = Permission.CAN_MANAGE,
    user: Annotated[str | None, typer.Option(help="Whose it is; yours when not given.")] = None,
) -> None:
    """Make a token and print it: it cannot be seen again."""
    text, token = create_token(_state(folder), comment, lifetime, permission, user)
    typer.echo(text)
    typer.echo(f"Token {token.id} of {token.user}, {token.permission}. It is not shown again.", err=True)


@token_app.command("list")
def list_all(folder: Folder = Path()) -> None:
    """List the tokens there are, and which of them still open something."""
    table = Table("id", "user", "permission", "comment", "created", "expires", "state")
    for token in list_tokens(_state(folder)):
        table.add_row(
            token.id,
            token.user,
            token.permission,
            token.comment,
            _time(token.created),
            _time(token.expires),
            _standing(token),
        )
    Console().print(table)


@token_app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="The token's id, as `mlflow-kit token list` shows it.")],
    folder: Folder = Path(),
) -> None:
    """End a token's validity now."""
    token = revoke_token(_state(folder), token_id)
    typer.echo(f"The token {token.id} of {token.user} opens nothing any more.")


def _state(folder: Path) -> State:
    """The workspace's state; a usage error where there neither is one nor a store that it would belong to."""
    if not (folder / FOLDER / STATE).exists() and not (folder / DATABASE).exists():
        raise typer.BadParameter(
            f"there is neither {DATABASE} nor {FOLDER}/ in {folder.resolve()}; expected the folder of "
            "a notebook "
            "that opened its workspace",
            param_hint="--folder",
        )
    return State(folder)


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "never"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _standing(token: Token) -> str:
    if token.revoked is not None:
        return "revoked"
    expired = token.expires is not None and token.expires <= datetime.now(UTC).timestamp() * 1000
    return "expired" if expired else "valid"
