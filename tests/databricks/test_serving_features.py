"""A served model that records lookups is asked with keys; the features come from the tables as they are."""

import json
import shutil
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pandas as pd
import pytest
import requests
from mlflow.models import infer_signature

from autograder.databricks import journal
from autograder.databricks.features import FeatureLookup, Features
from autograder.databricks.tables import Tables
from tests.support.plants import PLANT_LOOKUP, PLANTS, READING_LOOKUP, TIMED, TRAINING, create_tables, log_sum
from tests.support.served import Served, refused

pytestmark = pytest.mark.xdist_group("serving features")

NAMES = pd.DataFrame({"name": ["007", "8", "x y"], "visits": [10, 20, 30]})
ROWS = {"plant_id": [3, 1], "height": [300.0, 100.0]}
RECORDS = pd.DataFrame(ROWS).to_dict("records")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("features"))
    features = Features(Tables(served.folder))
    create_tables(features)
    with served.logging():
        log_sum(features, PLANT_LOOKUP, TRAINING, registered="Plants")
        log_sum(features, PLANT_LOOKUP, TRAINING, signature=False, registered="Bare")
        log_sum(features, READING_LOOKUP, TIMED, registered="Readings")
    served.start()
    yield served
    served.close()


@pytest.fixture
def features(served: Served) -> Features:
    """The tables as they were when the models were trained."""
    tables = Tables(served.folder)
    for name in ("plants", "readings"):
        shutil.rmtree(tables.path(name), ignore_errors=True)
    create_tables(Features(tables))
    return Features(tables)


def ask(served: Served, model: str, *rows: dict[str, Any], **more: Any) -> requests.Response:
    return served.ask_model(model, "1", json={"dataframe_records": rows, **more})


def answered(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def parquet() -> bytes:
    body = BytesIO()
    pd.DataFrame(ROWS).to_parquet(body)
    return body.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"dataframe_records": RECORDS}), "application/json"),
        (json.dumps({"dataframe_split": pd.DataFrame(ROWS).to_dict("split")}), "application/json"),
        (json.dumps({"inputs": ROWS}), "application/json"),
        (json.dumps({"instances": RECORDS}), "application/json"),
        (pd.DataFrame(ROWS).to_csv(index=False), "text/csv"),
        (parquet(), "application/vnd.apache.parquet"),
    ],
    ids=["records", "split", "inputs", "instances", "csv", "parquet"],
)
def test_a_call_with_the_keys_is_completed_in_every_form(
    served: Served, features: Features, body: Any, content_type: str
) -> None:
    headers = {**served.bearer, "Content-Type": content_type}
    answer = served.ask_model("Plants", "1", data=body, headers=headers)
    assert answered(answer) == [333.0, 111.0]
    assert "Warning" not in answer.headers


def test_an_endpoint_looks_up_and_the_log_keeps_what_was_sent(served: Served, features: Features) -> None:
    served.create("plants", ("Plants", "1", 100))
    answer = served.ask("plants", json={"dataframe_records": [{"plant_id": 2, "height": 0}]})
    assert answered(answer) == [22.0]
    calls = journal.read(served.folder).to_pylist()
    (call,) = [c for c in calls if c["databricks_request_id"] == answer.headers["x-request-id"]]
    assert json.loads(call["request"]) == {"dataframe_records": [{"plant_id": 2, "height": 0}]}
    assert "warning" not in dict(call["request_metadata"])


def test_a_table_that_changes_changes_the_answer(served: Served, features: Features) -> None:
    for visits in (11, 12):
        features.write_table("plants", PLANTS.iloc[:1].assign(visits=visits))
        assert answered(ask(served, "Plants", {"plant_id": 1, "height": 0})) == [1.0 + visits]


