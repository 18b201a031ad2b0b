"""Endpoints share their calls out, change without a gap, and outlive the server that made them."""

import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from autograder.databricks.server import Server
from tests.support.served import SPLIT, Served, refused, until

pytestmark = pytest.mark.xdist_group("serving endpoints")

#: A model whose load waits while the file `held` is there.
HELD = "while os.path.exists({held!r}): time.sleep(0.02)"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("endpoints"))
    served.register_constant("Word", "one")
    served.register_constant("Word", "two")
    served.register_code("Held", load=HELD.format(held=str(served.folder / "held")))
    served.register_code("Broken", load="raise RuntimeError('the scaler is missing')")
    served.start(idle=1)
    yield served
    (served.folder / "held").unlink(missing_ok=True)
    served.close()


@pytest.fixture
def held(served: Served) -> Iterator[Path]:
    """While this file is there, the model Held does not come up."""
    path = served.folder / "held"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def kill(server: Server) -> None:
    """End a server that a test started, as a machine without memory does."""
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(30)


def answers(served: Served, endpoint: str, calls: int) -> Counter[str]:
    """How often an endpoint answered what; the header and the answer agree."""
    found: Counter[str] = Counter()
    with requests.Session() as session:
        for _ in range(calls):
            url = f"{served.url}/serving-endpoints/{endpoint}/invocations"
            answer = session.post(url, json=SPLIT, headers=served.bearer, timeout=30)
            assert answer.status_code == 200, answer.text
            (word,) = answer.json()["predictions"]
            assert answer.headers["served-model-name"] == {"one": "Word-1", "two": "Word-2"}[word]
            found[word] += 1
    return found


def test_none_of_the_calls_go_to_a_share_of_zero(served: Served) -> None:
    served.create("never", ("Word", "1", 0), ("Word", "2", 100))
    assert answers(served, "never", 150) == {"two": 150}
    path = "/serving-endpoints/never/served-models/Word-1/invocations"
    assert served.call("POST", path, json=SPLIT).json() == {"predictions": ["one"]}


def test_calls_are_shared_out_by_the_percentages(served: Served) -> None:
    served.create("shared", ("Word", "1", 90), ("Word", "2", 10))
    found = answers(served, "shared", 400)
    # binomial(400, 0.1): less than 11 or more than 75 come once in ten million runs
    assert 11 <= found["two"] <= 75


def test_a_new_version_comes_without_a_gap(served: Served) -> None:
    served.create("steady", ("Word", "1", 100))
    stop, seen, wrong = threading.Event(), [], []

    def call() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                url = f"{served.url}/serving-endpoints/steady/invocations"
                answer = session.post(url, json=SPLIT, headers=served.bearer, timeout=30)
                if answer.status_code == 200:
                    seen.append(answer.json()["predictions"][0])
                else:
                    wrong.append((answer.status_code, answer.text))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        until(lambda: len(seen) > 20)
        assert served.update("steady", ("Word", "2", 100)).status_code == 200
        served.settled("steady")
        after = len(seen) + 1  # one call may be under way
        until(lambda: len(seen) > after + 20)
    finally:
        stop.set()
        caller.join()
    assert not wrong
    assert seen[0] == "one"
    assert set(seen[after:]) == {"two"}
    assert seen == sorted(seen)  # never back


def test_no_second_update_while_one_is_under_way(served: Served, held: Path) -> None:
    served.create("busy", ("Word", "1", 100))
    assert served.update("busy", ("Held", "1", 100)).status_code == 200
    refused(served.update("busy", ("Word", "2", 100)), 409, "is being updated", "NOT_UPDATING")
    assert served.ask("busy").json() == {"predictions": ["one"]}
    held.unlink()
    assert served.settled("busy")["config"]["served_entities"][0]["entity_name"] == "Held"
    assert served.ask("busy").json() == {"predictions": ["done"]}
    assert served.update("busy", ("Word", "2", 100)).status_code == 200


def test_an_update_that_fails_leaves_the_old_version_in_place_and_says_why(served: Served) -> None:
    served.create("brave", ("Word", "1", 100))
    assert served.update("brave", ("Broken", "1", 100)).status_code == 200
    found = served.settled("brave")
    assert found["state"] == {"ready": "READY", "config_update": "UPDATE_FAILED"}
    (entity,) = found["pending_config"]["served_entities"]
    assert entity["state"]["deployment"] == "DEPLOYMENT_FAILED"
    assert "the scaler is missing" in entity["state"]["deployment_state_message"]
    logs = "/api/2.0/serving-endpoints/brave/served-models/{}/logs"
    assert "the scaler is missing" in served.call("GET", logs.format("Broken-1")).json()["logs"]
    told = served.call("GET", logs.format("Word-1")).json()["logs"]
    assert told.startswith("DEPLOYMENT_READY\nversion 1 of Word has no signature")
    assert served.ask("brave").json() == {"predictions": ["one"]}

    assert served.update("brave", ("Word", "2", 100)).status_code == 200
    found = served.settled("brave")
    assert (found["state"]["config_update"], "pending_config" in found) == ("NOT_UPDATING", False)
    assert served.ask("brave").json() == {"predictions": ["two"]}


