"""The facts of a workspace: endpoints and their history, the request log, access tokens, tables.

As all facts: frozen, JSON-serialisable, times in milliseconds since 1970-01-01 UTC. Terms are
Databricks' and Delta's.
"""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from autograder.evidence.bounds import LONGEST_BODY, Finite, Name, Number, Text, Word, entries, most


@dataclass(frozen=True, slots=True)
class ServedEntity:
    """What an endpoint serves: version ``version`` of the registered model ``model_name``.

    ``name`` is what routes call it; ``source`` is where the version's files were said to be.
    """

    name: Name
    model_name: Name
    version: Number
    source: Text


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as it was left. ``ready`` is READY or NOT_READY, ``update`` is NOT_UPDATING,
    IN_PROGRESS or UPDATE_FAILED.

    ``entities`` and ``routes`` (name of a served entity to percent of the calls) are those in
    force; both are empty before its models were loaded. A tag without a value has the empty text.
    """

    name: Name
    creator: Name
    created: Number
    ready: Name
    update: Name
    entities: Annotated[tuple[ServedEntity, ...], most(20)] = ()
    routes: Annotated[dict[Name, Number], entries(20)] = field(default_factory=dict)
    tags: Annotated[dict[Name, Text], entries(200)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """A change of an endpoint, and what was in force right after it.

    ``what`` is “created”, “update asked”, “updated”, “update failed”, “tagged” or “deleted”; ``by``
    is the user who asked, empty for “updated” and “update failed”, which the server does by itself.
    """

    time: Number
    endpoint: Name
    what: Name
    by: Name
    ready: Name = ""
    entities: Annotated[tuple[ServedEntity, ...], most(20)] = ()
    routes: Annotated[dict[Name, Number], entries(20)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A call in the request log. ``status`` is HTTP's.

    ``served_entity``, ``model_name``, ``version`` and ``source`` are None for a call that no model
    answered, ``requester`` and ``token`` (its id) for one without a valid token. ``request`` and
    ``response`` are None when they were too large to be logged; ``error_codes`` says so. ``cut`` tells
    that one of them is longer than what stands here.
    """

    request_id: Name
    client_id: Name | None
    time: Number
    endpoint: Name
    status: Number
    duration_ms: Finite
    served_entity: Name | None = None
    model_name: Name | None = None
    version: Number | None = None
    source: Name | None = None
    requester: Name | None = None
    token: Name | None = None
    request: Annotated[str, Field(max_length=LONGEST_BODY)] | None = None
    response: Annotated[str, Field(max_length=LONGEST_BODY)] | None = None
    warning: Name | None = None
    error_codes: Annotated[tuple[Name, ...], most(10)] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A version of a table. ``operation``, ``rows_written`` and ``run_id`` are what its commit says.

    ``rows`` and ``digest`` are counted and computed from the rows there were at that version (see
    :func:`autograder.evidence.digest.table_digest`); None for a version that was not read: there
    are limits, the newest is read first, and of the request log no version is digested.
    """

    number: Number
    time: Number
    operation: Name
    rows_written: Number
    run_id: Name | None = None
    rows: Number | None = None
    digest: Name | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A Delta table, with its versions, oldest first.

    ``columns`` maps the newest version's columns to Delta's names of their types, nested ones as
    JSON. ``rows`` is the number of rows of the newest version, None when they could not be read.
    A feature table has ``primary_keys``, and perhaps a ``timestamp_column``.
    """

    name: Name
    versions: Annotated[tuple[TableVersion, ...], most(200)]
    columns: Annotated[dict[Name, Name], entries(500)] = field(default_factory=dict)
    rows: Number | None = None
    primary_keys: Annotated[tuple[Name, ...], most(500)] = ()
    timestamp_column: Name | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of an access token; ``permission`` is CAN_QUERY or CAN_MANAGE.

    ``expires`` is None for one that never does, ``revoked`` for one that was not.
    """

    id: Name
    user: Name
    permission: Word
    comment: Text
    created: Number
    expires: Number | None = None
    revoked: Number | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """All that a workspace's folder holds beside the MLflow store. ``findings``: see ``Evidence``."""

    endpoints: tuple[Endpoint, ...] = ()
    endpoint_changes: tuple[EndpointChange, ...] = ()
    requests: tuple[Request, ...] = ()
    tables: tuple[TableFacts, ...] = ()
    tokens: tuple[AccessToken, ...] = ()
    findings: tuple[str, ...] = ()
