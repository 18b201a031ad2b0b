"""What commands print where the code page has not every character, and that MLflow's telemetry is off."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from autograder.databricks.database import sqlite_uri
from tests.cli.test_workspace_commands import asked, start
from tests.conftest import environment

pytestmark = pytest.mark.xdist_group("commands")

LOGGED = """
import mlflow
mlflow.set_tracking_uri({uri!r})
mlflow.set_experiment("✔ 日本")
with mlflow.start_run(run_name="naïve ✘"):
    mlflow.log_metric("accuracy", 1)
"""


def printed(
    *command: str, folder: Path, encoding: str, **changes: str
) -> "subprocess.CompletedProcess[bytes]":
    """A command whose output goes into a pipe, as on Windows with that code page."""
    said = environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0", **changes)
    return subprocess.run(command, cwd=folder, env=said, capture_output=True, check=False, timeout=300)


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp932"])
def test_a_report_is_printed_in_every_code_page(folder: Path, encoding: str) -> None:
    subprocess.run([sys.executable, "-c", LOGGED.format(uri=sqlite_uri(folder))], cwd=folder, check=True)
    done = printed("mlflow-kit", "check", "01-tracking", folder=folder, encoding=encoding)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode(encoding)
    assert "  x The project has an experiment of its own" in said
    assert ("日本" in said) == (encoding == "cp932")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "cp437:strict"])
def test_the_doctor_tells_well_from_ill_in_every_code_page(tmp_path: Path, encoding: str) -> None:
    done = printed(
        "mlflow-kit", "doctor", folder=tmp_path, encoding=encoding, MLFLOW_KIT_BWRAP="/nowhere", COLUMNS="120"
    )
    said = done.stdout.decode(encoding.partition(":")[0])
    assert done.returncode == 1, done.stderr
    assert "+ | mlflow" in said
    assert "x | sandbox" in said
    assert "mend what has a x." in said


def test_a_script_in_a_folder_that_the_code_page_cannot_write_opens_its_workspace(tmp_path: Path) -> None:
    (tmp_path / "日本 ✔").mkdir()
    opening = "from autograder.workspace import open_workspace; open_workspace(); print('✔')"
    done = printed(sys.executable, "-c", opening, folder=tmp_path / "日本 ✔", encoding="cp1252")
    assert done.returncode == 0, done.stderr
    assert "?? +" in done.stdout.decode("cp1252")


TELLS = """
import atexit, os, sys
def tell():
    if "mlflow.server" in sys.modules:
        from mlflow.telemetry.client import get_telemetry_client
        told = (os.environ.get("MLFLOW_DISABLE_TELEMETRY"), get_telemetry_client() is None)
        open(os.environ["TOLD"], "a").write(repr(told))
atexit.register(tell)
"""


@pytest.mark.parametrize("command", ["serve", "ui"])
def test_mlflow_s_telemetry_is_off_in_what_serves(folder: Path, command: str) -> None:
    (folder / "begins").mkdir()
    (folder / "begins" / "sitecustomize.py").write_text(TELLS, encoding="utf-8")
    changes = {"PYTHONPATH": str(folder / "begins"), "TOLD": str(folder / "told"), "BROWSER": "true"}
    process, url = start("mlflow-kit", command, folder=folder, **changes)
    assert "MLflow" in asked(url).text
    asked_for = {"max_results": 1}
    requests.post(f"{url}/ajax-api/2.0/mlflow/experiments/search", json=asked_for, timeout=60)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert (folder / "told").read_text(encoding="utf-8") == "('true', True)"
