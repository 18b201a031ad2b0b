"""Workspaces in folders whose names have characters that libraries misread."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from autograder.base.paths import MisreadPath, path_of_database, plain_path, uri_of_database
from autograder.databricks.tables import TableError, Tables
from tests.conftest import run

pytestmark = pytest.mark.xdist_group("workspace")

#: What a student does in the first exercises: log, register, load in each way, serve and call.
WORK = """
import os, time, warnings
warnings.simplefilter("ignore")
from autograder.notebook import open_exercise
exercise = open_exercise("01-tracking")
import mlflow, requests
from mlflow.deployments import get_deploy_client
from sklearn.dummy import DummyClassifier
for experiment in ("Default", "another"):
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 1)
        mlflow.log_text("seen", "notes/a.txt")
        model = mlflow.sklearn.log_model(
            DummyClassifier().fit([[0]], [1]), name="model", registered_model_name="One"
        )
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/a.txt") == "seen"
    found = requests.get(
        exercise.workspace.host + "/get-artifact", params={"run_uuid": run.info.run_id, "path": "notes/a.txt"}
    )
    assert found.text == "seen", found.text
    for uri in (model.model_uri, f"runs:/{run.info.run_id}/model", "models:/One/1"):
        assert mlflow.sklearn.load_model(uri).predict([[0]])[0] == 1
client = get_deploy_client("databricks")
entity = {"entity_name": "One", "entity_version": "2"}
client.create_endpoint(name="one", config={"served_entities": [entity]})
while client.get_endpoint("one")["state"]["config_update"] == "IN_PROGRESS":
    time.sleep(0.1)
print(client.predict(endpoint="one", inputs={"inputs": [[0]]}))
print(len(exercise.workspace.metrics("one").calls), "calls")
"""
ODD = ["ann%40example.org; what is #1?", "[MLOps] R&D, O'Brien + 日本語 Übung 100%"]


@pytest.mark.parametrize("name", ODD)
def test_everything_of_a_workspace_is_in_its_folder_and_works_there(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "places" / name
    folder.mkdir(parents=True)
    done = run(sys.executable, "-c", WORK, folder=folder, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout
    assert "'predictions': [1]" in done.stdout
    assert "1 calls" in done.stdout
    assert [path.name for path in folder.parent.iterdir()] == [name]
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        assert store.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    assert len(list(folder.glob("mlruns/*/models/*/artifacts/MLmodel"))) == 2
    assert ("no tables and no request log here" in done.stdout) == (
        "%40" in name or "[" in name or "%25" in name
    )
    checked = run("mlflow-kit", "check", "01-tracking", "--folder", str(folder), folder=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert "of 25 points" in checked.stdout
    assert "not followed" not in checked.stdout


@pytest.mark.parametrize("name", ["a%40b", "a%2540b", "a?b#c", "a;b", "100%", 'a\'b "c" &+[]', "日本"])
def test_the_uri_of_a_database_reads_back_as_its_path_here_and_in_sqlalchemy(name: str) -> None:
    from sqlalchemy.engine import make_url

    path = Path("/home") / name / "mlflow.db"
    assert path_of_database(uri_of_database(path)) == path
    assert make_url(uri_of_database(path)).database == str(path)


def test_a_plain_path_is_the_same_place_and_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert plain_path(tmp_path / "R&D [x] 100%") == tmp_path / "R&D [x] 100%"
    odd = tmp_path / "c#" / "plain" / "a%20b" / "mlruns"
    odd.mkdir(parents=True)
    assert plain_path(odd).samefile(odd)
    assert plain_path(odd) == plain_path(odd)
    assert plain_path(odd / "0").parent == plain_path(odd)
    assert not {"#", "%"} & set(str(plain_path(odd)))


def test_where_no_link_can_be_made_the_character_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(MisreadPath, match=r"has '%40' in it.*Rename the folder, or set XDG_CACHE_HOME"):
        plain_path(tmp_path / "ann%40b")


@pytest.mark.parametrize(("name", "what"), [("ann%40b", "%40"), ("[x]", "["), ("a|b", "|"), ("a\\b", "\\\\")])
def test_tables_that_cannot_be_are_refused_with_the_character(tmp_path: Path, name: str, what: str) -> None:
    import pandas as pd

    (tmp_path / name).mkdir()
    with pytest.raises(TableError) as refused:
        Tables(tmp_path / name).write("mine", pd.DataFrame({"n": [1]}))
    assert f"'{what}' in it" in str(refused.value)
    assert "run it again from the top" in str(refused.value)


@pytest.mark.parametrize("name", ["what?", "c#1", "a;b", "R&D", "O'Brien", "a + b", "100%", "日本"])
def test_tables_work_in_all_other_places(tmp_path: Path, name: str) -> None:
    import pandas as pd

    (tmp_path / name).mkdir()
    tables = Tables(tmp_path / name)
    tables.write("mine", pd.DataFrame({"n": [1]}))
    tables.write("mine", pd.DataFrame({"n": [2]}), mode="append")
    assert sorted(tables.read("mine")["n"]) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [name]
