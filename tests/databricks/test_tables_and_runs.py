"""Tables know which run used and wrote which version."""

import json
from pathlib import Path

import mlflow
import pytest

from autograder.databricks.fitting import TableError
from autograder.databricks.tables import Tables
from tests.support.plants import FLOWERS


def test_a_run_is_tied_to_the_versions_it_used(tables: Tables, own_store: Path) -> None:
    for visits in (1, 2, 3):
        tables.write("flowers", FLOWERS.assign(visits=visits), mode="overwrite")
    runs = []
    for version in (0, 1, None):
        with mlflow.start_run() as run:
            assert tables.log_input("flowers", version, context="training") == (
                2 if version is None else version
            )
        runs.append(run.info.run_id)
    with mlflow.start_run() as other:
        tables.write("trees", FLOWERS)
        mlflow.log_input(
            mlflow.data.from_pandas(FLOWERS, source="https://localhost/flowers.csv", name="flowers")
        )
    assert [tables.version_of(run, "flowers") for run in runs] == [0, 1, 2]
    assert tables.version_of(other.info.run_id, "flowers") is None
    assert tables.runs_of("flowers") == runs[::-1]
    assert [tables.runs_of("flowers", version) for version in (0, 1, 2)] == [[run] for run in runs]
    with pytest.raises(TableError, match="no version 7"):
        tables.runs_of("flowers", 7)
    (logged,) = mlflow.get_run(runs[1]).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.source_type) == ("flowers", "delta_table")
    assert json.loads(logged.dataset.source) == {
        "path": tables.path("flowers").as_posix(),
        "delta_table_version": 1,
    }
    assert {tag.key: tag.value for tag in logged.tags} == {"mlflow.data.context": "training"}


def test_a_run_is_tied_to_the_versions_it_wrote(tables: Tables, own_store: Path) -> None:
    tables.write("flowers", FLOWERS)
    with mlflow.start_run() as run:
        tables.write("flowers", FLOWERS, mode="append")
        tables.write("flowers", FLOWERS, mode="append")
    run_id = run.info.run_id
    tables.write("flowers", FLOWERS, mode="append", run_id="of-another-store")
    assert tables.version_of(run_id, "flowers") == 2
    assert tables.runs_of("flowers") == [run_id, "of-another-store"]
    assert [tables.runs_of("flowers", version) for version in range(4)] == [
        [],
        [run_id],
        [run_id],
        ["of-another-store"],
    ]
    with mlflow.start_run(run_id=run_id):
        tables.log_input("flowers", 0)
    assert tables.version_of(run_id, "flowers") == 0, "what a run used comes before what it wrote"


def test_the_tie_survives_a_move_of_the_folder(tables: Tables, own_store: Path, tmp_path: Path) -> None:
    tables.write("flowers", FLOWERS)
    with mlflow.start_run() as run:
        tables.log_input("flowers")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    tables.folder.rename(moved / "tables")
    assert Tables(moved).version_of(run.info.run_id, "flowers") == 0
    assert Tables(moved).runs_of("flowers", 0) == [run.info.run_id]


def test_an_input_without_a_run_is_said_and_no_run_is_started(tables: Tables, own_store: Path) -> None:
    tables.write("flowers", FLOWERS)
    with pytest.raises(TableError, match=r"No MLflow run is active.*with mlflow\.start_run"):
        tables.log_input("flowers")
    assert mlflow.search_runs(search_all_experiments=True, output_format="list") == []
