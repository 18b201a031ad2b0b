"""A server that cannot start says why, and leaves what it found as it is."""

import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autograder.databricks.listen import LARGEST_LOG
from autograder.databricks.server import start_server
from autograder.databricks.state import FOLDER, STATE, State, WorkspaceError
from tests.conftest import environment
from tests.support.served import Served, refused


def test_a_port_that_is_taken_is_said_and_the_one_who_has_it_goes_on(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.start()
    port = int(served.url.rpartition(":")[2])
    try:
        with pytest.raises(WorkspaceError, match=rf"did not start on port {port}.*in use.*Expected a port"):
            start_server(tmp_path, served.uri, port=port)
        assert served.call("GET", "/ping").status_code == 200
    finally:
        served.close()


def test_a_state_is_opened_again_and_again(tmp_path: Path) -> None:
    served = Served(tmp_path)
    before = (tmp_path / FOLDER / STATE).read_bytes()
    State(tmp_path)
    assert (tmp_path / FOLDER / STATE).read_bytes() == before
    assert len(served.new_token()) == 44


def _of_a_later_kit(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tokens (other TEXT)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _of_somebody_else(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE groceries (name TEXT)")
    connection.close()


def _with_a_hole(path: Path) -> None:
    Served(path.parent.parent).new_token()
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO journal (record) VALUES (?)", [("{}" * 500,)] * 100)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 8] = b"\x55" * (4096 * 7)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 500), "file is not a database"),
        (_of_a_later_kit, "later release of the kit .format 99.; expected format 1"),
        (_of_somebody_else, "it has the tables groceries"),
        (_with_a_hole, "cannot be used"),
    ],
    ids=["noise", "later", "foreign", "hole"],
)
def test_a_state_that_cannot_be_used_is_said_and_left_as_it_is(
    tmp_path: Path, damage: Any, said: str
) -> None:
    path = tmp_path / FOLDER / STATE
    path.parent.mkdir()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(WorkspaceError, match=f"(?i){said}.*ove "):
        start_server(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert path.read_bytes() == before


def spoil(folder: Path) -> None:
    """Have every call fail in a way that nobody foresaw."""
    with sqlite3.connect(folder / FOLDER / STATE) as connection:
        connection.execute("ALTER TABLE tokens RENAME TO elsewhere")
    connection.close()


def mend(folder: Path) -> None:
    with sqlite3.connect(folder / FOLDER / STATE) as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO tokens")
    connection.close()


def test_what_a_server_wrote_before_is_kept_until_it_is_large(tmp_path: Path) -> None:
    served = Served(tmp_path)
    log = tmp_path / FOLDER / "serving.log"
    served.start()
    assert served.call("GET", "/ping").status_code == 200
    spoil(tmp_path)
    refused(served.ask("nobody"), 500, "workspace/serving.log says where")
    mend(tmp_path)
    served.close()
    written = log.read_text()
    assert "no such table: tokens" in written
    start_server(tmp_path, served.uri).close()
    assert log.read_text().startswith(written)
    with log.open("a") as file:
        file.write("x" * LARGEST_LOG)
    start_server(tmp_path, served.uri).close()
    assert log.stat().st_size < LARGEST_LOG
    assert log.with_name("serving.log.old").read_text().startswith(written)


def test_a_server_in_a_terminal_names_the_terminal(tmp_path: Path) -> None:
    served = Served(tmp_path)
    process = subprocess.Popen(
        ["mlflow-kit", "serve"],
        cwd=tmp_path,
        env=environment(COLUMNS="200"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        url = line[line.index("http://") :].strip()
        assert served.call("GET", "/ping", url).status_code == 200
        spoil(tmp_path)
        refused(served.ask("nobody", url), 500, "in the terminal in which the server runs says where")
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert "no such table: tokens" in said
    assert not (tmp_path / FOLDER / "serving.log").exists()
