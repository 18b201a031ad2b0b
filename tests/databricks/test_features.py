"""Features are looked up by key and as of each row's time: feature tables and training sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autograder.databricks.feature_lookup import Lookup, look_up
from autograder.databricks.features import FeatureLookup, Features
from autograder.databricks.fitting import TableError
from autograder.databricks.tables import Tables
from tests.support.plants import PLANTS, READINGS


def by_key(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("plant_id", ignore_index=True)


# feature tables


def test_a_feature_table_names_its_keys_itself(features: Features, tmp_path: Path) -> None:
    assert features.create_table("plants", PLANTS, "plant_id", description="What grows") == 1
    features.create_table("readings", READINGS, ["plant_id", "seen"], timestamp_column="seen")
    fresh = Features(Tables(tmp_path))
    assert fresh.keys("plants") == (["plant_id"], None)
    assert fresh.keys("readings") == (["plant_id"], "seen"), "the timestamp column is no lookup key"
    assert fresh.tables.delta("plants").metadata().description == "What grows"
    pd.testing.assert_frame_equal(by_key(fresh.read_table("plants")), PLANTS)
    assert {path.name for path in tmp_path.iterdir()} == {"tables"}
    with pytest.raises(TableError, match="There is a table `plants` already"):
        features.create_table("plants", PLANTS, "plant_id")


def test_writing_updates_and_inserts_by_key_and_time(features: Features) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    assert features.write_table("plants", PLANTS.iloc[1:].assign(plant_id=[3, 4], visits=[31, 41])) == 2
    written = by_key(features.read_table("plants"))
    assert list(written.plant_id) == [1, 2, 3, 4]
    assert list(written.visits) == [10, 20, 31, 41]
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    features.write_table("readings", READINGS.iloc[2:3].assign(moisture=0.95))
    moisture = features.read_table("readings").set_index(["plant_id", "seen"]).moisture
    assert moisture[1, pd.Timestamp("2026-01-10")] == 0.95
    assert len(moisture) == 4


@pytest.mark.parametrize(
    ("frame", "keys", "problem"),
    [
        (PLANTS.assign(plant_id=[1, 1, 2]), "plant_id", r"several rows with the same `plant_id`: \(1,\)"),
        (PLANTS.assign(plant_id=[1, None, 2]), "plant_id", "`plant_id` .* null in 1 rows, first in row 1"),
        (PLANTS, ["plant_id", "color"], "There is no `color` in the frame"),
        (PLANTS, [], "no primary key"),
    ],
)
def test_keys_that_are_none_are_refused(
    features: Features, frame: pd.DataFrame, keys: list[str], problem: str
) -> None:
    with pytest.raises(TableError, match=problem):
        features.create_table("plants", frame, keys)
    assert features.tables.names() == []
    features.create_table("plants", PLANTS, "plant_id")
    if keys == "plant_id":
        with pytest.raises(TableError, match=problem):
            features.write_table("plants", frame)
    pd.testing.assert_frame_equal(by_key(features.read_table("plants")), PLANTS)


def test_times_that_the_table_cannot_tell_apart_are_the_same(features: Features) -> None:
    close = READINGS.assign(seen=pd.to_datetime(["2026-01-01"] * 4) + pd.to_timedelta(range(4), "ns") * 100)
    with pytest.raises(TableError, match="several rows with the same `plant_id`, `seen`"):
        features.create_table("readings", close, "plant_id", timestamp_column="seen")
    assert features.tables.names() == []


def test_times_tell_rows_of_one_key_apart(features: Features) -> None:
    with pytest.raises(TableError, match=r"several rows with the same `plant_id`: \(1,\); expected one"):
        features.create_table("readings", READINGS, "plant_id")
    with pytest.raises(TableError, match=r"timestamp column `seen` .* is str; expected timestamps"):
        features.create_table("readings", READINGS.astype({"seen": str}), "plant_id", timestamp_column="seen")
    with pytest.raises(TableError, match="several rows with the same `plant_id`, `seen`"):
        features.create_table("readings", pd.concat([READINGS] * 2), "plant_id", timestamp_column="seen")
    with pytest.raises(TableError, match="`seen` of feature table `readings` are null in 4 rows"):
        features.create_table("readings", READINGS.assign(seen=pd.NaT), "plant_id", timestamp_column="seen")


def test_a_table_without_keys_is_said(features: Features) -> None:
    features.tables.write("plain", PLANTS)
    with pytest.raises(TableError, match=r"Table `plain` names no primary keys.*create_table"):
        features.write_table("plain", PLANTS)
    with pytest.raises(TableError, match="Table `plain` names no primary keys"):
        features.create_training_set(PLANTS, [FeatureLookup("plain", "plant_id")], label=None)


# training sets


def test_a_row_gets_the_features_of_its_key(features: Features) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    frame = pd.DataFrame({"id": [3, 1, 9, 3], "y": [0, 1, 0, 1]}, index=[7, 7, 8, 9])
    lookup = FeatureLookup("plants", "id", rename_outputs={"visits": "n"})
    found = features.create_training_set(frame, [lookup], label="y").load_df()
    expected = frame.assign(**{"petal length (cm)": [3.0, 1.0, np.nan, 3.0], "n": [30.0, 10.0, np.nan, 30.0]})
    pd.testing.assert_frame_equal(found, expected)
    only = FeatureLookup("plants", ["id"], feature_names="visits")
    found = features.create_training_set(frame, [only], label="y", exclude_columns=["id"]).load_df()
    assert list(found.columns) == ["y", "visits"]


def test_a_row_gets_the_latest_features_before_its_time_and_no_later_ones(features: Features) -> None:
    features.create_table(
        "readings", READINGS.sample(frac=1, random_state=1), "plant_id", timestamp_column="seen"
    )
    times = ["2026-01-07", "2025-12-31", "2026-01-05", "2026-01-20", "2026-01-02", "2026-01-07"]
    frame = pd.DataFrame({"plant": [1, 1, 1, 1, 2, 3], "when": pd.to_datetime(times), "wilted": 0})
    lookup = FeatureLookup("readings", "plant", timestamp_lookup_key="when")
    found = features.create_training_set(frame, [lookup], label="wilted").load_df()
    pd.testing.assert_frame_equal(found[["plant", "when", "wilted"]], frame)
    assert list(found.moisture.fillna(-1)) == [0.5, -1, 0.5, 0.9, 0.2, -1]
    newest = (
        READINGS.sort_values("seen").drop_duplicates("plant_id", keep="last").set_index("plant_id").moisture
    )
    leaked = frame.plant.map(newest)
    assert leaked.iloc[0] == 0.9 != found.moisture.iloc[0], "what an ordinary join would have given"


def test_a_moment_decides_also_in_finer_units_and_other_zones(features: Features) -> None:
    berlin = READINGS.assign(seen=READINGS.seen.dt.tz_localize("Europe/Berlin"))
    features.create_table("readings", berlin, "plant_id", timestamp_column="seen")
    moment = pd.Timestamp("2026-01-05", tz="Europe/Berlin")
    tick = pd.Timedelta(1, "ns")
    frame = pd.DataFrame(
        {"plant_id": 1, "when": [moment.as_unit("ns") - tick, moment, moment.as_unit("ns") + tick]}
    )
    frame["when"] = frame.when.dt.tz_convert("America/New_York")
    lookup = FeatureLookup("readings", "plant_id", timestamp_lookup_key="when")
    found = features.create_training_set(frame, [lookup], label=None).load_df()
    assert list(found.moisture) == [0.1, 0.5, 0.5]


def test_rows_without_a_key_get_nulls(features: Features) -> None:
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    frame = pd.DataFrame({"plant_id": [None, 1, 1.5], "when": pd.Timestamp("2026-01-20")})
    lookup = FeatureLookup("readings", "plant_id", timestamp_lookup_key="when")
    found = features.create_training_set(frame.iloc[:2], [lookup], label=None).load_df()
    assert list(found.moisture.fillna(-1)) == [-1, 0.9]
    with pytest.raises(TableError, match="`plant_id` is float64 and in the table int64; expected the same"):
        features.create_training_set(frame, [lookup], label=None).load_df()


def test_a_training_set_stays_at_the_versions_it_was_made_of(features: Features) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    made = features.create_training_set(
        PLANTS[["plant_id"]], [FeatureLookup("plants", "plant_id")], label=None
    )
    before = made.load_df()
    features.write_table("plants", PLANTS.assign(visits=99))
    pd.testing.assert_frame_equal(made.load_df(), before)
    assert made.metadata["feature_lookups"]["lookups"][0]["table_version"] == 1
    again = features.create_training_set(
        PLANTS[["plant_id"]], [FeatureLookup("plants", "plant_id")], label=None
    )
    assert list(again.load_df().visits) == [99, 99, 99]


@pytest.mark.parametrize(
    ("lookup", "problem"),
    [
        (FeatureLookup("plants", "id"), "There is no `id` in the frame"),
        (
            FeatureLookup("plants", ["plant_id", "y"]),
            "lookup key of table `plants` is `plant_id`, `y`; expected as many",
        ),
        (FeatureLookup("plants", "plant_id", "color"), "There is no `color` in table `plants`"),
        (
            FeatureLookup("plants", "plant_id", ["visits", "plant_id"]),
            "There is no `plant_id` in table `plants`",
        ),
        (FeatureLookup("plants", "plant_id", rename_outputs={"color": "c"}), "no `color` in the lookup"),
        (
            FeatureLookup("plants", "plant_id", rename_outputs={"visits": "y"}),
            "would have `y` more than once",
        ),
        (
            FeatureLookup("plants", "plant_id", timestamp_lookup_key="when"),
            "`plants` has no timestamps.*Leave it out",
        ),
        (
            FeatureLookup("readings", "plant_id"),
            "has the timestamp column `seen`.*values from after their own time",
        ),
        (
            FeatureLookup("readings", "plant_id", timestamp_lookup_key="time"),
            "There is no `time` in the frame",
        ),
        (FeatureLookup("trees", "plant_id"), "There is no table `trees` .*there are `plants`, `readings`"),
    ],
)
def test_a_lookup_that_cannot_be_is_said(features: Features, lookup: FeatureLookup, problem: str) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    frame = pd.DataFrame({"plant_id": [1], "when": pd.to_datetime(["2026-01-07"]), "y": [0]})
    with pytest.raises(TableError, match=problem):
        features.create_training_set(frame, [lookup], label="y")
    for label, excluded in (("z", ()), ("y", ["z"])):
        with pytest.raises(TableError, match="There is no `z` in the training set"):
            features.create_training_set(frame, [FeatureLookup("plants", "plant_id")], label, excluded)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (["2026-01-07"], "are str and those of table `readings` datetime64"),
        (pd.to_datetime(["2026-01-07"], utc=True), "both with a time zone or both without"),
        (pd.to_datetime([None]), "1 of 1 rows have no time in `when`"),
    ],
)
def test_times_that_cannot_be_compared_are_said(features: Features, when: Any, problem: str) -> None:
    features.create_table("readings", READINGS, "plant_id", timestamp_column="seen")
    frame = pd.DataFrame({"plant_id": [1], "when": when})
    lookup = FeatureLookup("readings", "plant_id", timestamp_lookup_key="when")
    with pytest.raises(TableError, match=problem):
        features.create_training_set(frame, [lookup], label=None).load_df()


def test_a_key_of_another_type_is_said_and_not_left_null(features: Features) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    frame = pd.DataFrame({"plant_id": ["1", "2"]})
    with pytest.raises(TableError, match="`plant_id` is str and in the table int64; expected the same types"):
        features.create_training_set(frame, [FeatureLookup("plants", "plant_id")], label=None).load_df()


def test_a_key_that_got_into_the_table_twice_is_said(features: Features) -> None:
    features.create_table("plants", PLANTS, "plant_id")
    features.tables.write("plants", PLANTS.iloc[:1], mode="append")
    with pytest.raises(TableError, match=r"Table `plants` has several rows with `plant_id` = \(1,\)"):
        features.create_training_set(
            PLANTS[["plant_id"]], [FeatureLookup("plants", "plant_id")], None
        ).load_df()


def test_looking_up_agrees_with_a_plain_search(features: Features) -> None:
    random = np.random.default_rng(5)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 40, 300), "D")
    table = pd.DataFrame({"a": random.integers(0, 4, 300), "b": random.choice(["x", "y"], 300), "seen": days})
    table = table.drop_duplicates().assign(value=lambda rows: random.normal(size=len(rows)))
    when = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(-5, 45, 200), "D")
    frame = pd.DataFrame({"p": random.integers(0, 6, 200), "q": random.choice(["x", "y"], 200), "when": when})
    lookup = Lookup("t", 0, ("a", "b"), ("p", "q"), "seen", "when", {"value": "v"})
    values, found = look_up(frame, table, lookup)
    for row in frame.index:
        p, q, at = frame.loc[row]
        known = table[(table.a == p) & (table.b == q) & (table.seen <= at)].sort_values("seen")
        assert found[row] == bool(len(known))
        assert values.v[row] == known.value.iloc[-1] if len(known) else np.isnan(values.v[row])
