"""What the workspace's server says to requests that cannot be answered, and that it goes on afterwards."""

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autograder.workspace.server import start_server
from autograder.workspace.serving.access import PATIENCE_VARIABLE
from autograder.workspace.serving.service import PATIENCE_VARIABLE as ANSWER_PATIENCE_VARIABLE
from tests.served import FLOWERS, SPLIT, Served, config, refused, until

pytestmark = pytest.mark.xdist_group("serving bad input")

COLUMNS = list(FLOWERS.X_test.columns)
FLOWER = [5.1, 3.5, 1.4, 0.2]
ENDPOINTS = "/api/2.0/serving-endpoints"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("bad"))
    served.register_flowers("Signed")
    served.register_flowers("Bare", arrays=True, signature=False)
    served.client.set_registered_model_alias("Signed", "champion", "1")
    served.register_code("Ends", load="pass", predict="sys.exit(3)")
    served.register_code("EndsEarly", load="sys.exit(4)")
    served.register_code("Raises", predict="raise KeyError('petal')")
    served.register_code("Half", predict="return ['\\ud800'] * len(model_input)")
    served.register_constant("模型 x", "one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PATIENCE_VARIABLE, "2")
        served.start()
    served.create("signed", ("Signed", "1", 100))
    yield served
    served.close()


def test_what_is_unknown_is_404_and_says_what_there_is(served: Served) -> None:
    refused(served.ask("nope"), 404, "“nope”", "The endpoints are:", "signed")
    refused(served.call("GET", f"{ENDPOINTS}/nope"), 404, "“nope”", "signed")
    refused(served.call("DELETE", f"{ENDPOINTS}/nope"), 404, "“nope”")
    refused(served.update("nope", ("Signed", "1", 100)), 404, "“nope”")
    refused(served.call("PATCH", f"{ENDPOINTS}/nope/tags", json={}), 404, "“nope”")
    refused(served.ask_model("Nope", "1"), 404, "no registered model “Nope”", "Signed")
    for selector in ("7", "Staging", "challenger", "0", "-1", "1.0", "%00", "x" * 300):
        answer = served.ask_model("Signed", selector)
        refused(answer, 404, "Its versions are 1", "stages with a version: None", "aliases: champion")
    answer = served.call("POST", "/serving-endpoints/signed/served-models/other/invocations", json=SPLIT)
    refused(answer, 404, "serves nothing called “other”", "Signed-1")
    body = {"name": "new", "config": config(("Signed", "7", 100))}
    refused(served.call("POST", ENDPOINTS, json=body), 404, "“7”", "Its versions are 1")
    refused(served.call("POST", "/api/2.0/token/delete", json={"token_id": "x"}), 404, "no token")


ENTITY = {"entity_name": "Signed", "entity_version": "1"}
ROUTE = {"served_model_name": "Signed-1", "traffic_percentage": 100}
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing served": ({"served_entities": []}, "expected at least one"),
    "sum 90": (
        {"served_entities": [ENTITY], "traffic_config": {"routes": [{**ROUTE, "traffic_percentage": 90}]}},
        "must sum to 100; found 90 = 90",
    ),
    "sum 110": (
        {
            "served_entities": [ENTITY],
            "traffic_config": {"routes": [ROUTE, {**ROUTE, "traffic_percentage": 10}]},
        },
        "found 100 + 10 = 110",
    ),
    "negative": (
        {"served_entities": [ENTITY], "traffic_config": {"routes": [{**ROUTE, "traffic_percentage": -1}]}},
        "greater than or equal to 0",
    ),
    "a route to nobody": (
        {
            "served_entities": [ENTITY],
            "traffic_config": {"routes": [{**ROUTE, "served_model_name": "Other-1"}]},
        },
        "“Other-1”, which is not served; served are: Signed-1",
    ),
    "two without traffic": (
        {"served_entities": [ENTITY, {**ENTITY, "name": "second"}]},
        "has no traffic_config",
    ),
    "one name twice": (
        {"served_entities": [{**ENTITY, "name": "a"}, {**ENTITY, "name": "a"}]},
        "share a name",
    ),
    "an alias": ({"served_entities": [{**ENTITY, "entity_version": "champion"}]}, "by its number"),
    "no version": ({"served_entities": [{"entity_name": "Signed"}]}, "entity_version: Field required"),
    "misspelled entities": ({"served_entites": [ENTITY]}, "was “served_entities” meant?"),
    "misspelled traffic": ({"served_entities": [ENTITY], "trafic_config": {}}, "was “traffic_config” meant?"),
    "misspelled version": (
        {"served_entities": [{**ENTITY, "entity_verison": "1"}]},
        "was “entity_version” meant?",
    ),
    "deep": (
        {"served_entities": [{**ENTITY, "environment_vars": json.loads("[" * 300 + "]" * 300)}]},
        "10 deep",
    ),
    "half a character": (
        {"served_entities": [{**ENTITY, "environment_vars": {"a": "\ud800"}}]},
        "or no text",
    ),
    "no number": ({"served_entities": [{**ENTITY, "environment_vars": {"a": float("nan")}}]}, "or no text"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_configuration_that_makes_no_sense_is_400_and_changes_nothing(served: Served, kind: str) -> None:
    given, said = CONFIGS[kind]
    before = served.get("signed")
    for method, path, body in (
        ("POST", ENDPOINTS, {"name": "new", "config": given}),
        ("PUT", f"{ENDPOINTS}/signed/config", given),
    ):
        headers = {**served.bearer, "Content-Type": "application/json"}
        refused(served.call(method, path, data=json.dumps(body), headers=headers), 400, said)
    assert served.get("signed") == before
    refused(served.call("GET", f"{ENDPOINTS}/new"), 404)


def test_a_name_is_taken_once_and_must_fit_a_url(served: Served) -> None:
    body = {"name": "signed", "config": config(("Signed", "1", 100))}
    answer = served.call("POST", ENDPOINTS, json=body)
    refused(answer, 400, "already exists")
    assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    for name in ("", "a/b", "a b", "é", "-a", "a" * 64, "a\n", None, 7):
        refused(served.call("POST", ENDPOINTS, json={**body, "name": name}), 400, "name")
    refused(served.call("POST", ENDPOINTS, json={**body, "name": "x", "tgas": []}), 400, "“tags” meant?")


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/xml", "application/json; charset=latin-1", "é"]
)
def test_a_missing_or_unknown_content_type_is_415(served: Served, media: str) -> None:
    headers = {**served.bearer, "Content-Type": media.encode("latin-1")} if media else served.bearer
    answer = served.ask("signed", data=json.dumps(SPLIT), headers=headers)
    refused(answer, 415, "" if media else "Send 'Content-Type: application/json'")


def test_a_body_of_100_mb_is_413_and_its_sender_hears_it(served: Served) -> None:
    for size in (16 * 2**20 + 1, 100_000_000):
        answer = served.ask("signed", data=b"x" * size)
        refused(answer, 413, str(size), "in several requests")
    parts = (b"x" * 2**20 for _ in range(40))  # without a length
    refused(served.ask("signed", data=parts), 413, "in several requests")


def test_a_slow_sender_is_408_and_others_are_not_held_up(served: Served) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=30) for _ in range(20)]
    head = (
        f"POST /serving-endpoints/signed/invocations HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {served.token}\r\nContent-Type: application/json\r\n\r\n"
    )
    began = time.monotonic()
    for connection in slow:
        connection.sendall(head.encode() + b"{" * 50)
    asked = 0
    while time.monotonic() < began + 1.5:
        assert served.ask_model("Bare", "1").status_code == 200
        asked += 1
    assert asked > 5
    for connection in slow:
        text = connection.recv(10_000).decode()
        assert text.startswith("HTTP/1.1 408 ")
        if "message" not in text:
            text += connection.recv(10_000).decode()
        assert "within 2 seconds: 50 bytes of 100" in text
        connection.close()
    assert 1.5 < time.monotonic() - began < 20
    gone = socket.create_connection((host, int(port)), timeout=30)
    gone.sendall(head.encode())
    gone.close()
    assert served.ask_model("Bare", "1").status_code == 200


