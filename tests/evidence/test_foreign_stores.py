"""A left-behind store is data from a stranger: read from a copy, and never followed outside."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import mlflow
import mlflow.sklearn
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss

from autograder.evidence import StoreError, dump, load
from autograder.evidence.files import describe
from autograder.evidence.store_reader import read_store
from autograder.workspace import load_flowers
from autograder.workspace.prepared import put_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A prepared store with one run, its metric, a file and a model."""
    home = tmp_path / "home"
    home.mkdir()
    put_store(home)
    uri = f"sqlite:///{home / 'mlflow.db'}"
    X_train, X_test, y_train, y_test = load_flowers(1)
    mlflow.set_tracking_uri(uri)
    location = (home / "mlruns").as_uri()
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("mine", artifact_location=location))
    with mlflow.start_run(run_name="a run"):
        forest = RandomForestClassifier(3, random_state=0).fit(X_train, y_train)
        mlflow.log_metric("accuracy", accuracy_score(y_test, forest.predict(X_test)))
        for step in range(3):
            mlflow.log_metric("log_loss", log_loss(y_test, forest.predict_proba(X_test)) + step, step=step)
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": 1}, "settings.json")
        mlflow.log_table({"x": [1, 2]}, "table.json")
        frame = mlflow.data.from_pandas(X_train, name="flowers")
        mlflow.log_input(frame, context="training")
        mlflow.sklearn.log_model(
            forest,
            name="model",
            skops_trusted_types=["sklearn.tree._tree.Tree"],
            input_example=X_test.head(2),
            pip_requirements=["scikit-learn==1.9.1"],
        )
    yield home / "mlflow.db"
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def sql(store: Path, *statements: str) -> None:
    connection = sqlite3.connect(store)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def uri(store: Path) -> str:
    return f"sqlite:///{store}"


def test_the_facts_are_complete(store: Path) -> None:
    facts = read_store(uri(store))
    (run,), (model,) = facts.runs, facts.models
    assert [point.step for point in run.history["log_loss"]] == [0, 1, 2]
    assert run.metrics["log_loss"] == run.history["log_loss"][-1].value
    kinds = {artifact.path: artifact.kind for artifact in run.artifacts}
    assert kinds == {"notes/hello.txt": "text", "settings.json": "json", "table.json": "table"}
    (dataset,) = run.datasets
    assert (dataset.name, dataset.context) == ("flowers", "training")
    assert run.model_ids == (model.model_id,)
    declared = model.declared
    assert declared.model_id == model.model_id
    assert declared.run_id == run.run_id
    assert declared.inputs == tuple(load_flowers(1).X_test.columns)
    assert declared.has_outputs
    assert declared.has_input_example
    assert declared.requirements == ("mlflow==3.17.2", "scikit-learn==1.9.1")
    assert declared.serialization_format == "skops"
    assert model.files["model.skops"] > 1000
    assert not facts.findings


def test_reading_changes_nothing(store: Path) -> None:
    before = {path: path.read_bytes() for path in store.parent.rglob("*") if path.is_file()}
    read_store(uri(store))
    assert {path: path.read_bytes() for path in store.parent.rglob("*") if path.is_file()} == before


def test_a_store_that_was_moved_gives_the_same_facts(store: Path, tmp_path: Path) -> None:
    here = read_store(uri(store))
    moved = tmp_path / "elsewhere" / "deep"
    moved.parent.mkdir()
    store.parent.rename(moved)
    there = read_store(uri(moved / "mlflow.db"))
    assert there.runs == here.runs
    assert [model.files for model in there.models] == [model.files for model in here.models]
    assert [model.declared for model in there.models] == [model.declared for model in here.models]


def test_what_is_only_in_the_write_ahead_log_is_read(store: Path) -> None:
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE runs SET name = 'renamed in the log'")
    connection.commit()
    try:
        assert (store.parent / "mlflow.db-wal").stat().st_size > 0
        assert read_store(uri(store)).runs[0].name == "renamed in the log"
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TRIGGER gift AFTER INSERT ON runs BEGIN DELETE FROM runs; END", "trigger “gift”"),
        ("CREATE VIEW all_right AS SELECT 1 AS accuracy", "view “all_right”"),
        ("CREATE VIRTUAL TABLE sneaky USING fts5(x)", "virtual table “sneaky”"),
    ],
)
def test_foreign_schema_is_refused(store: Path, statement: str, words: str) -> None:
    sql(store, statement)
    with pytest.raises(StoreError, match=words):
        read_store(uri(store))


def test_a_trigger_in_the_kit_s_name_is_refused_when_it_is_not_the_kit_s(store: Path) -> None:
    sql(
        store,
        "DROP TRIGGER kit_alias_set",
        "CREATE TRIGGER kit_alias_set AFTER INSERT ON registered_model_aliases BEGIN DELETE FROM runs; END",
    )
    with pytest.raises(StoreError, match="kit_alias_set"):
        read_store(uri(store))


def to_etc(store: Path) -> None:
    sql(store, "UPDATE logged_models SET artifact_location = '/etc'", "UPDATE runs SET artifact_uri = '/etc'")


def to_a_server(store: Path) -> None:
    sql(store, "UPDATE logged_models SET artifact_location = 'http://127.0.0.1:9/x'")


