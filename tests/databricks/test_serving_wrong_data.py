"""Rows that a model was not made for get no prediction, or one with a warning."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pandas as pd
import pytest

from autograder.databricks import journal
from tests.support.served import FLOWERS, NUMBERS, Served, refused

pytestmark = pytest.mark.xdist_group("serving wrong data")

COLUMNS = list(FLOWERS.X_test.columns)
FLOWER = [5.1, 3.5, 1.4, 0.2]
ENDPOINTS = "/api/2.0/serving-endpoints"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("wrong"))
    served.register_flowers("Signed")
    served.register_flowers("Bare", arrays=True, signature=False)
    served.start()
    served.create("signed", ("Signed", "1", 100))
    yield served
    served.close()


def wrong_rows() -> dict[str, dict[str, Any]]:
    renamed = dict(zip(NUMBERS, FLOWER, strict=True))
    return {
        "the guide's names": renamed,
        "one missing": dict(zip(COLUMNS[:3], FLOWER, strict=False)),
        "one renamed": {**dict(zip(COLUMNS[:3], FLOWER, strict=False)), "petal width": 0.2},
        "text": {**dict(zip(COLUMNS, FLOWER, strict=True)), COLUMNS[0]: "long"},
    }


def forms(row: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    """A row in every form that MLflow's server takes."""
    frame = pd.DataFrame([row])
    parquet = BytesIO()
    frame.to_parquet(parquet)
    bodies = {
        "dataframe_split": {"columns": list(row), "data": [list(row.values())]},
        "dataframe_records": [row],
        "inputs": {name: [value] for name, value in row.items()},
        "instances": [row],
    }
    return {
        **{name: ("application/json", json.dumps({name: body}).encode()) for name, body in bodies.items()},
        "csv": ("text/csv", frame.to_csv(index=False).encode()),
        "parquet": ("application/vnd.apache.parquet", parquet.getvalue()),
    }


def ask(served: Served, model: str, media: str, body: bytes) -> Any:
    return served.ask_model(model, "1", data=body, headers={**served.bearer, "Content-Type": media})


@pytest.mark.parametrize("form", forms(dict(zip(COLUMNS, FLOWER, strict=True))))
def test_with_a_signature_wrong_columns_are_never_answered(served: Served, form: str) -> None:
    right = dict(zip(COLUMNS, FLOWER, strict=True))
    assert ask(served, "Signed", *forms(right)[form]).json() == {"predictions": ["setosa"]}
    backwards = dict(reversed(right.items()))
    assert ask(served, "Signed", *forms(backwards)[form]).json() == {"predictions": ["setosa"]}
    # what is more is left out, as MLflow does it
    answer = ask(served, "Signed", *forms({"more": 9.0, **right})[form])
    assert (answer.status_code, answer.json()) == (200, {"predictions": ["setosa"]})
    for kind, row in wrong_rows().items():
        answer = ask(served, "Signed", *forms(row)[form])
        refused(answer, 400, *(f"'{name}'" for name in COLUMNS))
        assert "predictions" not in answer.json(), kind


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [FLOWER]},
        {"instances": [FLOWER]},
        {"dataframe_split": {"data": [FLOWER]}},
        {"inputs": FLOWER},
        {"dataframe_records": [FLOWER]},
        {"dataframe_split": {"columns": COLUMNS[:3], "data": [FLOWER]}},
        {"dataframe_split": {"columns": COLUMNS[:1] * 4, "data": [FLOWER]}},
        {"dataframe_records": [], "inputs": []},
        {"data": [FLOWER]},
        {},
        [],
        7,
        None,
        "text",
    ],
    ids=str,
)
def test_with_a_signature_positions_and_nonsense_are_never_answered(served: Served, body: Any) -> None:
    answer = ask(served, "Signed", "application/json", json.dumps(body).encode())
    refused(answer, 400, *(f"'{name}'" for name in COLUMNS))


def test_without_a_signature_wrong_columns_are_answered_with_a_warning_that_is_kept(served: Served) -> None:
    answer = served.ask_model(
        "Bare", "1", json={"dataframe_split": {"columns": list("dcba"), "data": [FLOWER]}}
    )
    assert (answer.status_code, answer.json()) == (200, {"predictions": ["setosa"]})
    assert "Bare has no signature" in answer.headers["Warning"]
    (call,) = [
        row
        for row in journal.read(served.folder).to_pylist()
        if row["databricks_request_id"] == answer.headers["x-request-id"]
    ]
    assert "has no signature" in dict(call["request_metadata"])["warning"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"inputs": [["\xff"]]}',
        b'{"inputs": [[NaN, Infinity, -Infinity, 1]]}',
        b'{"inputs": [[' + b"9" * 5000 + b"]]}",
        b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs": ["\\ud800"]}',
        b'{"dataframe_split": {"columns": ["\\ud800"], "data": [[1]]}}',
        b'{"\\ud800": 1}',
        b'{"inputs": [[1e400, 1, 1, 1]], "client_request_id": {"a": 1}}',
        b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_bodies_that_are_no_data_are_400_everywhere(served: Served, body: bytes) -> None:
    for model in ("Signed", "Bare"):
        refused(ask(served, model, "application/json", body), 400)
    headers = {**served.bearer, "Content-Type": "application/json"}
    for method, path in (
        ("POST", ENDPOINTS),
        ("PUT", f"{ENDPOINTS}/signed/config"),
        ("PATCH", f"{ENDPOINTS}/signed/tags"),
        ("POST", "/api/2.0/token/delete"),
    ):
        refused(served.call(method, path, data=body, headers=headers), 400)
    assert served.call("GET", ENDPOINTS).status_code == 200


@pytest.mark.parametrize(("text", "status"), [("5.1", 200), ("5,1", 400), ("long", 400)])
def test_a_number_written_as_text_is_taken_and_a_word_is_not(served: Served, text: str, status: int) -> None:
    row = {**dict(zip(COLUMNS, FLOWER, strict=True)), COLUMNS[0]: text}
    answer = served.ask_model("Signed", "1", json={"dataframe_records": [row]})
    assert answer.status_code == status, answer.text
