"""MLflow's own UI and tracking API, started when somebody first asks for them.

They take a second and 200 MB that most notebooks never need.
"""

import asyncio
import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send


class MlflowUI:
    """An ASGI application that becomes MLflow's when it is first used."""

    def __init__(self, tracking_uri: str, folder: Path) -> None:
        self.tracking_uri = tracking_uri
        self.folder = folder
        self.app: ASGIApp | None = None
        self.starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to MLflow."""
        async with self.starting:
            if self.app is None:
                self.app = await asyncio.to_thread(self._start)
        await self.app(scope, receive, send)

    def _start(self) -> ASGIApp:
        """MLflow's application, told where the store is in the way that `mlflow server` tells it."""
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = self.tracking_uri
        os.environ["_MLFLOW_SERVER_REGISTRY_STORE"] = self.tracking_uri
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(self.folder / "mlruns")
        os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"

        from mlflow.server.fastapi_app import app

        return app
