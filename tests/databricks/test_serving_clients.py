"""Clients that know nothing of this kit: requests as in the guide, curl, MLflow's, Databricks' SDK."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.serving import (
    EndpointCoreConfigInput,
    EndpointTag,
    ExternalFunctionRequestHttpMethod,
    PtEndpointCoreConfig,
    PtServedModel,
    Route,
    ServedEntityInput,
    ServingEndpointsAPI,
    TrafficConfig,
)
from mlflow.deployments import get_deploy_client
from mlflow.models import infer_signature

from tests.support.served import FLOWERS, NUMBERS, Served, config, until

pytestmark = pytest.mark.xdist_group("serving clients")

FLOWER = [5.1, 3.5, 1.4, 0.2]
ROWS = FLOWERS.X_test[:3]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("clients"))
    served.register_flowers("IrisRandomForest", arrays=True)
    served.register_flowers("IrisRandomForest", arrays=True, signature=False)
    served.client.transition_model_version_stage("IrisRandomForest", "1", "Production")
    served.client.set_registered_model_alias("IrisRandomForest", "champion", "2")
    served.register_flowers("Named")
    served.register_code(
        "Repeats",
        predict="return [str(params['times'])] * len(model_input)",
        signature=infer_signature(ROWS, ["x"], params={"times": 1}),
    )
    served.start()
    served.create("flowers", ("Named", "1", 100))
    yield served
    served.close()


@pytest.fixture
def environment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that open_workspace sets."""
    names = {
        "DATABRICKS_HOST": served.url,
        "DATABRICKS_TOKEN": served.token,
        "DATABRICKS_AUTH_TYPE": "pat",
        "MLFLOW_ENABLE_DB_SDK": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("version", ["1", "2", "Production", "champion"])
def test_the_guide_s_call_is_answered(served: Served, version: str) -> None:
    answer = requests.post(
        f"{served.url}/model/IrisRandomForest/{version}/invocations",
        headers={"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"},
        data=json.dumps({"dataframe_split": {"columns": NUMBERS, "data": [FLOWER, [7.0, 3.2, 6.0, 2.2]]}}),
        timeout=30,
    )
    assert (answer.status_code, answer.json()) == (200, {"predictions": ["setosa", "virginica"]})
    one = version in ("1", "Production")
    assert answer.headers["served-model-name"] == f"IrisRandomForest-{1 if one else 2}"
    assert ("no signature" in answer.headers.get("Warning", "")) is not one


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_is_answered(served: Served) -> None:
    command = ["curl", "-sS", "-X", "POST", f"{served.url}/serving-endpoints/flowers/invocations"]
    command += ["-H", f"Authorization: Bearer {served.token}", "-H", "Content-Type: application/json"]
    body = json.dumps({"dataframe_records": [dict(zip(ROWS.columns, FLOWER, strict=True))]})
    done = subprocess.run([*command, "-d", body], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"predictions": ["setosa"]}


def _payloads() -> dict[str, tuple[str, Any]]:
    parquet = BytesIO()
    ROWS.to_parquet(parquet)
    split = ROWS.to_dict(orient="split")
    records = ROWS.to_dict(orient="records")
    bodies = {
        "dataframe_split": {"dataframe_split": {"columns": split["columns"], "data": split["data"]}},
        "dataframe_records": {"dataframe_records": records},
        "inputs": {"inputs": ROWS.to_dict(orient="list")},
        "instances": {"instances": records},
    }
    made: dict[str, tuple[str, Any]] = {
        name: ("application/json", json.dumps(body)) for name, body in bodies.items()
    }
    made["csv"] = ("text/csv", ROWS.to_csv(index=False))
    made["charset"] = ("application/json; charset=utf-8", made["inputs"][1])
    made["parquet"] = ("application/vnd.apache.parquet", parquet.getvalue())
    return made


@pytest.mark.parametrize("kind", _payloads())
def test_every_payload_of_mlflow_s_server_gets_the_same_answer(served: Served, kind: str) -> None:
    media, body = _payloads()[kind]
    answer = served.ask("flowers", data=body, headers={**served.bearer, "Content-Type": media})
    tree = served.ask("flowers", json=json.loads(_payloads()["dataframe_records"][1])).json()
    assert (answer.status_code, answer.json()) == (200, tree)
    assert len(set(tree["predictions"])) > 1


def test_positions_are_taken_by_a_model_that_was_trained_on_arrays(served: Served) -> None:
    for form in ("inputs", "instances"):
        answer = served.ask_model("IrisRandomForest", "1", json={form: [FLOWER]})
        assert (answer.status_code, answer.json()) == (200, {"predictions": ["setosa"]})


def test_params_reach_the_model(served: Served) -> None:
    body = {"dataframe_records": ROWS.to_dict(orient="records"), "params": {"times": 7}}
    assert served.ask_model("Repeats", "1", json=body).json() == {"predictions": ["7"] * 3}
    del body["params"]
    assert served.ask_model("Repeats", "1", json=body).json() == {"predictions": ["1"] * 3}


@pytest.mark.usefixtures("environment")
def test_mlflow_s_own_client_makes_asks_changes_and_deletes_an_endpoint(served: Served) -> None:
    client = get_deploy_client("databricks")
    one = config(("Named", "1", 100))
    made = client.create_endpoint(name="deployed", config=one)
    assert made["state"]["config_update"] == "IN_PROGRESS"
    served.settled("deployed")
    assert client.get_endpoint("deployed")["state"]["ready"] == "READY"
    assert "deployed" in [endpoint["name"] for endpoint in client.list_endpoints()]
    records = {"dataframe_records": ROWS.to_dict(orient="records")}
    assert len(client.predict(endpoint="deployed", inputs=records)["predictions"]) == 3

    client.update_endpoint_config("deployed", config(("IrisRandomForest", "2", 100)))
    assert served.settled("deployed")["config"]["config_version"] == 2
    with pytest.warns(FutureWarning):
        client.update_endpoint("deployed", one)
    assert served.settled("deployed")["config"]["served_entities"][0]["entity_name"] == "Named"
    client.update_endpoint_tags("deployed", {"add_tags": [{"key": "team", "value": "a"}, {"key": "b"}]})
    client.update_endpoint_tags("deployed", {"delete_tags": ["b"]})
    assert client.get_endpoint("deployed")["tags"] == [{"key": "team", "value": "a"}]
    made = client.create_endpoint(config={"name": "whole", "config": one, "tags": [{"key": "a"}]})
    assert made["tags"] == [{"key": "a", "value": None}]
    client.delete_endpoint("whole")
    client.delete_endpoint("deployed")
    assert "deployed" not in [endpoint["name"] for endpoint in client.list_endpoints()]


@pytest.mark.usefixtures("environment")
def test_what_the_workspace_does_not_offer_is_said() -> None:
    client = get_deploy_client("databricks")
    with pytest.raises(Exception, match="No API found"):
        client.update_endpoint_rate_limits("flowers", {"rate_limits": [{"calls": 1}]})
    with pytest.raises(Exception, match="No API found"):
        client.update_endpoint_ai_gateway("flowers", {"usage_tracking_config": {"enabled": True}})
    with pytest.raises(Exception, match="call predict instead"):
        list(client.predict_stream(endpoint="flowers", inputs={"inputs": [FLOWER]}))


@pytest.fixture(scope="module")
def sdk(served: Served) -> WorkspaceClient:
    return WorkspaceClient(host=served.url, token=served.token, auth_type="pat")


def test_databricks_sdk_runs_an_endpoint_s_whole_life(served: Served, sdk: WorkspaceClient) -> None:
    def entities(version: str) -> list[ServedEntityInput]:
        return [ServedEntityInput(entity_name="IrisRandomForest", entity_version=version)]

    api = sdk.serving_endpoints
    api.create("asked", config=EndpointCoreConfigInput("asked", served_entities=entities("1")))
    served.settled("asked")
    ready = api.create_and_wait(
        "sdk",
        config=EndpointCoreConfigInput(
            "sdk",
            served_entities=entities("1"),
            traffic_config=TrafficConfig([Route(100, served_model_name="IrisRandomForest-1")]),
        ),
    )
    assert ready.config and ready.config.served_entities
    assert {"sdk", "asked"} <= {endpoint.name for endpoint in api.list()}
    answer = api.query("sdk", dataframe_records=[dict(zip(NUMBERS, FLOWER, strict=True))])
    assert answer.predictions == ["setosa"]
    updated = api.update_config_and_wait("sdk", served_entities=entities("2"))
    assert updated.config and updated.config.config_version == 2
    api.update_config("asked", served_entities=entities("2"))
    assert api.get("asked").name == "asked"
    api.patch("sdk", add_tags=[EndpointTag("team", "a")])
    assert [tag.key for tag in api.get("sdk").tags or ()] == ["team"]
    assert "DEPLOYMENT_READY" in (api.logs("sdk", "IrisRandomForest-2").logs or "")
    exported = api.export_metrics("sdk").contents
    assert exported and 'request_count_total{endpoint_name="sdk",status="200"} 1' in exported.read().decode()
    served.settled("asked")
    for name in ("sdk", "asked"):
        api.delete(name)
        with pytest.raises(NotFound):
            api.get(name)


THROUGHPUT = PtEndpointCoreConfig([PtServedModel("Named", 1, entity_version="1")])


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("build_logs", ("flowers", "Named-1")),
        ("create_provisioned_throughput_endpoint", ("fast", THROUGHPUT)),
        ("get_open_api", ("flowers",)),
        ("get_permission_levels", ("flowers",)),
        ("get_permissions", ("flowers",)),
        ("http_request", ("elsewhere", ExternalFunctionRequestHttpMethod.GET, "/")),
        ("patch_telemetry_config", ("flowers",)),
        ("put", ("flowers",)),
        ("put_ai_gateway", ("flowers",)),
        ("set_permissions", ("flowers",)),
        ("update_notifications", ("flowers",)),
        ("update_permissions", ("flowers",)),
        ("update_provisioned_throughput_endpoint_config", ("flowers", THROUGHPUT)),
    ],
)
def test_databricks_sdk_is_told_what_is_not_offered(sdk: WorkspaceClient, method: str, given: Any) -> None:
    with pytest.raises(NotFound, match=r"No API found.*this workspace does not offer it.*needs a Databricks"):
        getattr(sdk.serving_endpoints, method)(*given)


