"""What a workspace leaves is read as facts: while a server runs, and without changing anything."""

import hashlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import requests
from sklearn.tree import DecisionTreeClassifier

from autograder import evidence
from autograder.databricks import journal
from autograder.databricks.database import sqlite_uri
from autograder.databricks.features import Features
from autograder.databricks.server import Server, start_server
from autograder.databricks.state import State
from autograder.databricks.tables import Tables
from autograder.databricks.tokens import create_token, revoke_token
from autograder.evidence import Evidence
from autograder.evidence.digest import table_digest
from autograder.evidence.private_copy import copy_database
from autograder.evidence.store_reader import read_store
from autograder.evidence.workspace_reader import read_workspace
from autograder.pipeline.warm import WarmReader

pytestmark = pytest.mark.xdist_group("evidence-workspace")
FLOWERS = pd.DataFrame({"length": [1.5, 5.0, 2.0], "species": ["a", "b", None], "count": [1, 2, 3]})
X = pd.DataFrame({"length": [1.0, 2.0, 5.0, 6.0], "width": [1.0, 1.0, 2.0, 2.0]})


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def call(server: Server, path: str, token: str | None, body: Any, method: str = "POST") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request(method, server.url + path, headers=headers, json=body, timeout=60)


def entity(version: int) -> dict[str, str]:
    return {"entity_name": "Iris", "entity_version": str(version)}


