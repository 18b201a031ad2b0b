"""What is answered when something is wrong, in the shape of Databricks' REST API."""

import sqlite3
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from autograder.databricks.access import answer
from autograder.databricks.refusals import Refused, unforeseen

#: Calls of Databricks, for provisioned throughput, whose address reads like that of an endpoint named “pt”.
NOT_HERE = {("POST", "/api/2.0/serving-endpoints/pt")}


def answer_faults(app: FastAPI) -> None:
    """Have ``app`` answer what is raised with an ``error_code`` and a ``message``."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(sqlite3.OperationalError, _locked)
    app.add_exception_handler(Exception, _unforeseen)


async def not_offered(request: Request) -> Response:
    """What the API is asked for and does not have; MLflow's UI, which has the other paths, has it neither."""
    asked = f"{request.method} {request.url.path[:200]}"
    allowed = {
        method.upper()
        for template, operations in request.app.openapi()["paths"].items()
        if compile_path(template)[0].match(request.url.path)
        for method in operations
    }
    if allowed and (request.method, request.url.path) not in NOT_HERE:
        known = ", ".join(sorted(allowed))
        message = f"“{asked}” is not possible; this address takes {known}."
        raise Refused(405, "METHOD_NOT_ALLOWED", message, {"Allow": known})
    raise Refused(
        404,
        "ENDPOINT_NOT_FOUND",
        f"No API found for “{asked}”: this workspace does not offer it, or the address is misspelled. "
        "GET /openapi.json tells what there is; the rest needs a Databricks workspace.",
    )


async def _refused(_: Request, refused: Any) -> Response:
    return answer(refused)


async def _invalid(_: Request, error: Any) -> Response:
    """What pydantic found wrong with a body, as Databricks would say it."""
    told = [
        f"{'.'.join(str(part) for part in found['loc'] if part != 'body') or 'the body'}: {found['msg']}"
        for found in error.errors()[:5]
    ]
    return answer(Refused.invalid(f"The request cannot be used. {'; '.join(told)}."))


async def _http_error(_: Request, error: Any) -> Response:
    code = {404: "ENDPOINT_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    return answer(Refused(error.status_code, code, str(error.detail), dict(error.headers or {})))


async def _locked(_: Request, error: Exception) -> Response:
    return answer(Refused.unavailable(f"The workspace's file cannot be used now: {error}. Try again."))


async def _unforeseen(request: Request, error: Exception) -> Response:
    return answer(unforeseen(error, request.app.state.service.log))
