"""Tables keep every version, and say what does not fit."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from autograder.databricks.fitting import TableError
from autograder.databricks.tables import Tables
from tests.support.plants import FLOWERS, in_order


def test_what_is_written_is_read_and_every_version_stays(tables: Tables) -> None:
    assert tables.names() == []
    assert tables.write("flowers", FLOWERS) == 0
    assert tables.write("flowers", FLOWERS.assign(plant_id=["d", "e", "f"]), mode="append") == 1
    assert tables.write("flowers", FLOWERS[["plant_id"]].assign(color="blue"), mode="overwrite") == 2
    assert tables.write("main.garden.flowers", FLOWERS.iloc[:1], mode="overwrite") == 0
    assert tables.write("trees", FLOWERS.iloc[:1], mode="append") == 0
    assert tables.names() == ["flowers", "main.garden.flowers", "trees"]
    pd.testing.assert_frame_equal(in_order(tables.read("flowers", 0)), FLOWERS)
    assert sorted(tables.read("flowers", 1).plant_id) == ["a", "b", "c", "d", "e", "f"]
    assert list(tables.read("flowers").columns) == ["plant_id", "color"]


def test_the_history_says_who_wrote_what_newest_first(tables: Tables, own_store: Path) -> None:
    tables.write("flowers", FLOWERS)
    with mlflow.start_run() as run:
        tables.write("flowers", FLOWERS.iloc[:2], mode="append")
    tables.write("flowers", FLOWERS, mode="overwrite", run_id="another")
    tables.merge("flowers", FLOWERS.iloc[:1].assign(visits=9), ["plant_id"])
    history = tables.history("flowers")
    assert list(history.version) == [3, 2, 1, 0]
    assert list(history.operation) == ["MERGE", "WRITE", "WRITE", "WRITE"]
    assert list(history.rows_written) == [1, 3, 2, 3]
    assert list(history.run_id) == [None, "another", run.info.run_id, None]
    ages = pd.Timestamp.now(tz="UTC") - history.time
    assert history.time.is_monotonic_decreasing and ages.max() < pd.Timedelta(minutes=5)
    assert ages.min() > pd.Timedelta(minutes=-1)


def test_the_history_is_right_when_a_commit_lands_while_it_is_read(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.write("flowers", FLOWERS, run_id="first")
    opened_before = DeltaTable(tables.path("flowers"))
    tables.write("flowers", FLOWERS, mode="append", run_id="second")
    monkeypatch.setattr(tables, "delta", lambda name: opened_before)
    history = tables.history("flowers")
    assert dict(zip(history.version, history.run_id, strict=True)) == {1: "second", 0: "first"}


def test_a_merge_updates_and_inserts(tables: Tables) -> None:
    tables.write("flowers", FLOWERS)
    assert (
        tables.merge("flowers", FLOWERS.iloc[1:].assign(plant_id=["c", "d"], visits=[30, 40]), ["plant_id"])
        == 1
    )
    assert dict(zip(*in_order(tables.read("flowers"))[["plant_id", "visits"]].T.values, strict=True)) == {
        "a": 1,
        "b": 2,
        "c": 30,
        "d": 40,
    }


def test_names_are_the_same_in_any_case(tables: Tables) -> None:
    tables.write("Flowers", FLOWERS)
    with pytest.raises(TableError, match="There is a table `flowers` already, at version 0"):
        tables.write("flowers", FLOWERS)
    assert tables.names() == ["flowers"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "/etc",
        "../x",
        "a.b",
        "a..b",
        "a.b.c.d",
        "a b",
        "flowers\n",
        "-x",
        "ä",
        "a" * 201,
        None,
        3,
    ],
)
def test_a_name_that_could_lead_elsewhere_is_said(tables: Tables, name: str) -> None:
    for use in (tables.path, tables.read, tables.history, lambda bad: tables.write(bad, FLOWERS)):
        with pytest.raises(
            ValueError, match=r"The table's name is .*expected one word or catalog\.schema\.table"
        ):
            use(name)
    assert not tables.folder.exists()


def test_an_unknown_table_is_said_with_those_there_are(tables: Tables) -> None:
    with pytest.raises(TableError, match=r"There is no table `trees` in .*no tables yet"):
        tables.read("trees")
    tables.write("flowers", FLOWERS)
    for use in (tables.read, tables.history, tables.runs_of, tables.log_input, tables.properties):
        with pytest.raises(
            TableError, match=r"There is no table `trees` in .*there are `flowers`|No MLflow run"
        ):
            use("trees")
    assert tables.names() == ["flowers"]


@pytest.mark.parametrize("version", [2, -1, "0", 10**30, 0.5])
def test_an_unknown_version_is_said_with_those_there_are(tables: Tables, version: int) -> None:
    tables.write("flowers", FLOWERS)
    tables.write("flowers", FLOWERS, mode="append")
    with pytest.raises(TableError, match=r"no version .* of table `flowers`; expected one of `0`, `1`\."):
        tables.read("flowers", version)


def test_an_unknown_mode_is_said(tables: Tables) -> None:
    with pytest.raises(
        ValueError, match="The mode is 'ignore'; expected one of `error`, `append`, `overwrite`"
    ):
        tables.write("flowers", FLOWERS, mode="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (FLOWERS.assign(color="blue"), "`color` is not in the table"),
        (FLOWERS.drop(columns="seen"), "`seen` is missing"),
        (FLOWERS.assign(visits=[1.5, 2, 3]), "`visits` holds double where the table holds long"),
        (FLOWERS.assign(visits=["1", "2", "3"]), "`visits` holds string where the table holds long"),
        (FLOWERS.assign(plant_id=[1, 2, 3]), "`plant_id` holds long where the table holds string"),
        (
            FLOWERS.assign(seen=FLOWERS.seen.dt.tz_localize("UTC")),
            "`seen` holds timestamp where .* timestamp_ntz",
        ),
    ],
)
def test_rows_that_do_not_fit_are_said_and_nothing_is_written(
    tables: Tables, rows: pd.DataFrame, problem: str
) -> None:
    tables.write("flowers", FLOWERS)
    for write in (
        lambda: tables.write("flowers", rows, mode="append"),
        lambda: tables.merge("flowers", rows, ["plant_id"]),
    ):
        with pytest.raises(TableError, match=f"The rows do not fit table `flowers`: {problem}"):
            write()
    assert list(tables.history("flowers").version) == [0]
    pd.testing.assert_frame_equal(in_order(tables.read("flowers")), FLOWERS)


def test_rows_that_fit_without_a_change_are_converted(tables: Tables) -> None:
    tables.write("flowers", FLOWERS)
    more = pd.DataFrame(  # in another order, with whole numbers, a missing value, nothing at all
        {
            "visits": [4.0, np.nan],
            "petal length (cm)": [5, 6],
            "plant_id": pd.Categorical(["d", "e"]),
            "seen": None,
        }
    )
    tables.write("flowers", more, mode="append")
    added = in_order(tables.read("flowers")).iloc[3:]
    assert list(added.plant_id) == ["d", "e"]
    assert list(added["petal length (cm)"]) == [5.0, 6.0]
    assert added.visits.iloc[0] == 4 and added.visits.isna().iloc[1] and added.seen.isna().all()
    assert str(DeltaTable(tables.path("flowers")).schema().fields[2].type) == 'PrimitiveType("long")'


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ([1, 2], "is of type list; expected a pandas DataFrame"),
        (pd.DataFrame(), "expected at least one"),
        (pd.DataFrame({0: [1]}), "are `0`; expected .* named by texts"),
        (pd.DataFrame([[1, 2]], columns=["a", "A"]), "are `a`, `A`; expected .* upper and lower case"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "are `a`, `a`"),
        (pd.DataFrame({"a": [1, "x"]}), "mixes types .*Convert the column"),
        (
            pd.DataFrame({"a": pd.to_timedelta([1], "s")}),
            "has one that Delta tables do not have .Exter.*Duration",
        ),
        (pd.DataFrame({"a": pd.array([2**64 - 1], dtype="uint64")}), "Integer value .* not in range"),
        (pd.DataFrame({"a": [1], "b": [None]}), "`b` .*hold no value, so they have no type"),
    ],
)
def test_a_frame_that_makes_no_table_is_said_and_none_is_made(
    tables: Tables, frame: pd.DataFrame, problem: str
) -> None:
    with pytest.raises(TableError, match=problem):
        tables.write("flowers", frame)
    assert tables.names() == []


def test_times_become_microseconds_and_utc(tables: Tables) -> None:
    fine = pd.to_datetime(["2026-01-01 00:00:00.123456789"]).as_unit("ns")
    frame = pd.DataFrame({"bare": fine, "zoned": fine.tz_localize("Europe/Berlin"), "day": fine.as_unit("s")})
    tables.write("times", frame)
    tables.write("times", frame, mode="append")
    tables.create("made", frame, {})
    for name in ("times", "made"):
        read = tables.read(name).iloc[-1]
        assert read.bare == pd.Timestamp("2026-01-01 00:00:00.123456")
        assert read.zoned == pd.Timestamp("2025-12-31 23:00:00.123456", tz="UTC")
        types = [str(field.type) for field in tables.delta(name).schema().fields]
        assert types == [
            f'PrimitiveType("{kind}")' for kind in ("timestamp_ntz", "timestamp", "timestamp_ntz")
        ]


def test_a_named_index_becomes_a_column_and_another_is_dropped(tables: Tables) -> None:
    tables.write("flowers", FLOWERS.set_index("plant_id"))
    assert sorted(tables.read("flowers").plant_id) == ["a", "b", "c"]
    tables.write("flowers", FLOWERS[FLOWERS.visits > 1], mode="overwrite")
    pd.testing.assert_frame_equal(in_order(tables.read("flowers")), FLOWERS.iloc[1:].reset_index(drop=True))


def test_a_folder_that_is_no_table_is_said_and_left_alone(tables: Tables) -> None:
    notes = tables.path("flowers") / "notes.txt"
    notes.parent.mkdir(parents=True)
    tables.write("trees", FLOWERS)
    assert tables.write("flowers", FLOWERS, mode="overwrite") == 0, "an empty folder is in nobody's way"
    other = tables.path("other") / "notes.txt"
    other.parent.mkdir()
    other.write_text("mine")
    file = tables.folder / "file"
    file.write_text("mine")
    for name in ("other", "file"):
        with pytest.raises(TableError, match=r"is no Delta table.*Choose another name"):
            tables.write(name, FLOWERS, mode="overwrite")
        with pytest.raises(TableError, match="is no Delta table"):
            tables.read(name)
    assert [path.name for path in other.parent.iterdir()] == ["notes.txt"]
    assert other.read_text() == file.read_text() == "mine"
    assert tables.names() == ["flowers", "trees"]


def test_a_damaged_table_is_said(tables: Tables) -> None:
    tables.write("flowers", FLOWERS)
    (rows,) = tables.path("flowers").glob("*.parquet")
    rows.unlink()
    with pytest.raises(TableError, match=r"Table `flowers` could not be read: .*move the table away"):
        tables.read("flowers")
    (log,) = (tables.path("flowers") / "_delta_log").glob("*.json")
    log.write_text("garbage")
    with pytest.raises(TableError, match=r"Table `flowers` could not be read: .*") as raised:
        tables.history("flowers")
    assert "\n" not in str(raised.value)


def test_another_program_appends_to_the_same_folder_and_tidying_up_makes_a_version(tables: Tables) -> None:
    tables.write("flowers", FLOWERS)
    folder = str(tables.path("flowers"))
    write_deltalake(folder, FLOWERS, mode="append")
    assert len(tables.read("flowers", 1)) == 2 * len(FLOWERS)
    DeltaTable(folder).optimize.compact()
    assert DeltaTable(folder).version() == 2
    assert len(DeltaTable(folder).history()) == 3
    pd.testing.assert_frame_equal(in_order(tables.read("flowers", 2)), in_order(tables.read("flowers", 1)))