def test_values_in_the_request_win(served: Served, features: Features) -> None:
    rows = [{"plant_id": 1, "height": 0, "petal length (cm)": 5.5}, {"plant_id": 2, "height": 0}]
    assert answered(ask(served, "Plants", *rows)) == [15.5, 22.0]
    whole = {"height": 0, "petal length (cm)": 5.5, "n": 7}
    assert answered(ask(served, "Plants", whole)) == [12.5], "no key is needed then"
    assert answered(ask(served, "Plants", {**whole, "plant_id": 404})) == [12.5]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            [{"plant_id": 1, "height": 0}, {"plant_id": 404, "height": 0}],
            "no row for (plant_id=404) in table `plants`; expected a key that the table has",
        ),
        ([{"plant_id": 404, "height": 0, "n": 1}], "no row for (plant_id=404) in table `plants`"),
        ([{"plant_id": n, "height": 0} for n in range(50, 60)], "(plant_id=54) and 5 more in table"),
        ([{"height": 0}], "There is no `plant_id` among the columns `height`; expected the keys of table"),
        ([{"plant_id": 1}], "height"),
        ([{"plant_id": "one", "height": 0}], "plant_id"),
    ],
    ids=["one unknown", "half given", "many unknown", "no key", "no input", "text"],
)
def test_a_call_that_cannot_be_completed_is_400(
    served: Served, features: Features, rows: list[dict[str, Any]], problem: str
) -> None:
    refused(ask(served, "Plants", *rows), 400, problem, "Send the columns `plant_id`, `height`")


NO_ROWS: list[tuple[Any, str]] = [
    ({"inputs": {"plant_id": 1, "height": 1.0}}, "make no rows"),
    ({"instances": [{"plant_id": 1, "height": 1.0}, {"plant_id": 2, "height": 1.0, "n": 1}]}, "make no rows"),
    ({"inputs": [[1, 1.0]]}, "There is no `0`, `1` among what the model"),
    ({"dataframe_split": {"data": [[1, 1.0]]}}, "There is no `0`, `1` among what the model"),
    (
        {"dataframe_split": {"columns": [["plant_id", "n"], ["a", "b"]], "data": [[1, 1]]}},
        "There is no `('plant_id', 'a')`",
    ),
    (
        {"dataframe_split": {"columns": [f"c{n}" for n in range(2000)], "data": [[1] * 2000]}},
        "`c11` and 1988 more among what the model",
    ),
    (
        {"dataframe_split": {"columns": ["plant_id", "height", "n", "n"], "data": [[1, 1.0, 2, 3]]}},
        "The request has `n` more than once",
    ),
    ({"dataframe_records": []}, "missing inputs ['height'"),
    ({}, "dataframe_split"),
    (7, "JSON dictionary"),
]


@pytest.mark.parametrize(("body", "problem"), NO_ROWS, ids=[str(body)[:60] for body, _ in NO_ROWS])
def test_what_makes_no_rows_with_keys_is_400(
    served: Served, features: Features, body: Any, problem: str
) -> None:
    answer = served.ask_model("Plants", "1", json=body)
    refused(answer, 400, problem, "Send the columns `plant_id`, `height`")


def test_an_unknown_key_is_named_among_a_thousand_rows(served: Served, features: Features) -> None:
    keys = [1] * 899 + [404]
    answer = served.ask_model("Plants", "1", json={"inputs": {"plant_id": keys, "height": [0.5] * 900}})
    refused(answer, 400, "no row for (plant_id=404) in table `plants`")
    assert len(answer.json()["message"]) < 3000


@pytest.mark.parametrize("model", ["Plants", "Bare"])
def test_a_misspelt_feature_gets_no_prediction(served: Served, features: Features, model: str) -> None:
    row = {"plant_id": 1, "height": 0, "petal lenght (cm)": 5.5}
    answer = ask(served, model, row)
    refused(answer, 400, "no `petal lenght (cm)`", "was `petal length (cm)` meant?", "`n`", "`height`")
    csv = pd.DataFrame([row]).to_csv(index=False)
    headers = {**served.bearer, "Content-Type": "text/csv"}
    refused(served.ask_model(model, "1", data=csv, headers=headers), 400, "no `petal lenght (cm)`")


def test_a_time_decides_and_a_misspelt_one_gets_no_prediction(served: Served, features: Features) -> None:
    assert answered(ask(served, "Readings", {"plant_id": 1}, {"plant_id": 2})) == [0.9, 0.2]
    timed = [{"plant_id": 1, "when": f"2026-01-0{day}T12:00:00"} for day in (7, 2)]
    assert answered(ask(served, "Readings", *timed)) == [0.5, 0.1]
    early = {"plant_id": 1, "when": "2025-01-07T12:00:00"}
    refused(ask(served, "Readings", early), 400, "(plant_id=1, when=2025-01-07 ", "at or before that time")
    misspelt = ask(served, "Readings", {"plant_id": 1, "wehn": "2026-01-02T12:00:00"})
    refused(misspelt, 400, "no `wehn`", "was `when` meant?", "`plant_id`", "`when`", "`moisture`")
    refused(ask(served, "Readings", {"plant_id": 1, "when": "at noon"}), 400, "when")
    refused(ask(served, "Readings", {"plant_id": 1, "when": None}), 400, "no time in `when`")


