"""The web application: which path does what. MLflow's own UI is at every path that is not the API's."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, PlainTextResponse

from autograder.databricks import metrics, tokens
from autograder.databricks.access import API, Gate
from autograder.databricks.faults import answer_faults, not_offered
from autograder.databricks.refusals import Refused
from autograder.databricks.service import IDLE, TERMINAL, Service
from autograder.databricks.shapes import (
    ChangeTags,
    CreateEndpoint,
    CreateToken,
    EndpointConfig,
    ErrorBody,
    RevokeToken,
)
from autograder.databricks.state import State, WorkspaceError
from autograder.databricks.tokens import Permission, Token
from autograder.databricks.traffic import Document, default_name, parsed, pick, served
from autograder.databricks.ui import MlflowUI


async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def _reader(request: Request) -> Token:
    return (await _service(request)).bearer(request)


async def _manager(request: Request) -> Token:
    return _may_manage((await _service(request)).bearer(request))


async def _looked_at_in_the_call() -> None:
    """Service.call looks at the token: calls that are refused are in the request log, too."""


async def _anyone() -> None:
    """No token is needed, and nothing of the workspace told."""


#: What a route may declare; see :func:`_only_declared`.
PERMISSIONS = frozenset({_reader, _manager, _looked_at_in_the_call, _anyone})


async def _only_declared(request: Request) -> None:
    """Refuse a route that does not say itself who may use it: one that was forgotten is open to nobody."""
    route: APIRoute = request.scope["route"]
    if not any(dependency.call in PERMISSIONS for dependency in route.dependant.dependencies):
        raise Refused.forbidden(
            f"The route {request.method} {route.path} declares no permission, so nobody may use it. This is "
            "a fault of the kit: each route names Reader, Manager, CALLER or ANYONE."
        )


Shared = Annotated[Service, Depends(_service)]
Reader = Annotated[Token, Depends(_reader)]
Manager = Annotated[Token, Depends(_manager)]
CALLER = Depends(_looked_at_in_the_call)
ANYONE = Depends(_anyone)

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]

endpoints = APIRouter(prefix="/api/2.0/serving-endpoints", tags=["serving endpoints"])


@endpoints.get("/", include_in_schema=False)
@endpoints.get("")
def list_endpoints(service: Shared, token: Reader) -> Document:
    """All endpoints."""
    return {"endpoints": [_seen_by(token, document) for document in service.endpoints.all()]}


@endpoints.post("/", include_in_schema=False)
@endpoints.post("")
def create_endpoint(asked: CreateEndpoint, service: Shared, token: Manager) -> Document:
    """Make an endpoint; its state tells when it is ready."""
    return service.endpoints.create(asked, token.user)


@endpoints.get("/{name}")
def get_endpoint(name: str, service: Shared, token: Reader) -> Document:
    """An endpoint: what it serves, and its state."""
    return _seen_by(token, service.endpoints.get(name))


@endpoints.delete("/{name}")
def delete_endpoint(name: str, service: Shared, token: Manager) -> Document:
    """Delete an endpoint; its request log stays."""
    service.endpoints.delete(name, token.user)
    return {}


@endpoints.put("/{name}/config")
def update_config(name: str, asked: EndpointConfig, service: Shared, token: Manager) -> Document:
    """Serve something else; the present models answer until the new ones are loaded."""
    return service.endpoints.update(name, asked, token.user)


@endpoints.patch("/{name}/tags")
def change_tags(name: str, asked: ChangeTags, service: Shared, token: Manager) -> Document:
    """Set and take away tags."""
    return service.endpoints.change_tags(name, asked, token.user)


@endpoints.get("/{name}/metrics", response_model=str, responses={200: {"content": {"text/plain": {}}}})
def export_metrics(name: str, service: Shared, _: Reader) -> Response:
    """Calls and latency, as text that Prometheus reads."""
    service.endpoints.get(name)
    return PlainTextResponse(metrics.as_prometheus(metrics.measure(service.state.folder, name)))


@endpoints.get("/{name}/served-models/{served_name}/logs")
def logs(name: str, served_name: str, service: Shared, _: Reader) -> Document:
    """What happened when a served entity was loaded."""
    document = service.endpoints.get(name)
    pending = document.get("pending_config", {})
    if any(entity["name"] == served_name for entity in pending.get("served_entities", ())):
        document["config"] = pending
    state = served(document, served_name)["state"]
    return {"logs": f"{state['deployment']}\n{state['deployment_state_message']}".strip()}


calls = APIRouter(tags=["calls"])
_ROWS = {"type": "array", "items": {"type": "object"}}
_FORMS = {"dataframe_records": _ROWS, "dataframe_split": {"type": "object"}, "inputs": {}, "instances": {}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "properties": _FORMS}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@calls.post("/serving-endpoints/{name}/invocations", openapi_extra=_BODY, dependencies=[CALLER])
async def query(request: Request, name: str, service: Shared) -> Response:
    """Ask an endpoint, which picks the served entity by its traffic's percentages."""

    async def entity() -> Document:
        return pick(_document(service, name))

    return await service.call(request, name, entity)