def test_odd_names_in_urls_are_404_or_answered(served: Served) -> None:
    for name in (
        "a%2Fb",
        "%2e%2e%2fsecret",
        "%00",
        "%ff",
        "é",
        "模型",
        "x" * 10_000,
        "a%0d%0aX: y",
        "'",
        "%5C",
    ):
        refused(served.ask(name), 404)
        refused(served.call("GET", f"{ENDPOINTS}/{name}"), 404)
        refused(served.ask_model(name, "1"), 404)
        refused(served.ask_model("Signed", name), 404)
    answer = served.ask_model("模型 x", "1")
    assert (answer.status_code, answer.json()) == (200, {"predictions": ["one"]})
    assert answer.headers["served-model-name"] == "x-1"
    found = served.call(
        "POST",
        ENDPOINTS,
        json={"name": "odd", "config": {"served_entities": [{"entity_name": "模型 x", "entity_version": 1}]}},
    )
    assert found.status_code == 200
    served.settled("odd")
    assert served.ask("odd").json() == {"predictions": ["one"]}


def test_what_is_not_offered_or_asked_in_the_wrong_way_is_said(served: Served) -> None:
    for method, path in (
        ("PUT", f"{ENDPOINTS}/signed/ai-gateway"),
        ("GET", "/api/2.0/token/other"),
        ("POST", "/serving-endpoints/signed"),
        ("GET", "/model/Signed"),
    ):
        refused(served.call(method, path, json={}), 404, "No API found", path, "/openapi.json")
    answer = served.call("DELETE", ENDPOINTS)
    refused(answer, 405, "GET, POST")
    assert answer.headers["Allow"] == "GET, POST"
    refused(served.call("GET", "/serving-endpoints/signed/invocations"), 405, "POST")


def test_a_model_that_fails_or_ends_the_process_is_an_error_of_its_call_alone(served: Served) -> None:
    refused(served.ask_model("Raises", "1"), 400, "unexpected error while evaluating the model")
    refused(served.ask_model("Ends", "1"), 400, "SystemExit: 3")
    refused(served.ask_model("EndsEarly", "1"), 400, "could not be loaded", "SystemExit: 4")
    assert served.create("ends", ("EndsEarly", "1", 100))["state"]["config_update"] == "UPDATE_FAILED"
    assert served.ask_model("Half", "1").json() == {"predictions": ["\ud800"]}
    assert served.ask_model("Bare", "1").status_code == 200


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
