"""Where a proxy is set, nothing that is meant for this machine goes to it."""

import os
import sys
import urllib.request
from pathlib import Path

import pytest
import requests

from autograder.base.startup import names_this_machine, without_proxy
from tests.conftest import run
from tests.support.closed_proxy import closed_proxy

pytestmark = pytest.mark.xdist_group("workspace")

CALLS = """
import os, subprocess, sys, urllib.request
from autograder.workspace import open_workspace
workspace = open_workspace()
import httpx, requests
from databricks.sdk import WorkspaceClient
from mlflow.deployments import get_deploy_client
url = workspace.host + "/api/2.0/serving-endpoints"
token = {"Authorization": "Bearer " + os.environ["DATABRICKS_TOKEN"]}
print(urllib.request.urlopen(urllib.request.Request(url, headers=token)).status)
for address in (url, url.replace("127.0.0.1", "localhost")):
    print(requests.get(address, headers=token).status_code, httpx.get(address, headers=token).status_code)
print(get_deploy_client("databricks").list_endpoints(), list(WorkspaceClient().serving_endpoints.list()))
script = "import os, requests; print(requests.get(os.environ['DATABRICKS_HOST'] + '/ping').status_code)"
print(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout)
try:
    urllib.request.urlopen("http://elsewhere.invalid/")
except urllib.error.HTTPError as error:
    print("elsewhere", error.code)
"""


def test_every_client_in_a_notebook_reaches_its_endpoint_past_the_proxy(tmp_path: Path) -> None:
    with closed_proxy() as (names, seen):
        said = run(sys.executable, "-c", CALLS, folder=tmp_path, **names, NO_PROXY="corp.example").stdout
    assert said.count("200") == 6, said
    assert "elsewhere 403" in said
    assert [request for request in seen if "elsewhere.invalid" not in request] == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ("127.0.0.1,localhost", "127.0.0.1,localhost")),
        ({"NO_PROXY": ""}, ("127.0.0.1,localhost", "127.0.0.1,localhost")),
        ({"NO_PROXY": "a, .b"}, ("a,.b,127.0.0.1,localhost", "a,.b,127.0.0.1,localhost")),
        ({"no_proxy": "a"}, ("a,127.0.0.1,localhost", "a,127.0.0.1,localhost")),
        ({"no_proxy": "a", "NO_PROXY": "b,localhost"}, ("b,localhost,127.0.0.1", "a,127.0.0.1,localhost")),
        ({"no_proxy": "*"}, ("*", "*")),
        ({"no_proxy": " * ", "NO_PROXY": "x"}, ("x,127.0.0.1,localhost", "*")),
    ],
)
def test_what_is_exempt_already_stays_so(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], expected: tuple[str, str]
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.example:1")
    found = without_proxy(said)
    assert (found["NO_PROXY"], found["no_proxy"]) == expected
    assert without_proxy(found) == found
    for name, value in found.items():
        assert names_this_machine(value)
        monkeypatch.setenv(name, value)
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert requests.utils.should_bypass_proxies("http://localhost:1", no_proxy=None)
    assert ("*" in os.environ["no_proxy"]) == bool(urllib.request.proxy_bypass("elsewhere.example"))


def test_the_systems_own_proxies_stay_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and macOS, where urllib forgets them once the environment names any."""
    monkeypatch.setattr("autograder.base.startup.getproxies", lambda: {"http": "http://proxy.example:1"})
    monkeypatch.setattr("autograder.base.startup.getproxies_environment", dict)
    assert without_proxy({}) == {}
