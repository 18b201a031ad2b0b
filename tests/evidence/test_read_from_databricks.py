"""Work on Databricks is read from Unity Catalog, as MLflow would."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking._model_registry.utils import _get_default_registry_uri_for_tracking_uri

from autograder.databricks.state import State
from autograder.databricks.tables import Tables
from autograder.databricks.tokens import create_token
from autograder.evidence.store_reader import read_store, registry_uri
from autograder.evidence.workspace_reader import read_workspace

pytestmark = pytest.mark.xdist_group("callers")


#: What a Databricks workspace answers, by the end of the path. Only a stand-in can say it here: MLflow's own
#: server does not know Unity Catalog, whose searches leave tags and aliases out.
CATALOG = {
    "experiments/search": {},
    "unity-catalog/registered-models/search": {"registered_models": [{"name": "main.default.iris"}]},
    "unity-catalog/registered-models/get": {
        "registered_model": {
            "name": "main.default.iris",
            "tags": [{"key": "team", "value": "a"}],
            "aliases": [{"alias": "champion", "version": "2"}],
        }
    },
    "unity-catalog/model-versions/search": {
        "model_versions": [{"name": "main.default.iris", "version": "2"}]
    },
    "unity-catalog/model-versions/get": {
        "model_version": {
            "name": "main.default.iris",
            "version": "2",
            "tags": [{"key": "ok", "value": "yes"}],
        }
    },
}


class Databricks(BaseHTTPRequestHandler):
    """A stand-in for the calls that reading a Databricks workspace makes."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        self.send_response(200 if path in CATALOG else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(CATALOG.get(path, {})).encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def databricks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment names a workspace that answers like Databricks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Databricks)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-a-test")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("databricks")
def test_work_on_databricks_is_read_from_unity_catalog_and_not_from_a_local_workspace(tmp_path: Path) -> None:
    create_token(State(tmp_path), "of local work")
    Tables(tmp_path).write("flowers", pd.DataFrame({"petal": [1.0]}))
    assert read_workspace(tmp_path).tokens
    facts = read_store("databricks", workspace=tmp_path)
    (model,) = facts.registered
    assert (model.name, model.tags, model.aliases) == ("main.default.iris", {"team": "a"}, {"champion": 2})
    assert [(version.version, version.tags) for version in model.versions] == [(2, {"ok": "yes"})]
    assert (facts.tokens, facts.endpoints, facts.requests) == ((), (), ())
    assert [table.name for table in facts.tables] == ["flowers"]
    assert any("of a Databricks workspace are not read" in finding for finding in facts.findings)


@pytest.mark.parametrize(
    ("tracking", "registry"),
    [
        ("databricks", "databricks-uc"),
        ("databricks://profile", "databricks-uc://profile"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_registry_is_the_one_that_mlflow_would_take(tracking: str, registry: str) -> None:
    assert registry_uri(tracking) == registry
    assert _get_default_registry_uri_for_tracking_uri(tracking) == registry