def test_every_serving_call_of_databricks_sdk_is_tested_as_answered_or_as_refused() -> None:
    """A new release of the SDK with a new call is noticed here."""
    (parametrized,) = test_databricks_sdk_is_told_what_is_not_offered.pytestmark  # type: ignore[attr-defined]
    refused = {method for method, _ in parametrized.args[1]}
    answered = set(test_databricks_sdk_runs_an_endpoint_s_whole_life.__code__.co_names)
    calls = {name for name in vars(ServingEndpointsAPI) if not name.startswith("_")}
    waiting = {name for name in calls if name.startswith("wait_") or name.endswith("_and_wait")}
    assert calls - waiting - answered == refused


def test_databricks_sdk_makes_lists_and_revokes_tokens(served: Served, sdk: WorkspaceClient) -> None:
    made = sdk.tokens.create(comment="for the app", lifetime_seconds=60)
    assert made.token_info and made.token_value
    known = {info.token_id: info for info in sdk.tokens.list()}
    assert known[made.token_info.token_id].comment == "for the app"
    headers = {"Authorization": f"Bearer {made.token_value}"}
    assert served.call("GET", "/api/2.0/serving-endpoints", headers=headers).status_code == 200
    sdk.tokens.delete(made.token_info.token_id or "")
    assert made.token_info.token_id not in {info.token_id for info in sdk.tokens.list()}
    assert served.call("GET", "/api/2.0/serving-endpoints", headers=headers).status_code == 403


def test_mlflow_s_ui_is_at_the_same_address(served: Served) -> None:
    until(lambda: served.call("GET", "/", headers={}).status_code == 200)
    found = served.call("GET", "/api/2.0/mlflow/registered-models/search", headers={}).json()
    assert "Named" in [model["name"] for model in found["registered_models"]]