def test_an_endpoint_whose_only_model_fails_says_why_when_it_is_asked(served: Served) -> None:
    found = served.create("broken", ("Broken", "1", 100))
    assert found["state"] == {"ready": "NOT_READY", "config_update": "UPDATE_FAILED"}
    refused(served.ask("broken"), 400, "the scaler is missing", "load_model('models:/Broken/1')")
    refused(served.ask_model("Broken", "1"), 400, "the scaler is missing")


def test_an_endpoint_that_is_not_ready_says_so(served: Served, held: Path) -> None:
    until(lambda: served.ask("nobody").status_code == 404)
    served.register_code("Held", load=HELD.format(held=str(held)))
    served.create("coming", ("Held", "2", 100), wait=False)
    answer = served.ask("coming")
    refused(answer, 503, "not ready yet", "state.ready")
    assert answer.headers["Retry-After"] == "1"
    entity = "/serving-endpoints/{}/served-models/Held-2/invocations"
    refused(served.call("POST", entity.format("coming"), json=SPLIT), 503, "not ready yet", "state.ready")
    served.create("changing", ("Word", "1", 100))
    assert served.update("changing", ("Held", "2", 100)).status_code == 200
    refused(served.call("POST", entity.format("changing"), json=SPLIT), 503, "state.config_update")
    held.unlink()
    served.settled("coming")
    served.settled("changing")
    assert served.call("POST", entity.format("changing"), json=SPLIT).status_code == 200
    assert served.ask("coming").status_code == 200


def test_an_endpoint_that_was_deleted_while_loading_does_not_come_back(served: Served, held: Path) -> None:
    served.register_code("Held", load=HELD.format(held=str(held)))
    served.create("gone", ("Held", "3", 100), wait=False)
    assert served.call("DELETE", "/api/2.0/serving-endpoints/gone").status_code == 200
    served.create("gone", ("Word", "1", 100))
    held.unlink()
    until(lambda: served.ask_model("Held", "3").status_code == 200)
    for _ in range(20):  # what was loading is written down a moment after it is loaded
        assert served.get("gone")["config"]["served_entities"][0]["entity_name"] == "Word"
        time.sleep(0.05)


def test_a_model_that_was_made_anew_is_not_answered_from_memory(served: Served) -> None:
    served.register_constant("Anew", "old")
    served.create("anew", ("Anew", "1", 100))
    assert served.ask_model("Anew", "1").json() == {"predictions": ["old"]}
    served.client.delete_registered_model("Anew")
    refused(served.ask_model("Anew", "1"), 404, "no registered model")
    served.register_constant("Anew", "new")
    assert served.ask_model("Anew", "1").json() == {"predictions": ["new"]}
    assert served.update("anew", ("Anew", "1", 100)).status_code == 200
    served.settled("anew")
    assert served.ask("anew").json() == {"predictions": ["new"]}


def loads(served: Served) -> int:
    return (served.folder / "loads").read_text().count("x")


def test_an_idle_model_is_unloaded_and_comes_back_when_asked(served: Served) -> None:
    written = f"open({str(served.folder / 'loads')!r}, 'a').write('x')"
    served.register_code("Lazy", load=written, predict="return [str(os.getpid())] * len(model_input)")
    served.create("lazy", ("Lazy", "1", 100))
    before = loads(served)

    def came_back() -> bool:
        threading.Event().wait(1.5)
        assert served.ask("lazy").status_code == 200
        return loads(served) > before

    until(came_back)
    before = loads(served)
    assert [served.ask("lazy").status_code for _ in range(3)] == [200] * 3
    assert loads(served) == before


def test_a_model_that_may_not_scale_to_zero_stays(served: Served) -> None:
    written = f"open({str(served.folder / 'stays')!r}, 'a').write('x')"
    served.register_code("Stays", load=written)
    entity = {"entity_name": "Stays", "entity_version": "1", "scale_to_zero_enabled": False}
    body = {"name": "stays", "config": {"served_entities": [entity]}}
    assert served.call("POST", "/api/2.0/serving-endpoints", json=body).status_code == 200
    served.settled("stays")
    before = (served.folder / "stays").read_text()
    time.sleep(2)  # it would be gone after one, and at the next look
    assert served.ask("stays").status_code == 200
    assert (served.folder / "stays").read_text() == before


