"""A store that cannot be read gets one clear line, and looking at it changes nothing."""

import sqlite3
from pathlib import Path

import mlflow
import pytest

from autograder import evidence
from autograder.databricks.database import check_database
from autograder.evidence import NoStore, StoreError
from autograder.evidence.files import local_folder
from autograder.evidence.store_reader import is_generated_name, read_store
from autograder.pipeline.reader import Reader
from tests.conftest import ASSIGNMENT, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A small store with one run."""
    path = tmp_path / "mlflow.db"
    client = mlflow.MlflowClient(f"sqlite:///{path}")
    experiment = client.create_experiment("mine", artifact_location=(tmp_path / "mlruns").as_uri())
    run = client.create_run(experiment, run_name="a run")
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    client.log_param(run.info.run_id, "max_depth", 2)
    client.set_terminated(run.info.run_id)
    return path


def uri(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_store_becomes_facts_that_go_to_json_and_back(store: Path) -> None:
    facts = read_store(uri(store), seed=5)
    (run,) = facts.runs
    assert (run.name, run.status) == ("a run", "FINISHED")
    assert run.metrics == {"accuracy": 0.5}
    assert run.params == {"max_depth": "2"}
    assert [found.name for found in facts.experiments] == ["Default", "mine"]
    assert evidence.load(evidence.dump(facts)) == facts


def test_a_child_process_reads_the_same_facts(store: Path) -> None:
    empty = store.parent / "empty"
    empty.mkdir()
    with Reader() as reader:
        assert reader.store(store.parent, 5) == read_store(uri(store), seed=5)
        with pytest.raises(NoStore, match="There is no"):
            reader.store(empty, 5)


def test_no_store_is_said_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match=r"There is no mlflow\.db in .*Run the notebook's first cell"):
        read_store(uri(tmp_path / "mlflow.db"))
    assert not list(tmp_path.iterdir())


def test_an_empty_store_is_said_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    with pytest.raises(NoStore, match="is empty"):
        read_store(uri(path))
    assert path.stat().st_size == 0


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("no database at all" * 1000)
    with pytest.raises(StoreError, match="is not a database"):
        read_store(uri(path))


def test_a_database_that_is_no_store_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE groceries (name TEXT)")
    with pytest.raises(StoreError, match="made by another MLflow"):
        read_store(uri(path))


def test_a_store_of_another_mlflow_is_said_and_not_upgraded(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'abc123'")
    with pytest.raises(StoreError, match=r"another MLflow .schema abc123.*mlflow db upgrade"):
        read_store(uri(store))
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("abc123",)


def test_a_locked_store_is_said(store: Path) -> None:
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match=r"locked by another program.*Close other notebooks"):
            read_store(uri(store))
        done = run("mlflow-kit", "check", ASSIGNMENT, "--folder", str(store.parent), folder=store.parent)
        assert done.returncode == 1
        assert "locked by another program" in done.stdout
        assert "Traceback" not in done.stdout
    finally:
        connection.close()
    check_database(store)


@pytest.mark.parametrize("location", ["/etc", "file:///etc", "../outside", "s3://bucket/x", "http://h/x"])
def test_artifacts_outside_the_store_s_folder_are_not_followed(tmp_path: Path, location: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "outside").mkdir()
    assert local_folder(location, home) is None


def test_a_link_out_of_the_store_s_folder_is_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "inside").mkdir()
    (home / "link").symlink_to("/etc")
    assert local_folder(str(home / "inside"), home) == home / "inside"
    assert local_folder(str(home / "link"), home) is None


def test_names_that_mlflow_makes_up_are_known(store: Path) -> None:
    client = mlflow.MlflowClient(uri(store))
    for _ in range(20):
        made_up = client.create_run("0").info.run_name
        assert is_generated_name(made_up), made_up
    for given in ("forest-depth-2", "rf_depth5_lr0_01", "baseline", ""):
        assert not is_generated_name(given)