def to_a_parent(store: Path) -> None:
    sql(store, "UPDATE logged_models SET artifact_location = artifact_location || '/../../../../..'")


def through_a_link(store: Path) -> None:
    (store.parent / "link").symlink_to("/etc")
    sql(store, f"UPDATE logged_models SET artifact_location = '{store.parent}/link'")


@pytest.mark.parametrize("lead", [to_etc, to_a_server, to_a_parent, through_a_link])
def test_a_path_that_leaves_the_store_is_a_finding_and_not_followed(
    store: Path, lead: Callable[[Path], None]
) -> None:
    lead(store)
    facts = read_store(uri(store))
    assert facts.models[0].folder is None
    assert not facts.models[0].files
    assert any("not followed" in finding for finding in facts.findings)


def test_a_database_that_is_a_link_is_refused(store: Path, tmp_path: Path) -> None:
    link = tmp_path / "mlflow.db"
    link.symlink_to(store)
    with pytest.raises(StoreError, match="is a link"):
        read_store(uri(link))


def test_a_database_that_is_too_large_is_refused(store: Path) -> None:
    with store.open("r+b") as file:
        file.truncate(70 << 20)
    with pytest.raises(StoreError, match="has 70 MiB"):
        read_store(uri(store))


def test_numbers_that_are_none_are_findings(store: Path) -> None:
    sql(store, "UPDATE latest_metrics SET is_nan = 1 WHERE key = 'accuracy'")
    facts = read_store(uri(store))
    assert facts.runs[0].not_numbers == ("accuracy",)
    assert "accuracy" not in facts.runs[0].metrics
    assert any("not a number" in finding for finding in facts.findings)


def test_names_with_control_codes_are_shown_in_findings(store: Path) -> None:
    sql(
        store,
        "UPDATE runs SET name = char(27) || '[31mred' || char(10) || 'next line'",
        "UPDATE latest_metrics SET is_nan = 1",
    )
    for finding in read_store(uri(store)).findings:
        assert "\x1b" not in finding
        assert "\n" not in finding


def test_thousands_of_metrics_that_are_none_are_one_finding(store: Path) -> None:
    run_id = read_store(uri(store)).runs[0].run_id
    columns = "key, value, timestamp, step, is_nan, run_uuid"
    names = [f"m{number}-{'n' * 150}" for number in range(3_000)]
    sql(
        store,
        *(f"INSERT INTO latest_metrics ({columns}) VALUES ('{n}', 0, 0, 0, 1, '{run_id}')" for n in names),
    )
    facts = read_store(uri(store))
    assert len(facts.findings) == 2
    assert all(len(finding) <= 300 for finding in facts.findings)
    assert "2,999 others" in facts.findings[1]
    assert load(dump(facts)) == facts


def test_a_tag_of_megabytes_is_cut_and_that_is_said(store: Path) -> None:
    run_id = read_store(uri(store)).runs[0].run_id
    sql(
        store,
        "INSERT INTO tags (key, value, run_uuid) "
        f"VALUES ('model_family', hex(zeroblob(1500000)), '{run_id}')",
        "UPDATE runs SET name = hex(zeroblob(500000))",
    )
    facts = read_store(uri(store))
    assert len(facts.runs[0].tags["model_family"]) == 6_000
    assert facts.findings == ("2 texts are longer than is read: only their beginnings are.",)


@pytest.mark.parametrize(
    "row",
    [
        "1, 'stage', 'm', 'abc', NULL, 'Production'",
        "1, 'alias', 'm', 'champion', NULL, '²'",
        "'soon', 'alias', 'm', 'champion', NULL, '1'",
        "1, 'else', 'm', '1', NULL, '1'",
        "1, 'alias', 'm', hex(zeroblob(1000)), NULL, '1'",
        f"1, 'stage', 'm', '{'9' * 200}', NULL, 'Staging'",
    ],
)
def test_a_row_of_the_history_that_the_kit_does_not_write_is_left_out(store: Path, row: str) -> None:
    columns = "(time, kind, name, subject, before, after)"
    sql(
        store,
        f"INSERT INTO kit_history {columns} VALUES ({row})",
        f"INSERT INTO kit_history {columns} VALUES (2, 'alias', 'm', 'champion', '1', '2')",
    )
    facts = read_store(uri(store))
    assert facts.changes is not None
    assert [change.time for change in facts.changes] == [2]
    assert "1 rows of the table “kit_history”" in facts.findings[0]


def test_links_pipes_and_pictures_among_the_files(tmp_path: Path) -> None:
    import os

    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    axis.plot([1, 2, 3])
    figure.savefig(tmp_path / "plot.png")
    blank = plt.figure()
    blank.savefig(tmp_path / "blank.png")
    (tmp_path / "fake.png").write_text("no picture at all")
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    found = {artifact.path: artifact for artifact in describe(tmp_path)}
    assert set(found) == {"plot.png", "blank.png", "fake.png"}
    plot, empty = found["plot.png"].picture, found["blank.png"].picture
    assert plot is not None
    assert empty is not None
    assert (plot.width, plot.height, plot.blank) == (640, 480, False)
    assert empty.blank
    assert found["fake.png"].kind != "picture"
