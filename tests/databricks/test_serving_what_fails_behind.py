"""What the workspace's server says when a store, a tracking server or a model behind it fails."""

import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autograder.databricks.server import start_server
from autograder.databricks.service import PATIENCE_VARIABLE as ANSWER_PATIENCE_VARIABLE
from tests.databricks.test_serving_bad_input import ENDPOINTS
from tests.support.served import Served, config, refused, until

pytestmark = pytest.mark.xdist_group("serving bad input")


def test_a_store_of_another_mlflow_is_503_and_says_what_to_do(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'cc1f77228345'")
    connection.close()
    served.start()
    try:
        words = ("mlflow.db", "made by another MLflow (schema cc1f77228345)", "mlflow db upgrade")
        for _ in range(2):
            refused(served.ask_model("Signed", "1"), 503, *words)
        body = {"name": "new", "config": config(("Signed", "1", 100))}
        refused(served.call("POST", ENDPOINTS, json=body), 503, *words)
        refused(served.ask("nope"), 404)
    finally:
        served.close()


def test_a_store_that_fails_later_is_503_and_not_unknown(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.register_constant("Word", "one")
    served.start()
    try:
        assert served.ask_model("Word", "1").status_code == 200
        with sqlite3.connect(tmp_path / "mlflow.db") as connection:
            connection.execute("ALTER TABLE model_versions RENAME TO elsewhere")
        connection.close()
        refused(served.ask_model("Word", "1"), 503, "mlflow.db cannot be asked", "no such table")
        with sqlite3.connect(tmp_path / "mlflow.db") as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO model_versions")
        connection.close()
        assert served.ask_model("Word", "1").status_code == 200
    finally:
        served.close()


def test_a_tracking_server_that_is_down_is_503_soon_and_no_password_is_told(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with socket.socket() as nobody:  # has the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        served.servers.append(start_server(tmp_path, f"http://ann:secret@{address}"))
        try:
            began = time.monotonic()
            answer = served.ask_model("Word", "1")
            refused(answer, 503, f"The store http://{address} cannot be asked")
            assert "secret" not in answer.text
            assert answer.headers["Retry-After"] == "1"
            assert time.monotonic() - began < 15
        finally:
            served.close()


def test_models_that_are_stuck_are_504_and_hold_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(tmp_path)
    held = tmp_path / "held"
    held.touch()
    waits = f"while os.path.exists({str(held)!r}): time.sleep(0.05)"
    served.register_constant("Word", "one")
    served.register_constant("Word", "two")
    served.register_code("Stuck", predict=f"exec({waits!r}); return ['done'] * len(model_input)")
    served.register_code("StuckEarly", load=waits)
    monkeypatch.setenv(ANSWER_PATIENCE_VARIABLE, "4")
    served.start()
    try:
        served.create("stuck", ("Stuck", "1", 100))  # in memory: it is its predict that does not end
        with ThreadPoolExecutor(24) as pool:
            # more than a model answers at once, and more than asyncio has threads
            late = [pool.submit(served.ask_model, name, "1") for name in ("Stuck", "StuckEarly") * 12]
        told = ("the model's predict took longer", "loading the model, which goes on, took longer")
        for number, each in enumerate(late):
            refused(each.result(), 504, "within 4 seconds", told[number % 2])
            assert each.result().headers["x-request-id"]
        assert held.exists()  # they are at it still, and others are found, loaded and asked
        for version in "12":
            until(lambda version=version: served.ask_model("Word", version).status_code == 200)
        held.unlink()
        for name in ("Stuck", "StuckEarly"):
            until(lambda name=name: served.ask_model(name, "1").status_code == 200)
    finally:
        held.unlink(missing_ok=True)
        served.close()
