"""What rubrics ask about endpoints and their calls: what was sent, what was in force, what is gone."""

import json

import pandas as pd
import pytest

from autograder.evidence import Evidence
from autograder.evidence.workspace_facts import Endpoint, EndpointChange, Request, ServedEntity
from autograder.rubrics import served_calls as calls

FLOWERS = pd.DataFrame({"length": [1.0, 2.0, 2.0, 3.0], "width": [0.1, 0.2, 0.2, 0.3]})


def brought(body: object) -> Request:
    text = body if isinstance(body, str) else json.dumps(body)
    return Request("1", None, 1, "iris", 400, 1.0, request=text)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["f1", "f2"], "data": [[1, 2]]}},
        {"dataframe_records": [{"f1": 1}, {"f2": 2}]},
        {"instances": [{"f1": 1, "f2": 2}]},
        {"inputs": {"f1": [1], "f2": [2]}},
    ],
)
def test_columns_are_found_in_every_payload_form(body: object) -> None:
    assert calls.columns_sent(brought(body)) == {"f1", "f2"}


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "7", "null", {}, {"dataframe_split": {}}, {"dataframe_records": 5}, {"inputs": [[1, 2]]}],
)
def test_what_has_no_columns_brings_none(body: object) -> None:
    assert calls.columns_sent(brought(body)) == set()


def test_a_row_sent_again_is_no_other_row_unless_it_stands_there_twice() -> None:
    rows = FLOWERS.to_dict(orient="records")
    assert calls.different(rows, FLOWERS) == 4
    assert calls.different(rows[:1] * 5, FLOWERS) == 1
    assert calls.different(rows[1:2] * 5, FLOWERS) == 2
    assert calls.different([{"length": 9.0, "width": 9.0}], FLOWERS) == 0


def changes(*what: tuple[int, str, int]) -> tuple[EndpointChange, ...]:
    """Changes of the endpoint “iris”: when, what, and which version was in force then; 0 for none."""
    return tuple(
        EndpointChange(
            time,
            "iris",
            name,
            "ada",
            entities=(ServedEntity("e", "Iris", v, ""),) if v else (),
            routes={"e": 100},
        )
        for time, name, v in what
    )


MADE_TWICE = changes(
    (1, "created", 0), (2, "updated", 1), (3, "deleted", 1),
    (4, "created", 0), (5, "updated", 1), (6, "update asked", 1), (7, "updated", 2), (8, "updated", 1),
)  # fmt: skip


def in_force(version: int) -> list[tuple[int, int | None]]:
    evidence = Evidence(1, endpoint_changes=MADE_TWICE)
    return calls.periods(evidence, "iris", lambda change: change.entities[0].version == version)


def test_a_period_ends_with_the_next_change_or_with_the_endpoint() -> None:
    assert in_force(1) == [(2, 3), (5, 7), (8, None)]
    assert in_force(2) == [(7, 8)]


def test_each_life_of_an_endpoint_has_its_own_history() -> None:
    evidence = Evidence(1, endpoint_changes=MADE_TWICE)
    times = [[change.time for change in life] for life in calls.lives(evidence, "iris")]
    assert times == [[2], [5, 7, 8]]
    assert calls.lives(evidence, "another") == []


def test_a_deleted_endpoint_is_known_as_it_was_and_one_that_is_there_is_not_deleted() -> None:
    gone = Evidence(1, endpoint_changes=MADE_TWICE[:3])
    (endpoint,) = calls.deleted(gone)
    assert (endpoint.name, endpoint.created, endpoint.ready) == ("iris", 1, "NOT_READY")
    assert endpoint.entities[0].version == 1
    there = Evidence(1, endpoints=(Endpoint("iris", "ada", 4, "READY", "NOT_UPDATING"),))
    assert calls.deleted(there) == []
    again = Evidence(1, endpoint_changes=MADE_TWICE, endpoints=there.endpoints)
    assert calls.deleted(again) == []
