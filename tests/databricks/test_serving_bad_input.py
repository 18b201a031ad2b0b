"""What the workspace's server says to requests that cannot be answered, and that it goes on afterwards."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from autograder.databricks.access import PATIENCE_VARIABLE
from tests.support.served import FLOWERS, SPLIT, Served, config, refused

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
