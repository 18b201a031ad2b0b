"""The workspace's server beside stock `mlflow models serve`: the same model, the same calls, in turn.

    pytest -p no:xdist -o addopts= -s tests/benchmarks/bench_serving.py

The workspace checks a token and writes the request log; stock does neither. What is printed last are
ratios, workspace to stock, of one and the same run: below 1 is better, for calls a second above 1.
"""

import http.client
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from autograder.databricks.server import Server, start_server
from autograder.databricks.state import State
from autograder.databricks.tokens import create_token
from autograder.workspace import load_flowers
from tests.conftest import environment

CALLS = 400
ROUNDS = 8
STARTS = 5


@dataclass
class Served:
    """A server of the model: where to call, with which headers, and its process."""

    name: str
    url: str
    process: "subprocess.Popen[bytes]"
    headers: dict[str, str] = field(default_factory=dict)

    def memory(self) -> int:
        """What the server's processes hold by themselves, in MiB."""
        root = psutil.Process(self.process.pid)
        return sum(p.memory_full_info().uss for p in [root, *root.children(recursive=True)]) >> 20


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a registered forest with a signature."""
    folder = tmp_path_factory.mktemp("serving")
    script = (
        "import mlflow\nfrom autograder.workspace import load_flowers, open_workspace\nopen_workspace()\n"
        "from mlflow.models import infer_signature\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "X, _, y, _ = load_flowers()\nmodel = RandomForestClassifier(10, max_depth=5).fit(X, y)\n"
        "mlflow.sklearn.log_model(model, name='model', signature=infer_signature(X, model.predict(X)), "
        "skops_trusted_types=['sklearn.tree._tree.Tree'], registered_model_name='Iris')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment(), check=True)
    return folder


def start_stock(folder: Path) -> Served:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"sqlite:///{folder}/mlflow.db"
    command = ["mlflow", "models", "serve", "--env-manager", "local", "-m", "models:/Iris/1", "-p", str(port)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(MLFLOW_TRACKING_URI=uri),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Served("stock", f"http://127.0.0.1:{port}/invocations", process)


def start_workspace(folder: Path) -> Served:
    """The workspace with the endpoint ``iris``, which it has from the first time on."""
    server: Server = start_server(folder, f"sqlite:///{folder}/mlflow.db", eager=True)
    token, _ = create_token(State(folder))
    url = f"{server.url}/serving-endpoints/iris/invocations"
    return Served("workspace", url, server.process, {"Authorization": f"Bearer {token}"})


def connection(served: Served) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlparse(served.url).netloc, timeout=60)


def call(to: http.client.HTTPConnection, served: Served, body: bytes) -> int:
    headers = {"Content-Type": "application/json", **served.headers}
    to.request("POST", urlparse(served.url).path, body, headers)
    answer = to.getresponse()
    answer.read()
    return answer.status


def wait(served: Served, body: bytes) -> None:
    """Return when a call is answered."""
    for _ in range(3000):
        try:
            if call(connection(served), served, body) == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"{served.name} does not answer")


def stop(served: Served) -> None:
    children = psutil.Process(served.process.pid).children(recursive=True)
    if served.process.stdin:
        served.process.stdin.close()
    else:
        served.process.terminate()
        for child in children:
            child.terminate()
    served.process.wait(30)


def body_of(rows: int) -> bytes:
    flowers = load_flowers().X_test.head(rows)
    return json.dumps({"dataframe_split": flowers.to_dict("split", index=False)}).encode()


def make_endpoint(served: Served) -> None:
    address = urlparse(served.url)
    asked = {"name": "iris", "config": {"served_entities": [{"entity_name": "Iris", "entity_version": "1"}]}}
    to = http.client.HTTPConnection(address.netloc, timeout=60)
    headers = {"Content-Type": "application/json", **served.headers}
    to.request("POST", "/api/2.0/serving-endpoints", json.dumps(asked), headers)
    assert to.getresponse().status == 200


@pytest.fixture(scope="module")
def servers(store: Path) -> Iterator[tuple[Served, Served]]:
    """Both, ready."""
    started = start_stock(store), start_workspace(store)
    make_endpoint(started[1])
    for served in started:
        wait(served, body_of(1))
    yield started
    for served in started:
        stop(served)


def batch(served: Served, clients: int, body: bytes, latencies: list[float]) -> float:
    """CALLS calls by so many clients, each over one connection; the seconds that it took."""

    def one() -> None:
        to = connection(served)
        for _ in range(CALLS // clients):
            before = time.perf_counter()
            assert call(to, served, body) == 200
            latencies.append(time.perf_counter() - before)
        to.close()

    threads = [threading.Thread(target=one) for _ in range(clients)]
    before = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - before


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("clients", [1, 8])
def test_calls(benchmark: BenchmarkFixture, servers: tuple[Served, Served], clients: int, rows: int) -> None:
    body = body_of(rows)
    latencies: dict[str, list[float]] = {served.name: [] for served in servers}
    seconds: dict[str, list[float]] = {served.name: [] for served in servers}

    def both() -> None:
        for served in servers:
            seconds[served.name].append(batch(served, clients, body, latencies[served.name]))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    assert all(len(found) == CALLS * (ROUNDS + 1) for found in latencies.values())

    def p(name: str, percent: int) -> float:
        return statistics.quantiles(latencies[name][CALLS:], n=100)[percent - 1] * 1000

    pairs = zip(seconds["workspace"][1:], seconds["stock"][1:], strict=True)
    rate = 1 / statistics.median(ours / stock for ours, stock in pairs)
    found = {f"p{q}": (p("workspace", q), p("stock", q)) for q in (50, 99)}
    told = ", ".join(
        f"{q} {ours:.2f} / {stock:.2f} ms = {ours / stock:.2f}" for q, (ours, stock) in found.items()
    )
    memory = {served.name: served.memory() for served in servers}
    print(f"\n{clients} clients, {rows} rows: {told}; calls a second: ratio {rate:.2f}; MiB {memory}")
    benchmark.extra_info.update(found, rate=rate, memory=memory)


def test_ready(benchmark: BenchmarkFixture, store: Path, servers: tuple[Served, Served]) -> None:
    """Seconds from starting the command until the first call is answered."""
    seconds: dict[str, list[float]] = {"stock": [], "workspace": []}
    starts: tuple[Callable[[Path], Served], ...] = (start_stock, start_workspace)

    def both() -> None:
        for start in starts:
            before = time.perf_counter()
            served = start(store)
            wait(served, body_of(1))
            seconds[served.name].append(time.perf_counter() - before)
            stop(served)

    benchmark.pedantic(both, rounds=STARTS, warmup_rounds=1)
    stock, ours = (statistics.median(seconds[name][1:]) for name in ("stock", "workspace"))
    print(f"\nready after {ours:.2f} / {stock:.2f} s = {ours / stock:.2f}")
    benchmark.extra_info.update(ours=ours, stock=stock)
