"""What the routes share: the registry's models, the endpoints, the journal, and how a call is answered."""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, Request, Response

from autograder.databricks import journal, tokens
from autograder.databricks.access import answer
from autograder.databricks.endpoints import Endpoints
from autograder.databricks.loaded_models import Models
from autograder.databricks.mover import Mover
from autograder.databricks.refusals import Refused, unforeseen
from autograder.databricks.state import State
from autograder.databricks.tokens import Token
from autograder.databricks.traffic import Document, found_of

#: Seconds without a call after which a model that may scale to zero is unloaded.
IDLE = 30 * 60.0
#: Seconds in which a call must be answered, as with MLflow's own scoring server
#: (MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT); the environment can name others.
PATIENCE = 60.0
PATIENCE_VARIABLE = "MLFLOW_KIT_ANSWER_PATIENCE"
#: Where a server writes what it prints, unless it has a file for that.
TERMINAL = "the terminal in which the server runs"
#: Look-ups in the registry that are made at the same time.
FINDERS = 4
ENDING = (
    "The workspace's server is ending, and the model had not answered yet. Ask again when the workspace is "
    "open again."
)


class Service:
    """What the routes share. Made when the server starts, closed when it ends."""

    def __init__(self, state: State, tracking_uri: str, idle: float = IDLE, log: str = TERMINAL) -> None:
        self.state = state
        self.log = log
        self.idle = idle
        self.models = Models(tracking_uri, state.folder)
        self.endpoints = Endpoints(state, self.models)
        self.mover = Mover(state)
        self.connection = state.connect()
        self.patience = float(os.environ.get(PATIENCE_VARIABLE, PATIENCE))
        self.finders = ThreadPoolExecutor(FINDERS, "asks the registry")

    @contextlib.asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        """Move the journal, go on with what was begun, unload what is idle, until the server ends."""
        self.mover.start()
        self.endpoints.resume()
        unloading = asyncio.create_task(self._unload())
        yield
        unloading.cancel()
        self.finders.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.mover.stop)
        self.connection.close()

    async def _unload(self) -> None:
        while True:
            await asyncio.sleep(min(self.idle / 4, 60))
            with contextlib.suppress(sqlite3.Error):  # another process writes: next time
                await asyncio.to_thread(self.endpoints.take_up)
                documents = await asyncio.to_thread(self.endpoints.all)
                kept = {
                    found_of(entity)
                    for document in documents
                    for entity in document.get("config", {}).get("served_entities", ())
                    if not entity["scale_to_zero_enabled"]
                }
                self.models.unload(self.idle, kept)

    def bearer(self, request: Request) -> Token:
        """Whose token a request carries."""
        return tokens.bearer(self.connection, request.headers.get("authorization"))

    async def call(
        self, request: Request, endpoint: str, entity: Callable[[], Awaitable[Document]]
    ) -> Response:
        """Answer a call of an endpoint, and write it down before."""
        began, clock = time.time(), time.perf_counter()
        body = await request.body()
        token: Token | None = None
        chosen: Document | None = None
        warning = None
        headers = {}
        try:
            token = self.bearer(request)
            content_type = _content_type(request)
            _check_stream(body)
            step = "finding the model"
            async with asyncio.timeout(self.patience):
                chosen = await entity()
                found = found_of(chosen)
                loaded = self.models.ready(found)
                if loaded is None:
                    step = "loading the model, which goes on,"
                    loaded = await asyncio.wrap_future(self.models.load(found))
                step = "the model's predict"
                loop = asyncio.get_running_loop()
                status, media_type, text = await loop.run_in_executor(
                    loaded.askers, loaded.predict, body, content_type
                )
            response = Response(text, status, media_type=media_type)
            warning = loaded.warning
        except TimeoutError:
            response = answer(_too_late(step, self.patience))
        except asyncio.CancelledError:  # the server ends, and what was asked is written down all the same
            response = answer(Refused.unavailable(ENDING, 5))
        except Refused as refused:
            response = answer(refused)
        except Exception as error:  # such as a registry that does not answer
            response = answer(unforeseen(error, self.log))
        if chosen:
            headers["served-model-name"] = chosen["name"]
        if warning:
            headers["Warning"] = f'199 mlflow-kit "{_ascii(warning)}"'
        call = journal.record(
            endpoint=endpoint,
            status=response.status_code,
            began=began,
            seconds=time.perf_counter() - clock,
            request=body,
            response=bytes(response.body),
            requester=token.user if token else None,
            token_id=token.id if token else None,
            client_request_id=_client_request_id(body),
            entity=chosen,
            warning=warning,
        )
        try:
            self.mover.wrote(journal.write(self.connection, call))
        except Exception as error:  # a full disk: what cannot be written down is not answered
            return answer(Refused.unavailable(f"The request log cannot be written: {error}."))
        headers["x-request-id"] = call["databricks_request_id"]
        response.headers.update(headers)
        return response


def _too_late(step: str, seconds: float) -> Refused:
    """What is said of a call that took too long."""
    return Refused(
        504,
        "DEADLINE_EXCEEDED",
        f"There was no answer within {seconds:g} seconds: {step} took longer. Ask again later, or send fewer "
        "rows at once; if it stays so, see in a notebook how long mlflow.pyfunc.load_model and predict take.",
    )


def _content_type(request: Request) -> str:
    """The content type of a call. Raises Refused when there is none."""
    given = request.headers.get("content-type", "").strip()
    if not given:
        raise Refused(
            415,
            "BAD_REQUEST",
            "The request has no Content-Type header, so its body cannot be read. Send 'Content-Type: "
            "application/json' "
            "(requests.post(..., json=...) does it for you), or text/csv.",
        )
    return given


def _check_stream(body: bytes) -> None:
    """Raise Refused for a call that wants its answer in pieces, as a language model gives it."""
    if b'"stream"' not in body:
        return
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # MLflow says what is wrong with it
        return
    if isinstance(given, dict) and given.get("stream") is True:
        raise Refused(
            501,
            "NOT_IMPLEMENTED",
            "This workspace does not answer in pieces (stream is true): its models answer at once. Leave "
            "stream out; with MLflow's client, call predict instead of predict_stream.",
        )


def _client_request_id(body: bytes) -> str | None:
    """The id that a caller gave a request, if it did; Databricks' request log keeps it."""
    if b'"client_request_id"' not in body:
        return None
    try:
        given = json.loads(body)["client_request_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    # half a character could never leave the journal again
    return given[:256].encode("utf-8", "replace").decode() if isinstance(given, str) else None


def _ascii(text: str) -> str:
    """Text that a header can carry."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text).replace('"', "'")
