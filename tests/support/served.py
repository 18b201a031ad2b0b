"""A workspace with registered models and servers of it, for the tests that call it over HTTP."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import requests
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from autograder.databricks.database import sqlite_uri
from autograder.databricks.server import Server, start_server
from autograder.databricks.state import State
from autograder.databricks.tokens import Permission, create_token
from autograder.workspace import load_flowers
from autograder.workspace.prepared import put_store

FLOWERS = load_flowers(1)
NUMBERS = ["f1", "f2", "f3", "f4"]
TREES = ["sklearn.tree._tree.Tree"]
#: A small flower, as the guide's call sends it.
SPLIT = {"dataframe_split": {"columns": NUMBERS, "data": [[5.1, 3.5, 1.4, 0.2]]}}
#: A model from code, whose lines are what `load_context` and `predict` do.
CODE = """
import os, sys, time
import mlflow

class Mine(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        {load}

    def predict(self, context, model_input, params=None):
        {predict}

mlflow.models.set_model(Mine())
"""


@dataclass
class Served:
    """A workspace's folder with its store, the servers started for it, and a token."""

    folder: Path
    servers: list[Server] = field(default_factory=list)
    token: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        put_store(self.folder)
        self.token = self.new_token()

    @property
    def uri(self) -> str:
        return sqlite_uri(self.folder)

    @property
    def url(self) -> str:
        return self.servers[-1].url

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri, self.uri)

    def new_token(self, permission: Permission = Permission.CAN_MANAGE, seconds: float | None = None) -> str:
        return create_token(State(self.folder), "of a test", seconds, permission, "ada")[0]

    def start(self, **options: Any) -> Server:
        self.servers.append(start_server(self.folder, self.uri, **options))
        return self.servers[-1]

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def call(self, method: str, path: str, url: str = "", **options: Any) -> requests.Response:
        """Ask the workspace, with the token unless other headers are given."""
        options.setdefault("headers", self.bearer)
        return requests.request(method, (url or self.url) + path, timeout=60, **options)

    def ask(self, endpoint: str, url: str = "", **options: Any) -> requests.Response:
        """Call an endpoint, by default with the guide's flower."""
        if not {"json", "data"} & set(options):
            options["json"] = SPLIT
        return self.call("POST", f"/serving-endpoints/{endpoint}/invocations", url, **options)

    def ask_model(self, name: str, version: str, **options: Any) -> requests.Response:
        """Call a registered model at its old address, by default with the guide's flower."""
        if not {"json", "data"} & set(options):
            options["json"] = SPLIT
        return self.call("POST", f"/model/{name}/{version}/invocations", **options)

    def create(self, name: str, *entities: tuple[str, str, int], wait: bool = True) -> dict[str, Any]:
        """Make an endpoint of (model, version, percent) and wait until it is ready."""
        asked = {"name": name, "config": config(*entities)}
        answer = self.call("POST", "/api/2.0/serving-endpoints", json=asked)
        assert answer.status_code == 200, answer.text
        return self.settled(name) if wait else answer.json()

    def update(self, name: str, *entities: tuple[str, str, int]) -> requests.Response:
        return self.call("PUT", f"/api/2.0/serving-endpoints/{name}/config", json=config(*entities))

    def get(self, name: str, url: str = "") -> dict[str, Any]:
        answer = self.call("GET", f"/api/2.0/serving-endpoints/{name}", url)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint once no update is under way."""
        until(lambda: self.get(name)["state"]["config_update"] != "IN_PROGRESS")
        return self.get(name)

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Within it, MLflow's store is this one."""
        before = os.environ.get("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT")
        os.environ["MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT"] = "0"
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            with contextlib.chdir(self.folder), mlflow.start_run(experiment_id="0"):
                yield
        finally:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
            mlflow.set_registry_uri(None)  # type: ignore[arg-type]
            os.environ.pop("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT")
            if before is not None:
                os.environ["MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT"] = before

    def register(self, name: str, estimator: Any, signature: Any = None) -> None:
        """Log an estimator of scikit-learn and register it."""
        with self.logging():
            mlflow.sklearn.log_model(
                estimator,
                name="model",
                skops_trusted_types=TREES,
                signature=signature,
                pip_requirements=["mlflow"],
                registered_model_name=name,
            )

    def register_constant(self, name: str, answer: str) -> None:
        """Register a model without a signature that answers the same to everything."""
        self.register(name, DummyClassifier(strategy="constant", constant=answer).fit([[0]], [answer]))

    def register_flowers(self, name: str, arrays: bool = False, signature: bool = True) -> None:
        """Register a tree that was trained on a frame, or on arrays."""
        X = FLOWERS.X_train.to_numpy() if arrays else FLOWERS.X_train
        tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, FLOWERS.y_train)
        self.register(name, tree, infer_signature(X, tree.predict(X)) if signature else None)

    def register_code(
        self, name: str, load: str = "pass", predict: str = "return ['done'] * len(model_input)", **more: Any
    ) -> None:
        """Register a model whose code does what these lines say."""
        path = self.folder / f"{name}.py"
        path.write_text(CODE.format(load=load, predict=predict))
        with self.logging():
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(path),
                pip_requirements=["mlflow"],
                registered_model_name=name,
                **more,
            )


def config(*entities: tuple[str, str, int]) -> dict[str, Any]:
    """An endpoint's configuration that serves (model, version, percent)."""
    return {
        "served_entities": [{"entity_name": name, "entity_version": v} for name, v, _ in entities],
        "traffic_config": {
            "routes": [
                {"served_model_name": f"{name}-{version}", "traffic_percentage": percent}
                for name, version, percent in entities
            ]
        },
    }


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.05)


def refused(answer: requests.Response, status: int, *words: str) -> None:
    """Hold that an answer is an error with that status, in Databricks' shape, that says these words."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    body = answer.json()
    assert set(body) == {"error_code", "message"}
    assert body["error_code"].isupper()
    for word in words:
        assert word in body["message"], body["message"]
