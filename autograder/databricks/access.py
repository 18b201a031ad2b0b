"""What stands before every request of the API: that it means this machine, its size, and its patience."""

import asyncio
import os

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autograder.databricks.refusals import Refused

#: The largest body that is taken, in bytes, as on Databricks.
MOST_BODY = 16 << 20
#: A body larger than that is read to its end and thrown away, so that its sender hears why; up to here.
MOST_DRAINED = 256 << 20
#: Seconds in which a body must be there; the environment can name others.
PATIENCE = 30.0
PATIENCE_VARIABLE = "MLFLOW_KIT_BODY_PATIENCE"
#: The names under which this server may be asked: a web page that has its own name point here gets nothing.
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
#: The paths of the API. The rest is MLflow's own UI.
API = ("/api/2.0/serving-endpoints", "/api/2.0/token/", "/serving-endpoints/", "/model/")


class Gate:
    """Middleware that lets a request of the API through once its whole body is here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.patience = float(os.environ.get(PATIENCE_VARIABLE, PATIENCE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        try:
            _check_host(headers.get("host", ""))
            if not scope["path"].startswith(API):
                return await self.app(scope, receive, send)
            body = await self._body(receive, headers.get("content-length", ""))
        except Refused as refused:
            return await answer(refused)(scope, receive, send)
        left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return left.pop() if left else await receive()

        return await self.app(scope, replay, send)

    async def _body(self, receive: Receive, announced: str) -> bytes:
        """The body of a request. Raises Refused for one that is too large or too slow."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(
                            400, "BAD_REQUEST", "The connection was closed before the body had come."
                        )
                    size += len(message.get("body", b""))
                    if size <= MOST_BODY:
                        parts.append(message.get("body", b""))
                    if size > MOST_DRAINED or not message.get("more_body"):
                        break
        except TimeoutError:
            raise Refused(
                408,
                "REQUEST_TIMEOUT",
                f"The body did not come within {self.patience:g} seconds: {size} bytes"
                f"{f' of {announced}' if announced else ''}. Send it at once, and check the "
                "Content-Length header.",
                {"Connection": "close"},
            ) from None
        if size > MOST_BODY:
            raise Refused(
                413,
                "MAX_REQUEST_SIZE_EXCEEDED",
                f"The body has {'more than ' if size > MOST_DRAINED else ''}{size} bytes; at most "
                f"{MOST_BODY} are "
                "taken. Send the rows in several requests.",
                {"Connection": "close"},
            )
        return b"".join(parts)


def answer(refused: Refused) -> JSONResponse:
    """The answer that a refusal is."""
    return JSONResponse(refused.body(), refused.status, refused.headers)


def _check_host(host: str) -> None:
    """Raise Refused unless a request names this machine itself."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.lower() not in HOSTS:
        raise Refused.forbidden(
            f"The Host header names “{host[:100]}”; this server answers as 127.0.0.1 and localhost only."
        )
