"""The chapter on other languages shows the clients that are committed, and they do what it says."""

import re
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run
from tests.pages import included, shown

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