def test_versions_whose_code_has_the_same_name_are_told_apart_by_a_warning(served: Served) -> None:
    helpers = served.folder / "code" / "helpers.py"
    helpers.parent.mkdir()
    for word in ("first", "second"):
        helpers.write_text(f"WORD = {word!r}\n")
        line = "import helpers; return [helpers.WORD] * len(model_input)"
        served.register_code("Coded", predict=line, code_paths=[str(helpers)])
    assert "helpers.py" not in served.ask_model("Coded", "1").headers["Warning"]
    served.create("coded", ("Coded", "2", 100))
    answer = served.ask("coded")
    assert "version 2 of Coded brings another helpers.py than version 1" in answer.headers["Warning"]
    logs = served.call("GET", "/api/2.0/serving-endpoints/coded/served-models/Coded-2/logs").json()["logs"]
    assert "a name of its own" in logs


def test_an_endpoint_serves_the_model_it_was_made_for_also_when_the_version_is_another(
    served: Served,
) -> None:
    served.register_constant("Swapped", "old")
    made = served.create("swapped", ("Swapped", "1", 100))
    (entity,) = made["config"]["served_entities"]
    served.client.delete_registered_model("Swapped")
    served.register_constant("Swapped", "new")
    threading.Event().wait(3)  # longer than a model stays in memory unasked
    assert served.ask("swapped").json() == {"predictions": ["old"]}
    shutil.rmtree(entity["location"])

    def unloaded() -> bool:
        answer = served.ask("swapped")
        assert answer.json().get("predictions", ["old"]) == ["old"]
        threading.Event().wait(1.5)
        return answer.status_code != 200

    until(unloaded)
    refused(served.ask("swapped"), 400, "was deleted and made anew", "Update the endpoint's configuration")


def test_endpoints_and_a_pending_update_outlive_a_killed_server(served: Served, held: Path) -> None:
    served.register_code("Held", load=HELD.format(held=str(held)))
    served.create("lasting", ("Word", "1", 100))
    assert served.update("lasting", ("Held", "4", 100)).status_code == 200
    names = [found["name"] for found in served.call("GET", "/api/2.0/serving-endpoints").json()["endpoints"]]
    url = served.url
    kill(served.servers[-1])
    served.start(idle=1)
    assert served.url == url
    again = served.call("GET", "/api/2.0/serving-endpoints").json()["endpoints"]
    assert [found["name"] for found in again] == names
    assert served.get("lasting")["state"] == {"ready": "READY", "config_update": "IN_PROGRESS"}
    assert served.ask("lasting").json() == {"predictions": ["one"]}
    held.unlink()
    assert served.settled("lasting")["state"] == {"ready": "READY", "config_update": "NOT_UPDATING"}
    assert served.ask("lasting").json() == {"predictions": ["done"]}


def test_two_servers_of_one_folder_see_the_same_endpoints_and_tokens(served: Served) -> None:
    first = served.url
    second = served.start().url
    assert first != second
    served.create("both", ("Word", "1", 100))  # by the second
    assert served.get("both", first) == served.get("both", second)
    assert served.ask("both", first).json() == {"predictions": ["one"]}
    body = {"lifetime_seconds": 60}
    made = served.call("POST", "/api/2.0/token/create", second, json=body).json()
    headers = {"Authorization": f"Bearer {made['token_value']}"}
    assert served.ask("both", first, headers=headers).status_code == 200
    deleted = {"token_id": made["token_info"]["token_id"]}
    assert served.call("POST", "/api/2.0/token/delete", first, json=deleted).status_code == 200
    refused(served.ask("both", second, headers=headers), 403, "was revoked")
    assert served.call("DELETE", "/api/2.0/serving-endpoints/both", first).status_code == 200
    refused(served.ask("both", second), 404, "does not exist")


def test_an_update_of_a_killed_server_is_taken_up_by_another(served: Served, held: Path) -> None:
    served.register_code("Held", load=HELD.format(held=str(held)))
    served.create("orphan", ("Word", "1", 100))
    staying = served.start(idle=1).url
    served.start()
    assert served.update("orphan", ("Held", "5", 100)).status_code == 200
    kill(served.servers.pop())
    held.unlink()
    until(lambda: served.get("orphan", staying)["state"]["config_update"] == "NOT_UPDATING", 20)
    assert served.ask("orphan", staying).json() == {"predictions": ["done"]}


def test_an_alias_that_moves_does_not_move_an_endpoint_and_all_sizes_answer_alike(served: Served) -> None:
    for size in ("Small", "Medium", "Large"):
        entity = {"entity_name": "Word", "entity_version": "1", "workload_size": size}
        body = {"name": f"of-{size}", "config": {"served_entities": [entity]}}
        assert served.call("POST", "/api/2.0/serving-endpoints", json=body).status_code == 200
        served.settled(f"of-{size}")
    served.client.set_registered_model_alias("Word", "champion", "2")
    assert served.ask_model("Word", "champion").json() == {"predictions": ["two"]}
    for size in ("Small", "Medium", "Large"):
        assert served.ask(f"of-{size}").json() == {"predictions": ["one"]}
