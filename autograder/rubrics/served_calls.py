"""Questions about endpoints: what they served and when, what was sent, and whether the model answered it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from autograder.base.remember import remembered
from autograder.base.text import short
from autograder.evidence import Evidence, find_version, model_of_version
from autograder.evidence.workspace_facts import Endpoint, EndpointChange, Request
from autograder.rubrics import claims, contents
from autograder.rubrics.language import Outcome, failed, not_attempted, passed

#: Two measurements are the same when they differ by no more.
SAME = 1e-6
#: Rows of all calls together that are looked at, the oldest calls first.
MOST_ROWS = 50_000
#: So many rows are to be sent in one call.
FEWEST_ROWS = 5
#: The payload forms of MLflow's scoring server that can carry names of columns.
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@remembered
def rows_sent(request: Request, form: str) -> list[dict[str, Any]] | None:
    """The rows that a call brought in a payload form, as dictionaries; None when it brought none in it."""
    try:
        body = contents.parsed(request.request)[form]
        if form == "dataframe_records":
            return [dict(row) for row in body]
        return [dict(zip(body["columns"], row, strict=True)) for row in body["data"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def columns_sent(request: Request) -> set[str]:
    """The names of the columns that a call brought, in any payload form; empty when it brought none."""
    try:
        body = contents.parsed(request.request)
        form, content = next((form, body[form]) for form in FORMS if form in body)
        if form == "dataframe_split":
            return {str(name) for name in content["columns"]}
        rows = [content] if isinstance(content, dict) else content
        return {str(name) for row in rows if isinstance(row, dict) for name in row}
    except (ValueError, TypeError, KeyError, StopIteration):
        return set()


def predictions(request: Request) -> list[str]:
    """The predictions of the answer, as text; empty when there are none."""
    try:
        return [str(label) for label in contents.parsed(request.response)["predictions"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def positions(rows: Sequence[dict[str, Any]], features: pd.DataFrame) -> list[int] | None:
    """Where in ``features`` rows like these stand; None when one of them is not there."""
    values = [[contents.number(row.get(name)) for name in features.columns] for row in rows]
    if not values or any(value is None for row in values for value in row):
        return None
    apart, found = _places(features).query(np.array(values, float), p=np.inf, distance_upper_bound=2 * SAME)
    return [int(place) for place in found] if (apart <= SAME).all() else None


def different(rows: Sequence[dict[str, Any]], features: pd.DataFrame) -> int:
    """How many different rows of ``features`` were sent; what stands there twice may be sent twice."""
    sent = Counter(positions(rows, features) or [])
    if not sent:
        return 0
    places = _places(features)
    same = places.query_ball_point(places.data[list(sent)], SAME, p=np.inf, return_length=True)
    return sum(min(times, int(stands)) for times, stands in zip(sent.values(), same, strict=True))


@remembered
def _places(features: pd.DataFrame) -> KDTree:
    return KDTree(features.to_numpy(float))


def answered_by_model(evidence: Evidence, request: Request, form: str, features: pd.DataFrame) -> bool | None:
    """Whether the answer of a call is what the version that gave it answers; None when it cannot be told.

    It cannot where rows are none of ``features``, which every model was asked about, or the version's
    model is not there.
    """
    rows = rows_sent(request, form)
    where = positions(rows, features) if rows else None
    version = find_version(evidence, f"models:/{request.model_name}/{request.version}")
    scoring = claims.scoring_of_model(model_of_version(evidence, version) if version else None)
    if not where or scoring is None or len(scoring.labels) != len(features):
        return None
    return predictions(request) == [scoring.labels[n] for n in where]


def answered(evidence: Evidence, endpoint: str) -> Iterator[Request]:
    """The calls of an endpoint that were answered with a prediction, the oldest first."""
    for request in evidence.requests:
        if request.endpoint == endpoint and request.status == 200:
            yield request


def were_answered(
    evidence: Evidence,
    answered_calls: Iterable[Request],
    forms: Sequence[str],
    features: pd.DataFrame,
    things: str,
) -> Outcome:
    """Whether a call brought FEWEST_ROWS rows of ``features`` in one of the forms and got its model's answer.

    ``things`` is what the rows are called, such as “flowers”.
    """
    wanted = (
        f"the first {FEWEST_ROWS} {things} of the test part, as {' or '.join(f'`{form}`' for form in forms)}"
    )
    problem, left = "", MOST_ROWS
    for call, form in ((call, form) for call in answered_calls for form in forms):
        rows = rows_sent(call, form)
        left -= len(rows or ())
        if not rows or left < 0:
            continue
        right = answered_by_model(evidence, call, form, features)
        count = different(rows, features) if right else 0
        if count >= FEWEST_ROWS:
            return passed(f"Version {call.version} answered {len(rows)} {things} as its model answers them.")
        again = f", only {count} different among them" if count < len(rows) else ""
        problem = (
            problem
            or {
                None: "A call brought rows that are not in the test part, so nobody can say what is right.",
                False: f"An answer of version {call.version} is not what its model answers.",
                True: f"The call brought {len(rows)} of the {things}{again}.",
            }[right]
        )
    if not problem:
        named = " or ".join(f"`{form}`" for form in forms)
        return not_attempted(
            f"No answered call brought {things} as {named}.{_refused(evidence)}", f"Send {wanted}."
        )
    return failed(problem, wanted, "Take them from X_test as they are, all in one call.")


def error_code(request: Request) -> str:
    """The error code in the answer of a call that failed, or the empty text."""
    return _said(request, "error_code")


def message(request: Request) -> str:
    """The first line of the message in the answer of a call that failed, shortened, or the empty text."""
    lines = _said(request, "message").strip().splitlines()
    return short(" ".join(lines[0][:400].split()), 160) if lines else ""


def deleted(evidence: Evidence) -> list[Endpoint]:
    """The endpoints that are there no more, each as it was when it was deleted last."""
    there = {endpoint.name for endpoint in evidence.endpoints}
    last: dict[str, Endpoint] = {}
    made: dict[str, EndpointChange] = {}
    for change in evidence.endpoint_changes:
        if change.what == "created":
            made[change.endpoint] = change
        if change.what == "deleted" and change.endpoint not in there:
            first = made.get(change.endpoint, change)
            last[change.endpoint] = Endpoint(
                name=change.endpoint,
                creator=first.by,
                created=first.time,
                ready="NOT_READY",
                update="NOT_UPDATING",
                entities=change.entities,
                routes=change.routes,
            )
    return list(last.values())


def lives(evidence: Evidence, name: str) -> list[list[EndpointChange]]:
    """For each time that an endpoint was made, what was in force: the changes of what it served."""
    found: list[list[EndpointChange]] = []
    for change in evidence.endpoint_changes:
        if change.endpoint == name and (change.what == "created" or not found):
            found.append([])
        if change.endpoint == name and change.what == "updated":
            found[-1].append(change)
    return found


def periods(
    evidence: Evidence, name: str, wanted: Callable[[EndpointChange], bool]
) -> list[tuple[int, int | None]]:
    """From when to when something ``wanted`` was in force; None as the end where it still is."""
    ends = [c for c in evidence.endpoint_changes if c.endpoint == name and c.what in ("updated", "deleted")]
    return [
        (change.time, ends[n + 1].time if n + 1 < len(ends) else None)
        for n, change in enumerate(ends)
        if change.what == "updated" and wanted(change)
    ]


def _refused(evidence: Evidence) -> str:
    refused = [call for call in evidence.requests if call.status >= 400]
    return f" The last that was refused got {refused[-1].status}: {message(refused[-1])}" if refused else ""


def _said(request: Request, name: str) -> str:
    try:
        return str(contents.parsed(request.response)[name])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