def test_what_is_expected_tells_what_is_looked_up(served: Served, features: Features) -> None:
    told = ask(served, "Readings", {"moisture": None}).json()["message"].splitlines()[-1]
    assert told == (
        "Send the columns `plant_id`, in any order. Looked up in table `readings`, but taken from the "
        "request where it has them: `moisture`. `when` may say as of when; without it the newest values "
        "count."
    )


def test_without_a_signature_the_answer_carries_a_warning(served: Served, features: Features) -> None:
    answer = ask(served, "Bare", {"height": 300, "plant_id": 3})
    assert answered(answer) == [333.0]
    assert "Bare has no signature" in answer.headers["Warning"]
    refused(ask(served, "Bare", {"height": 300, "plant_id": 404}), 400, "no row for (plant_id=404)")


def test_a_table_that_is_gone_is_said_until_it_is_back(served: Served, features: Features) -> None:
    row = {"plant_id": 1, "height": 0}
    assert answered(ask(served, "Plants", row)) == [11.0]
    path = features.tables.path("plants")
    path.rename(path.with_name("away"))
    try:
        answer = ask(served, "Plants", row)
        refused(answer, 400, "There is no table `plants`", "`away`, `readings`", "Write it first")
        assert answered(ask(served, "Plants", {"height": 0, "petal length (cm)": 5.5, "n": 7})) == [12.5]
    finally:
        path.with_name("away").rename(path)
    assert answered(ask(served, "Plants", row)) == [11.0]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (PLANTS.drop(columns="visits"), "Table `plants` has no `visits` any more"),
        (PLANTS.drop(columns="plant_id"), "Table `plants` has no `plant_id` any more"),
        (pd.concat([PLANTS, PLANTS]), "Table `plants` has several rows with `plant_id` = (1,)"),
    ],
    ids=["no feature", "no key", "a key twice"],
)
def test_a_table_that_cannot_be_used_any_more_is_said(
    served: Served, features: Features, frame: pd.DataFrame, problem: str
) -> None:
    features.tables.write("plants", frame, mode="overwrite")
    refused(ask(served, "Plants", {"plant_id": 1, "height": 0}), 400, problem)


def test_a_model_whose_table_is_not_there_yet_is_loaded_once_it_is(
    served: Served, features: Features
) -> None:
    features.create_table("late", PLANTS, "plant_id")
    with served.logging():
        log_sum(features, FeatureLookup("late", "plant_id"), TRAINING, registered="Late")
    shutil.rmtree(features.tables.path("late"))
    row = {"plant_id": 1, "height": 0}
    refused(ask(served, "Late", row), 400, "“Late”", "There is no table `late`", "Write it first")
    features.tables.write("late", PLANTS.drop(columns="plant_id"))
    refused(ask(served, "Late", row), 400, "Table `late` has no `plant_id` any more")
    features.tables.write("late", PLANTS, mode="overwrite")
    assert answered(ask(served, "Late", row)) == [11.0]


def test_keys_of_text_and_params_reach_the_model(served: Served, features: Features) -> None:
    features.create_table("names", NAMES, "name")
    frame = NAMES[["name"]]
    made = features.create_training_set(frame, [FeatureLookup("names", "name")], None, ["name"])
    served.register_code(
        "Scaled",
        predict="return (model_input['visits'] * (params or {})['factor']).tolist()",
        metadata=made.metadata,
        signature=infer_signature(made.load_df(), [1.0], params={"factor": 2}),
    )
    rows = [{"name": "007"}, {"name": "x y"}]
    assert answered(ask(served, "Scaled", *rows)) == [20, 60]
    assert answered(ask(served, "Scaled", *rows, params={"factor": 3})) == [30, 90]
    headers = {**served.bearer, "Content-Type": "text/csv"}
    csv = served.ask_model("Scaled", "1", data="name\n007\n", headers=headers)
    assert answered(csv) == [20], "text keeps its leading zeros"