@calls.post(
    "/serving-endpoints/{name}/served-models/{served_name}/invocations",
    openapi_extra=_BODY,
    dependencies=[CALLER],
)
async def query_served(request: Request, name: str, served_name: str, service: Shared) -> Response:
    """Ask one served entity of an endpoint."""

    async def entity() -> Document:
        return served(_document(service, name), served_name)

    return await service.call(request, name, entity)


@calls.post(
    "/model/{name}/{version}/invocations", openapi_extra=_BODY, dependencies=[CALLER], deprecated=True
)
async def query_model(request: Request, name: str, version: str, service: Shared) -> Response:
    """Ask a registered model by version, stage or alias: an address that Databricks has removed."""

    async def entity() -> Document:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(service.finders, service.models.find, name, version)
        return {
            "name": default_name(found),
            "entity_name": name,
            "entity_version": found.version,
            "source": found.source,
            "location": found.location,
        }

    return await service.call(request, name, entity)


def _document(service: Service, name: str) -> Document:
    row = service.connection.execute("SELECT body FROM endpoints WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise service.endpoints.unknown(name)
    return parsed(row[0])


access_tokens = APIRouter(prefix="/api/2.0/token", tags=["tokens"])


@access_tokens.post("/create")
def create_token(asked: CreateToken, service: Shared, token: Manager) -> Document:
    """Make a token for the bearer's user; its text is in this answer and nowhere else."""
    text, made = tokens.create_token(
        service.state, asked.comment, asked.lifetime_seconds, Permission(asked.permission), token.user
    )
    return {"token_value": text, "token_info": _token_info(made)}


@access_tokens.get("/list")
def list_tokens(service: Shared, _: Manager) -> Document:
    """The tokens that were not revoked."""
    found = tokens.list_tokens(service.state)
    return {"token_infos": [_token_info(token) for token in found if token.revoked is None]}


@access_tokens.post("/delete")
def delete_token(asked: RevokeToken, service: Shared, _: Manager) -> Document:
    """Revoke a token."""
    try:
        tokens.revoke_token(service.state, asked.token_id)
    except WorkspaceError as error:
        raise Refused.missing(str(error)) from None
    return {}


def make_app(state: State, tracking_uri: str, idle: float = IDLE, log: str = TERMINAL) -> FastAPI:
    """The application that serves the workspace of ``state`` with the models of a tracking store.

    ``log`` says where what it prints is to be read.
    """
    service = Service(state, tracking_uri, idle, log)
    app = FastAPI(
        title="A workspace on this machine",
        version="2.0",
        description="The serving and token calls of Databricks' REST API that this kit answers.",
        docs_url=None,  # its page would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=service.running,
        dependencies=[Depends(_only_declared)],
        responses={
            status: {"model": ErrorBody}
            for status in (400, 401, 403, 404, 405, 408, 409, 413, 415, 501, 503, 504)
        },
    )
    app.state.service = service
    app.add_middleware(Gate)
    answer_faults(app)
    app.include_router(endpoints)
    app.include_router(calls)
    app.include_router(access_tokens)

    @app.get("/ping", include_in_schema=False, dependencies=[ANYONE])
    def ping() -> PlainTextResponse:
        return PlainTextResponse("\n")

    @app.get("/.well-known/databricks-config", include_in_schema=False, dependencies=[ANYONE])
    def config() -> JSONResponse:  # the Databricks SDK asks which kind of host this is
        return JSONResponse({"oidc_endpoint": ""})

    for path in API:
        app.add_route(f"{path}{{rest:path}}", not_offered, methods=METHODS, include_in_schema=False)
    app.mount("/", MlflowUI(tracking_uri, state.folder))
    return app


def _may_manage(token: Token) -> Token:
    if token.permission is not Permission.CAN_MANAGE:
        raise Refused.forbidden(
            f"The token {token.id} of {token.user} has the permission {token.permission}; this needs "
            "CAN_MANAGE. `mlflow-kit token create --permission CAN_MANAGE` makes one that has it."
        )
    return token


def _seen_by(token: Token, document: Document) -> Document:
    """An endpoint's document as the bearer of a token gets it."""
    return {**document, "permission_level": token.permission}


def _token_info(token: Token) -> Document:
    return {
        "token_id": token.id,
        "creation_time": token.created,
        "expiry_time": -1 if token.expires is None else token.expires,
        "comment": token.comment,
        "created_by_username": token.user,
        "permission": token.permission,
    }
