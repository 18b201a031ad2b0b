"""The facts of a workspace: endpoints and their history, the request log, access tokens, tables.

As all facts: frozen, JSON-serialisable, times in milliseconds since 1970-01-01 UTC. Terms are
Databricks' and Delta's.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServedEntity:
    """What an endpoint serves: version ``version`` of the registered model ``model_name``.

    ``name`` is what routes call it; ``source`` is where the version's files were said to be.
    """

    name: str
    model_name: str
    version: int
    source: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as it was left. ``ready`` is READY or NOT_READY, ``update`` is NOT_UPDATING,
    IN_PROGRESS or UPDATE_FAILED.

    ``entities`` and ``routes`` (name of a served entity to percent of the calls) are those in
    force; both are empty before its models were loaded. A tag without a value has the empty text.
    """

    name: str
    creator: str
    created: int
    ready: str
    update: str
    entities: tuple[ServedEntity, ...] = ()
    routes: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """A change of an endpoint, and what was in force right after it.

    ``what`` is “created”, “update asked”, “updated”, “update failed”, “tagged” or “deleted”; ``by``
    is the user who asked, empty for “updated” and “update failed”, which the server does by itself.
    """

    time: int
    endpoint: str
    what: str
    by: str
    ready: str = ""
    entities: tuple[ServedEntity, ...] = ()
    routes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A call in the request log. ``status`` is HTTP's.

    ``served_entity``, ``model_name``, ``version`` and ``source`` are None for a call that no model
    answered, ``requester`` and ``token`` (its id) for one without a valid token. ``request`` and
    ``response`` are None when they were too large to be logged; ``error_codes`` says so. ``cut`` tells
    that one of them is longer than what stands here.
    """

    request_id: str
    client_id: str | None
    time: int
    endpoint: str
    status: int
    duration_ms: float
    served_entity: str | None = None
    model_name: str | None = None
    version: int | None = None
    source: str | None = None
    requester: str | None = None
    token: str | None = None
    request: str | None = None
    response: str | None = None
    warning: str | None = None
    error_codes: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A version of a table. ``operation``, ``rows_written`` and ``run_id`` are what its commit says.

    ``rows`` and ``digest`` are counted and computed from the rows there were at that version (see
    :func:`autograder.evidence.digest.table_digest`); None for a version that was not read: there
    are limits, the newest is read first, and of the request log no version is digested.
    """

    number: int
    time: int
    operation: str
    rows_written: int
    run_id: str | None = None
    rows: int | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A Delta table, with its versions, oldest first.

    ``columns`` maps the newest version's columns to Delta's names of their types, nested ones as
    JSON. ``rows`` is the number of rows of the newest version, None when they could not be read.
    A feature table has ``primary_keys``, and perhaps a ``timestamp_column``.
    """

    name: str
    versions: tuple[TableVersion, ...]
    columns: dict[str, str] = field(default_factory=dict)
    rows: int | None = None
    primary_keys: tuple[str, ...] = ()
    timestamp_column: str | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of an access token; ``permission`` is CAN_QUERY or CAN_MANAGE.

    ``expires`` is None for one that never does, ``revoked`` for one that was not.
    """

    id: str
    user: str
    permission: str
    comment: str
    created: int
    expires: int | None = None
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """All that a workspace's folder holds beside the MLflow store. ``findings``: see ``Evidence``."""

    endpoints: tuple[Endpoint, ...] = ()
    endpoint_changes: tuple[EndpointChange, ...] = ()
    requests: tuple[Request, ...] = ()
    tables: tuple[TableFacts, ...] = ()
    tokens: tuple[AccessToken, ...] = ()
    findings: tuple[str, ...] = ()
