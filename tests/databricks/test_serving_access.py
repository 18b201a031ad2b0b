"""Who may do what at the workspace's server, and that its tokens are nowhere to be read."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter

from autograder.databricks.app import make_app
from autograder.databricks.state import State
from autograder.databricks.tokens import Permission, list_tokens, revoke_token
from tests.conftest import ROOT, environment
from tests.support.served import Served, config, refused, until

pytestmark = pytest.mark.xdist_group("serving access")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("access"))
    served.register_constant("One", "one")
    served.start()
    served.create("one", ("One", "1", 100))
    yield served
    served.close()


PATHS = [
    ("GET", "/api/2.0/serving-endpoints"),
    ("GET", "/api/2.0/serving-endpoints/one"),
    ("POST", "/api/2.0/serving-endpoints"),
    ("DELETE", "/api/2.0/serving-endpoints/one"),
    ("PUT", "/api/2.0/serving-endpoints/one/config"),
    ("PATCH", "/api/2.0/serving-endpoints/one/tags"),
    ("GET", "/api/2.0/serving-endpoints/one/metrics"),
    ("GET", "/api/2.0/serving-endpoints/one/served-models/One-1/logs"),
    ("GET", "/api/2.0/token/list"),
    ("POST", "/api/2.0/token/create"),
    ("POST", "/api/2.0/token/delete"),
    ("POST", "/serving-endpoints/one/invocations"),
    ("POST", "/serving-endpoints/one/served-models/One-1/invocations"),
    ("POST", "/model/One/1/invocations"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nothing_is_to_be_had_without_a_token(served: Served, method: str, path: str) -> None:
    answer = served.call(method, path, headers={})
    refused(answer, 401, "no Authorization header", "mlflow-kit token create")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    wrong = {"Authorization": "Bearer dapi" + "0" * 40}
    refused(served.call(method, path, headers=wrong), 403, "Invalid access token")


def forgotten() -> str:
    return "secret"


@pytest.mark.parametrize("where", ["in a router", "in the application", "after it was made"])
def test_a_route_that_declares_no_permission_is_open_to_nobody(served: Served, where: str) -> None:
    router = APIRouter(prefix="/api/2.0/forgotten")
    router.add_api_route("/one", forgotten)
    app = make_app(State(served.folder), served.uri)
    mounted = app.router.routes.pop()  # MLflow's UI has all paths that are left
    if where == "in a router":
        app.include_router(router)
    elif where == "in the application":
        app.add_api_route("/api/2.0/forgotten/one", forgotten)
    else:
        app.include_router(router)
        router.add_api_route("/two", forgotten)
    app.router.routes.append(mounted)

    async def ask(path: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)

    path = "/api/2.0/forgotten/two" if where == "after it was made" else "/api/2.0/forgotten/one"
    for headers in ({}, served.bearer):
        answer = asyncio.run(ask(path, headers))
        assert answer.status_code == 403, answer.text
        assert f"The route GET {path} declares no permission" in answer.json()["message"]
    assert asyncio.run(ask("/ping", {})).status_code == 200


@pytest.mark.parametrize("given", ["{token}", "Bearer", "Bearer ", "Basic {token}", "Token {token}"])
def test_a_malformed_header_is_401_and_says_the_form(served: Served, given: str) -> None:
    answer = served.ask("one", headers={"Authorization": given.format(token=served.token)})
    refused(answer, 401, "Bearer <token>")


@pytest.mark.parametrize("change", ["cut", "longer", "other", "upper", "noise"])
def test_a_wrong_token_is_403(served: Served, change: str) -> None:
    token = served.token
    wrong = {
        "cut": token[:-1],
        "longer": token + "0",
        "other": token[:-1] + ("0" if token[-1] != "0" else "1"),
        "upper": token.upper(),
        "noise": "é" * 20,
    }[change]
    answer = served.ask("one", headers={"Authorization": f"Bearer {wrong}".encode("latin-1")})
    refused(answer, 403, "Invalid access token", "mlflow-kit token create")
    assert answer.json()["error_code"] == "PERMISSION_DENIED"


def test_an_expired_token_is_403_and_says_when(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.new_token(seconds=1.5)}"}
    assert served.ask("one", headers=headers).status_code == 200
    until(lambda: served.ask("one", headers=headers).status_code != 200, 10)
    refused(served.ask("one", headers=headers), 403, "expired", "seconds ago", "mlflow-kit token create")


def test_revocation_counts_with_the_next_call_also_from_another_process(served: Served) -> None:
    for elsewhere in (False, True):
        token = served.new_token()
        headers = {"Authorization": f"Bearer {token}"}
        assert served.ask("one", headers=headers).status_code == 200
        if elsewhere:
            code = (
                "import sys; from pathlib import Path\n"
                "from autograder.databricks.state import State\n"
                "from autograder.databricks.tokens import revoke_token\n"
                "revoke_token(State(Path(sys.argv[1])), sys.argv[2])"
            )
            command = [sys.executable, "-c", code, str(served.folder), token[4:12]]
            subprocess.run(command, check=True, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)))
        else:
            revoke_token(State(served.folder), token[4:12])
        refused(served.ask("one", headers=headers), 403, "was revoked", "mlflow-kit token create")
        assert served.ask("one").status_code == 200


def test_can_query_asks_and_reads_but_changes_nothing(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.new_token(Permission.CAN_QUERY)}"}
    assert served.ask("one", headers=headers).json() == {"predictions": ["one"]}
    assert served.ask_model("One", "1", headers=headers).status_code == 200
    for path in ("", "/one", "/one/metrics", "/one/served-models/One-1/logs"):
        assert served.call("GET", f"/api/2.0/serving-endpoints{path}", headers=headers).status_code == 200
    found = served.call("GET", "/api/2.0/serving-endpoints", headers=headers).json()["endpoints"]
    assert [each["permission_level"] for each in found] == ["CAN_QUERY"]
    one_seen = served.call("GET", "/api/2.0/serving-endpoints/one", headers=headers).json()
    assert (one_seen["permission_level"], served.get("one")["permission_level"]) == (
        "CAN_QUERY",
        "CAN_MANAGE",
    )
    one = config(("One", "1", 100))
    before = served.get("one"), list_tokens(State(served.folder))
    for method, path, body in [
        ("POST", "/api/2.0/serving-endpoints", {"name": "mine", "config": one}),
        ("PUT", "/api/2.0/serving-endpoints/one/config", one),
        ("PATCH", "/api/2.0/serving-endpoints/one/tags", {"add_tags": [{"key": "a"}]}),
        ("DELETE", "/api/2.0/serving-endpoints/one", None),
        ("POST", "/api/2.0/token/create", {}),
        ("POST", "/api/2.0/token/delete", {"token_id": served.token[4:12]}),
        ("GET", "/api/2.0/token/list", None),
    ]:
        answer = served.call(method, path, headers=headers, json=body)
        refused(answer, 403, "CAN_QUERY", "needs CAN_MANAGE", "--permission CAN_MANAGE")
    assert before == (served.get("one"), list_tokens(State(served.folder)))


@pytest.mark.parametrize("path", ["/", "/api/2.0/serving-endpoints", "/serving-endpoints/one/invocations"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::2]:80"])
def test_a_foreign_host_is_refused_also_with_a_token(served: Served, host: str, path: str) -> None:
    method = "POST" if path.endswith("invocations") else "GET"
    answer = served.call(method, path, headers={**served.bearer, "Host": host})
    refused(answer, 403, host, "127.0.0.1 and localhost")


def test_localhost_is_this_machine_too(served: Served) -> None:
    headers = {**served.bearer, "Host": f"localhost:{served.url.rpartition(':')[2]}"}
    assert served.ask("one", headers=headers).status_code == 200


def test_no_token_is_anywhere_in_the_folder(served: Served) -> None:
    made = served.call("POST", "/api/2.0/token/create", json={"comment": "app"}).json()["token_value"]
    headers = {"Authorization": f"Bearer {made}"}
    for endpoint in ("one", "none"):
        served.ask(endpoint, headers=headers)
        served.ask(endpoint, headers={"Authorization": f"Bearer {made}0"})
        served.ask(endpoint, headers={"Authorization": made})
    served.ask("one", data=b"\xff{", headers=headers)
    served.call("GET", "/api/2.0/mlflow/experiments/search", headers=headers)
    served.close()  # the journal moves to the table
    files = [path for path in served.folder.rglob("*") if path.is_file()]
    assert {"serving.log", "workspace.db"} <= {path.name for path in files}
    assert any(path.suffix == ".parquet" for path in files)
    for path in files:
        content = path.read_bytes()
        for token in (made, served.token):
            assert token.encode() not in content, path
            assert token[12:].encode() not in content, path
    served.start()
    assert served.ask("one", headers=headers).status_code == 200
