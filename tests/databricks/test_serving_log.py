"""The request log has each answered call with what it was, also when the server is killed."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from deltalake import DeltaTable

from autograder.databricks import journal
from autograder.databricks.state import State
from tests.support.served import SPLIT, Served, until

pytestmark = pytest.mark.xdist_group("serving log")

#: How many calls the test with a kill makes: half a minute for ten thousand.
CALLS = int(os.environ.get("MLFLOW_KIT_TEST_CALLS", "10000"))
CALLERS = 4


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("log"))
    served.register_constant("Word", "one")
    served.register_flowers("Signed")
    served.start()
    served.create("logged", ("Word", "1", 100))
    yield served
    served.close()


def logged(served: Served, answer: requests.Response) -> dict[str, Any]:
    """The only row of the request log with an answer's id."""
    (row,) = [
        row
        for row in journal.read(served.folder).to_pylist()
        if row["databricks_request_id"] == answer.headers["x-request-id"]
    ]
    return {**row, "request_metadata": dict(row["request_metadata"])}


def in_table(folder: Path) -> list[str]:
    if not DeltaTable.is_deltatable(str(folder / journal.TABLE)):
        return []
    table = DeltaTable(str(folder / journal.TABLE)).to_pyarrow_table(columns=["databricks_request_id"])
    ids: list[str] = table["databricks_request_id"].to_pylist()
    return ids


def test_a_call_is_logged_with_all_that_it_was(served: Served) -> None:
    before = datetime.now(UTC)
    body = json.dumps({**SPLIT, "client_request_id": "mine-7"})
    headers = {**served.bearer, "Content-Type": "application/json"}
    began = time.perf_counter()
    answer = served.ask("logged", data=body, headers=headers)
    most = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, answer.text
    row = logged(served, answer)
    assert before <= row["request_time"] <= datetime.now(UTC)
    assert row["request_date"] == row["request_time"].date()
    assert 0 < row["execution_duration_ms"] <= most
    config = served.get("logged")["config"]
    assert {name: row[name] for name in row if name != "request_time"} == {
        "databricks_request_id": answer.headers["x-request-id"],
        "client_request_id": "mine-7",
        "request_date": row["request_date"],
        "status_code": 200,
        "sampling_fraction": 1.0,
        "execution_duration_ms": row["execution_duration_ms"],
        "request": body,
        "response": answer.text,
        "served_entity_id": config["served_entities"][0]["source"],
        "logging_error_codes": [],
        "requester": "ada",
        "request_metadata": {
            "endpoint_name": "logged",
            "token_id": served.bearer["Authorization"].removeprefix("Bearer dapi")[:8],
            "served_entity_name": "Word-1",
            "model_name": "Word",
            "model_version": "1",
            "warning": row["request_metadata"]["warning"],
        },
    }


@pytest.mark.parametrize(
    ("path", "authorization", "status", "version"),
    [
        ("/serving-endpoints/logged", "", 401, None),
        ("/serving-endpoints/logged", "Bearer dapi0", 403, None),
        ("/serving-endpoints/nobody", "{token}", 404, None),
        ("/model/Signed/1", "{token}", 400, "1"),
    ],
)
def test_a_refused_call_is_logged_too(
    served: Served, path: str, authorization: str, status: int, version: str | None
) -> None:
    given = authorization.format(token=served.bearer["Authorization"])
    answer = served.call("POST", f"{path}/invocations", json=SPLIT, headers={"Authorization": given})
    row = logged(served, answer)
    assert answer.status_code == row["status_code"] == status
    assert row["requester"] == ("ada" if status in (400, 404) else None)
    assert ("token_id" in row["request_metadata"]) == (status in (400, 404))
    assert row["request_metadata"]["endpoint_name"] == path.split("/")[2]
    assert row["request_metadata"].get("model_version") == version
    assert row["response"] == answer.text


def test_what_is_too_large_to_keep_is_noted(served: Served) -> None:
    answer = served.ask("logged", json={"inputs": [[1.0]] * 200_000})
    assert answer.status_code == 200
    row = logged(served, answer)
    assert (row["request"], row["response"]) == (None, None)
    assert row["logging_error_codes"] == ["MAX_REQUEST_SIZE_EXCEEDED", "MAX_RESPONSE_SIZE_EXCEEDED"]


def test_bytes_that_are_no_text_and_odd_ids_are_logged(served: Served) -> None:
    headers = {**served.bearer, "Content-Type": "application/json"}
    half = b'{"client_request_id": "\\ud800", "inputs": [[1]]}'
    for body in (b"\xff\xfe", half, b'{"client_request_id": 7}'):
        answer = served.ask("logged", data=body, headers=headers)
        row = logged(served, answer)
        assert row["request"] == body.decode("utf-8", "replace")
        assert row["client_request_id"] == ("?" if body == half else None)
    until(lambda: answer.headers["x-request-id"] in in_table(served.folder))  # and they do move


def test_journal_and_table_together_have_each_call_once(served: Served) -> None:
    ids = [served.ask("logged").headers["x-request-id"] for _ in range(20)]
    until(lambda: set(ids) <= set(in_table(served.folder)))
    ids += [served.ask("logged").headers["x-request-id"] for _ in range(20)]
    waiting = State(served.folder).connect().execute("SELECT count(*) FROM journal").fetchone()[0]
    assert waiting  # or else this holds nothing
    counted = Counter(journal.read(served.folder)["databricks_request_id"].to_pylist())
    assert {counted[i] for i in ids} == {1}
    assert set(counted.values()) == {1}


class Caller(threading.Thread):
    """Calls until all have been answered; a call that no server answered is made anew."""

    def __init__(self, served: Served, calls: int) -> None:
        super().__init__(daemon=True)
        self.served = served
        self.left = calls
        self.answered: list[str] = []
        self.unanswered = 0

    def run(self) -> None:
        session = requests.Session()
        end = time.monotonic() + 300
        while self.left and time.monotonic() < end:
            url = f"{self.served.url}/serving-endpoints/logged/invocations"
            try:
                answer = session.post(url, json=SPLIT, headers=self.served.bearer, timeout=30)
            except requests.RequestException:
                self.unanswered += 1
                session = requests.Session()
                time.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            self.answered.append(answer.headers["x-request-id"])
            self.left -= 1


def test_a_killed_server_forgets_no_call_that_it_answered(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.register_constant("Word", "one")
    served.start()
    served.create("logged", ("Word", "1", 100))
    callers = [Caller(served, CALLS // CALLERS) for _ in range(CALLERS)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
    until(lambda: sum(len(caller.answered) for caller in callers) >= CALLS // 2, 240)
    served.servers[-1].process.send_signal(signal.SIGKILL)
    served.servers[-1].process.wait(30)
    served.start()
    for caller in callers:
        caller.join(300)
    seconds = time.monotonic() - began
    served.close()
    answered = [i for caller in callers for i in caller.answered]
    unanswered = sum(caller.unanswered for caller in callers)
    print(f"{len(answered)} calls in {seconds:.1f} s, {unanswered} without an answer")
    assert len(answered) == CALLS
    assert unanswered  # the kill was amid calls
    counted = Counter(in_table(tmp_path))
    assert [i for i in answered if counted[i] != 1] == []
    # calls that were written down and not answered: at most one a caller
    assert 0 <= sum(counted.values()) - len(answered) <= CALLERS
