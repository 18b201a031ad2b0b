"""MLflow's own UI and tracking API, started when somebody first asks for them.

They take a second and 200 MB that most notebooks never need. A tracking server that was named has both
itself: MLflow's server cannot stand before another, so who asks for them here is sent there.
"""

import asyncio
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from autograder.base.addresses import is_server
from autograder.databricks.database import artifact_root
from autograder.databricks.faults import not_offered

#: Calls of Databricks, which MLflow's server would answer with a 404 that says nothing.
NOT_HERE = ("/api/2.0/permissions/", "/api/2.0/external-function")


class MlflowUI:
    """An ASGI application that becomes MLflow's when it is first used."""

    def __init__(self, tracking_uri: str, folder: Path) -> None:
        self.tracking_uri = tracking_uri
        self.folder = folder
        self.app: ASGIApp | None = None
        self.starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to MLflow."""
        if scope["type"] == "http" and scope["path"].startswith(NOT_HERE):
            await not_offered(Request(scope, receive))
        if is_server(self.tracking_uri):
            return await self._elsewhere(scope)(scope, receive, send)
        async with self.starting:
            if self.app is None:
                self.app = await asyncio.to_thread(self._start)
        await self.app(scope, receive, send)

    def _elsewhere(self, scope: Scope) -> ASGIApp:
        """The answer that sends a request on to the tracking server, with its method and its body."""
        query = scope["query_string"].decode("latin-1")
        path = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(self.tracking_uri.rstrip("/") + path, 307)

    def _start(self) -> ASGIApp:
        """MLflow's application, told where the store is in the way that `mlflow server` tells it."""
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = self.tracking_uri
        os.environ["_MLFLOW_SERVER_REGISTRY_STORE"] = self.tracking_uri
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = artifact_root(self.folder)
        os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"

        from mlflow.server.fastapi_app import app

        return app
