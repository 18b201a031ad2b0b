"""The chapter on other languages shows the clients that are committed, and they do what it says."""

import json
import re
import shutil
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.conftest import ROOT, run
from tests.support.pages import included, shown

HERE = ROOT / "book" / "languages"
CHAPTER = ROOT / "book" / "chapters" / "languages.md"
CLIENTS = {"curl": "client.sh", "R": "client.R", "java": "Client.java"}
COMMANDS = {"curl": "curl", "R": "Rscript", "java": "java"}

pytestmark = pytest.mark.xdist_group("languages")


def test_the_chapter_shows_the_clients_and_what_they_printed() -> None:
    files = included(CHAPTER)
    outputs = [f"outputs/{name}.txt" for name in (*CLIENTS, "runs", "versions")]
    assert {str(path.relative_to(HERE)) for path in files} == {"flowers.json", *CLIENTS.values(), *outputs}
    for name in CLIENTS.values():
        text = "\n".join(shown(CHAPTER, HERE / name))
        for line in (HERE / name).read_text(encoding="utf-8").splitlines():
            # the page says in its own words what the first lines of the Java file say
            if not re.match(r"import |// (Call|A JDK)|$", line):
                assert line in text, f"{name}: the page does not show {line!r}"


@pytest.mark.parametrize("name", CLIENTS)
def test_all_languages_printed_the_same(name: str) -> None:
    assert (HERE / "outputs" / f"{name}.txt").read_text().split() == [
        *("answer", '{"predictions":', '["setosa",', '"versicolor",', '"virginica"]}'),
        *("right", "3", "of", "3", "run", "FINISHED"),
    ]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_calls_and_logs_on_a_real_server(name: str, tmp_path: Path) -> None:
    if shutil.which(COMMANDS[name]) is None:
        pytest.skip(f"needs {COMMANDS[name]}: `make languages` says which of Debian's packages have it")
    outputs = tmp_path / "outputs"
    folder = tmp_path / "workspace"
    folder.mkdir()
    done = run(
        "python", str(HERE / "run.py"), "--folder", str(folder), "--outputs", str(outputs), name,
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert (outputs / f"{name}.txt").read_bytes() == (HERE / "outputs" / f"{name}.txt").read_bytes()
    header, logged = (outputs / "runs.txt").read_text().splitlines()
    committed = (HERE / "outputs" / "runs.txt").read_text().splitlines()
    assert header == committed[0]
    assert logged in committed[1:]
    # the same from the store itself, without what the script makes of it
    store = sqlite3.connect(folder / "mlflow.db")
    rows = store.execute(
        "SELECT status, start_time, end_time, p.value, m.value, m.timestamp FROM runs r "
        "JOIN params p USING (run_uuid) JOIN latest_metrics m USING (run_uuid) WHERE r.name LIKE 'asked-%'"
    ).fetchall()
    store.close()
    ((status, start, end, endpoint, right, at),) = rows
    assert (status, endpoint, right) == ("FINISHED", "flowers", 3.0)
    assert 1_700_000_000_000 < start <= end
    assert start <= at <= end


def test_a_language_that_is_not_there_is_told_with_its_packages(tmp_path: Path) -> None:
    done = run(sys.executable, str(HERE / "run.py"), "R", folder=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "Rscript is not on this machine" in done.stdout
    assert "apt-get install -y --no-install-recommends r-base-core r-cran-httr r-cran-jsonlite" in done.stdout
    done = run("python", str(HERE / "run.py"), "Ruby", folder=tmp_path)
    assert done.returncode == 2
    assert "there is no client in Ruby; expected curl, R, java" in done.stdout


class Recorder(BaseHTTPRequestHandler):
    """A tracking server that writes down what it is asked, and knows one run."""

    asked: ClassVar[list[tuple[str, set[str]]]] = []

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        self.asked.append((f"{self.command} {path}", set(json.loads(sent or b"{}"))))
        run = {"info": {"run_id": "r", "experiment_id": "1", "status": "RUNNING"}, "data": {}}
        known = {
            "experiments/create": {"experiment_id": "1"},
            "experiments/get": {
                "experiment": {"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}
            },
            "runs/create": {"run": run},
            "runs/get": {"run": run},
            "runs/update": {"run_info": run["info"]},
            "runs/log-parameter": {},
            "runs/log-metric": {},
        }
        answer = known.get(path, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": path})
        self.send_response(200 if path in known else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def test_the_requests_that_the_chapter_lists_are_those_of_mlflow_s_client(tmp_path: Path) -> None:
    page = (ROOT / "book" / "chapters" / "languages.md").read_text("utf-8")
    rows = re.findall(r"^\| .* \| (`(?:GET|POST) .*) \| (.*) \|$", page, re.MULTILINE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    code = (
        "import mlflow\nmlflow.set_experiment('e')\nwith mlflow.start_run(run_name='n') as run:\n"
        "    mlflow.log_param('p', 1)\n    mlflow.log_metric('m', 1.0)\nmlflow.get_run(run.info.run_id)\n"
    )
    address = f"http://127.0.0.1:{server.server_port}"
    done = run(sys.executable, "-c", code, folder=tmp_path, MLFLOW_TRACKING_URI=address)
    server.shutdown()
    thread.join()
    server.server_close()
    assert done.returncode == 0, done.stdout
    sent: dict[str, set[str]] = {}
    for request, keys in Recorder.asked:
        sent[request] = sent.get(request, set()) | keys
    told = [(request, body) for cell, body in rows for request in re.findall(r"`((?:GET|POST) [^`]*)`", cell)]
    assert len(told) == 7
    for request, body in told:
        assert request in sent
        if request != "GET experiments/get-by-name":  # whose row tells the body of the second request
            assert set(re.findall(r"`(\w+)`", body)) <= sent[request], request
    assert set(sent) - {request for request, _ in told} <= {"GET experiments/get"}, "more than is told"