def until_ready(server: Server, token: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = call(server, "/api/2.0/serving-endpoints/iris", token, None, "GET").json()["state"]
        if state == {"ready": "READY", "config_update": "NOT_UPDATING"}:
            return
        time.sleep(0.05)
    raise AssertionError("the endpoint is not ready")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two versions of a model, tables and tokens."""
    folder = tmp_path_factory.mktemp("home")
    uri = sqlite_uri(folder)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("mine", artifact_location=(folder / "mlruns").as_uri())
    model = DecisionTreeClassifier().fit(X, ["a", "a", "b", "b"])
    for _ in range(2):
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name="Iris",
                input_example=X,
                skops_trusted_types=["sklearn.tree._tree.Tree"],
            )
    tables = Tables(folder)
    tables.write("flowers", FLOWERS, run_id="run-0")
    tables.write("flowers", FLOWERS, mode="append", run_id="run-1")
    times = pd.to_datetime(["2026-01-01", "2026-01-02"])
    Features(tables).create_table("features", pd.DataFrame({"id": [1, 2], "at": times}), "id", "at")
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    mlflow.set_registry_uri(None)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[Server, str]]:
    """The workspace's server, and a token."""
    text, _ = create_token(State(home), "mine", 3600, user="ada")
    _, other = create_token(State(home), "old", user="ada")
    revoke_token(State(home), other.id)
    started = start_server(home, sqlite_uri(home))
    yield started, text
    started.close()


@pytest.fixture(scope="module")
def facts(home: Path, server: tuple[Server, str]) -> Evidence:
    """What an exercise would leave, read while the server runs."""
    running, token = server
    path = "/serving-endpoints/iris/invocations"
    config = {"served_entities": [entity(1)]}
    made = call(running, "/api/2.0/serving-endpoints", token, {"name": "iris", "config": config})
    assert made.status_code == 200, made.text
    until_ready(running, token)
    record = {"length": 1.0, "width": 1.0}
    bodies: list[tuple[str | None, Any]] = [
        (token, {"dataframe_records": [record], "client_request_id": "mine-1"}),
        (token, {"dataframe_split": {"columns": list(record), "data": [[6.0, 2.0]]}}),
        (None, {"dataframe_records": [record]}),
        (token, {}),
    ]
    answers = [call(running, path, by, body).status_code for by, body in bodies]
    assert answers == [200, 200, 401, 400]
    for new, routes in (([1, 2], (90, 10)), ([2], (100,))):
        asked = {
            "served_entities": [entity(version) for version in new],
            "traffic_config": {
                "routes": [
                    {"served_model_name": f"Iris-{version}", "traffic_percentage": percent}
                    for version, percent in zip(new, routes, strict=True)
                ]
            },
        }
        call(running, "/api/2.0/serving-endpoints/iris/config", token, asked, "PUT").raise_for_status()
        until_ready(running, token)
    return read_store(sqlite_uri(home))


def test_an_endpoint_and_its_way_are_told(facts: Evidence) -> None:
    (endpoint,) = facts.endpoints
    assert (endpoint.name, endpoint.creator, endpoint.ready) == ("iris", "ada", "READY")
    assert endpoint.routes == {"Iris-2": 100}
    (served,) = endpoint.entities
    assert (served.model_name, served.version) == ("Iris", 2)
    assert served.source == facts.registered[0].versions[1].source
    done = [change for change in facts.endpoint_changes if change.what == "updated"]
    assert [change.routes for change in done] == [
        {"Iris-1": 100},
        {"Iris-1": 90, "Iris-2": 10},
        {"Iris-2": 100},
    ]
    assert facts.endpoint_changes[0].what == "created"
    assert facts.endpoint_changes[0].by == "ada"
    times = [change.time for change in facts.endpoint_changes]
    assert times == sorted(times)
    assert facts.findings == ()


def test_calls_are_told_with_what_they_asked_and_got(facts: Evidence) -> None:
    assert [call.status for call in facts.requests] == [200, 200, 401, 400]
    first, second, refused, wrong = facts.requests
    assert (first.client_id, first.requester, first.endpoint) == ("mine-1", "ada", "iris")
    assert (first.model_name, first.version, first.served_entity) == ("Iris", 1, "Iris-1")
    assert '"predictions"' in (first.response or "")
    assert "dataframe_split" in (second.request or "")
    assert (refused.requester, refused.version) == (None, None)
    assert wrong.requester == "ada"
    assert not any(call.cut for call in facts.requests)


def test_tokens_are_told_without_what_opens(facts: Evidence, server: tuple[Server, str]) -> None:
    named = {token.comment: token for token in facts.tokens}
    assert named["mine"].expires is not None
    assert named["mine"].revoked is None
    assert named["old"].expires is None
    assert named["old"].revoked is not None
    assert server[1][12:] not in evidence.dump(facts)


def test_tables_are_told_with_versions_runs_and_digests(facts: Evidence) -> None:
    tables = {table.name: table for table in facts.tables}
    flowers = tables["flowers"]
    assert flowers.columns == {"length": "double", "species": "string", "count": "long"}
    assert flowers.rows == 6
    assert [(v.number, v.operation, v.rows_written, v.run_id, v.rows) for v in flowers.versions] == [
        (0, "WRITE", 3, "run-0", 3),
        (1, "WRITE", 3, "run-1", 6),
    ]
    assert flowers.versions[0].digest == table_digest(FLOWERS)
    assert flowers.versions[1].digest == table_digest(pd.concat([FLOWERS[::-1], FLOWERS]))
    assert tables["features"].primary_keys == ("id",)
    assert tables["features"].timestamp_column == "at"


def test_facts_go_to_json_and_back_and_older_ones_still_load(facts: Evidence) -> None:
    assert evidence.load(evidence.dump(facts)) == facts
    assert evidence.load('{"seed": 1}') == Evidence(seed=1)


def test_a_warm_process_reads_the_same(home: Path, facts: Evidence) -> None:
    with WarmReader() as reader:
        there = reader.read_store(sqlite_uri(home), facts.seed)
    assert (there.endpoints, there.tokens) == (facts.endpoints, facts.tokens)
    assert there.requests == facts.requests
    assert [table for table in there.tables if table.name == "flowers"]


def test_reading_during_traffic_counts_each_call_once(
    home: Path, facts: Evidence, server: tuple[Server, str]
) -> None:
    running, token = server
    stop = threading.Event()
    ids: list[str] = []

    def knock() -> None:
        while not stop.is_set():
            body = {"dataframe_records": [{"length": 1.0, "width": 1.0}]}
            ids.append(
                call(running, "/serving-endpoints/iris/invocations", token, body).headers["x-request-id"]
            )

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        for _ in range(8):  # longer than the pause after which the server moves its journal
            time.sleep(journal.PAUSE / 6)
            answered = set(ids)
            seen = read_workspace(home)
            found = [each.request_id for each in seen.requests]
            assert seen.findings == ()
            assert len(found) == len(set(found))
            assert answered <= set(found)
    finally:
        stop.set()
        thread.join()


def test_reading_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    state = State(tmp_path)
    create_token(state, "one")
    connection = state.connect()  # keeps the log beside the file, as a killed server does
    create_token(state, "two")
    Tables(tmp_path).write("flowers", FLOWERS)
    before = hashes(tmp_path)
    seen = read_workspace(tmp_path)
    assert {token.comment for token in seen.tokens} == {"one", "two"}
    assert hashes(tmp_path) == before
    connection.close()
    assert read_workspace(tmp_path / "nowhere").findings == ()
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_is_taken_again_when_a_checkpoint_comes_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path)
    connection = state.connect()
    create_token(state, "before")
    copyfile, done = shutil.copyfile, []

    def slow(source: Path, target: Path) -> None:
        copyfile(source, target)
        if not done:
            done.append(True)
            create_token(state, "meanwhile")
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
            create_token(state, "after")

    monkeypatch.setattr("autograder.evidence.private_copy.shutil.copyfile", slow)
    copy_database(state.path, tmp_path / "copy.db")
    connection.close()
    with sqlite3.connect(tmp_path / "copy.db") as copied:
        found = {comment for (comment,) in copied.execute("SELECT comment FROM tokens")}
    assert found == {"before", "meanwhile", "after"}
