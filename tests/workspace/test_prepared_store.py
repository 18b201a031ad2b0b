"""The prepared store is MLflow's own, ready at once, and remembers what MLflow forgets."""

import sqlite3
from pathlib import Path

import mlflow
import pytest

from autograder.databricks.database import check_database
from autograder.evidence import Change
from autograder.evidence.store_reader import read_store
from autograder.workspace import prepared
from tests.conftest import run

pytestmark = pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*:FutureWarning")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert prepared.put_store(tmp_path)
    return tmp_path / "mlflow.db"


def promote(store: Path) -> None:
    """A version goes to Staging, then to Production; champion moves from one version to another."""
    client = mlflow.MlflowClient(f"sqlite:///{store}", f"sqlite:///{store}")
    client.create_registered_model("Iris")
    source = (store.parent / "mlruns" / "0" / "x").as_uri()
    (store.parent / "mlruns" / "0" / "x").mkdir(parents=True)
    run_id = client.create_run("0").info.run_id
    for _ in range(2):
        client.create_model_version("Iris", source, run_id=run_id)
    client.transition_model_version_stage("Iris", "1", "Staging")
    client.transition_model_version_stage("Iris", "1", "Production")
    client.set_registered_model_alias("Iris", "champion", 1)
    client.set_registered_model_alias("Iris", "champion", 2)
    client.set_registered_model_alias("Iris", "champion", 2)
    client.delete_registered_model_alias("Iris", "champion")


def told(changes: tuple[Change, ...] | None) -> list[tuple[str, str, str | None, str | None]]:
    return [(c.kind, c.subject, c.before, c.after) for c in changes or ()]


def test_every_change_of_a_stage_or_an_alias_is_remembered_in_order(store: Path) -> None:
    promote(store)
    facts = read_store(f"sqlite:///{store}")
    assert told(facts.changes) == [
        ("stage", "1", None, "None"),
        ("stage", "2", None, "None"),
        ("stage", "1", "None", "Staging"),
        ("stage", "1", "Staging", "Production"),
        ("alias", "champion", None, "1"),
        ("alias", "champion", "1", "2"),
        ("alias", "champion", "2", None),
    ]
    assert facts.changes is not None
    times = [change.time for change in facts.changes]
    assert times == sorted(times)
    assert abs(times[-1] - facts.registered[0].versions[-1].created) < 60_000


def test_mlflow_takes_the_prepared_store_as_its_own(store: Path) -> None:
    check_database(store)
    before = store.read_bytes()
    (default,) = mlflow.MlflowClient(f"sqlite:///{store}").search_experiments()
    assert default.artifact_location == str(store.parent / "mlruns" / "0")
    assert store.read_bytes() == before, "MLflow changed the prepared store when it opened it"


def test_it_can_be_switched_off_and_then_only_the_history_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(prepared.SWITCH_VARIABLE, "0")
    assert not prepared.put_store(tmp_path)
    store = tmp_path / "mlflow.db"
    promote(store)
    facts = read_store(f"sqlite:///{store}")
    assert facts.changes is None
    assert [version.stage for version in facts.registered[0].versions] == ["Production", "None"]


def test_a_machine_that_cannot_keep_it_goes_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise PermissionError("read-only")

    monkeypatch.setattr(prepared, "kept_store", refuse)
    assert not prepared.put_store(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_there_is_left_alone(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE mine (x)")
    assert not prepared.put_store(store.parent)
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_the_command_in_its_text_makes_one(tmp_path: Path) -> None:
    path = tmp_path / "made.db"
    done = run("python", "-m", "autograder.workspace.prepared", str(path), folder=tmp_path)
    assert done.returncode == 0, done.stdout
    check_database(path)
