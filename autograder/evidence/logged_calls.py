"""Calls as the request log and its journal keep them, made facts: checked, cut to what is useful."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from autograder.evidence.bounds import LONGEST_BODY, MOST_REQUESTS, within
from autograder.evidence.find import version_number
from autograder.evidence.workspace_facts import Request

#: No more than so many bytes of the last requests are kept, as JSON.
LARGEST_REQUESTS = 7 << 20
#: Characters of a name that are kept.
LONGEST_NAME = 300

Name = Annotated[str, AfterValidator(lambda text: text[:LONGEST_NAME])]
Time = Annotated[int, Field(ge=0, lt=2**53)]


class _Record(BaseModel):
    """What :func:`autograder.databricks.journal.record` makes."""

    model_config = ConfigDict(strict=True)

    databricks_request_id: Name
    client_request_id: Name | None
    request_time: Annotated[int, Field(ge=0, lt=2**63)]
    status_code: Annotated[int, Field(ge=0, le=999)]
    execution_duration_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    request: str | None
    response: str | None
    served_entity_id: Name | None
    logging_error_codes: Annotated[list[Name], Field(max_length=10)]
    requester: Name | None
    request_metadata: Annotated[dict[str, str], Field(max_length=20)]


_record = TypeAdapter(_Record)


def call_from_json(text: str) -> Request:
    """A call from a line of the journal; raises ValueError when it is none."""
    return _request(_record.validate_json(text))


def call_from_row(row: Mapping[str, Any]) -> Request:
    """A call from a row of the table, ``request_time`` in microseconds; raises ValueError when it is none."""
    return _request(_record.validate_python({**row, "request_metadata": dict(row["request_metadata"])}))


def _request(call: _Record) -> Request:
    told = {name: text[:LONGEST_NAME] for name, text in call.request_metadata.items()}
    texts = (call.request, call.response)
    return Request(
        request_id=call.databricks_request_id,
        client_id=call.client_request_id,
        time=call.request_time // 1000,
        endpoint=told.get("endpoint_name", ""),
        status=call.status_code,
        duration_ms=call.execution_duration_ms,
        served_entity=told.get("served_entity_name"),
        model_name=told.get("model_name"),
        version=version_number(told.get("model_version")),
        source=call.served_entity_id,
        requester=call.requester,
        token=told.get("token_id"),
        request=texts[0] and texts[0][:LONGEST_BODY],
        response=texts[1] and texts[1][:LONGEST_BODY],
        warning=told.get("warning"),
        error_codes=tuple(call.logging_error_codes),
        cut=any(text is not None and len(text) > LONGEST_BODY for text in texts),
    )


def last_calls(calls: Iterable[Request]) -> tuple[tuple[Request, ...], int]:
    """Each call once, the oldest first, within the limits; and how many older ones were left out."""
    once = {call.request_id: call for call in calls}
    ordered = sorted(once.values(), key=lambda call: (call.time, call.request_id))
    kept = within(reversed(ordered), MOST_REQUESTS, LARGEST_REQUESTS)
    return kept[::-1], len(ordered) - len(kept)
