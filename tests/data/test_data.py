"""The seeded data tell models apart, under every listed seed."""

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

from autograder.data import load_flowers
from autograder.data import seeded as data


@pytest.mark.parametrize("seed", data.CHECKED_SEEDS)
def test_deeper_forests_are_better_by_the_stated_margin(seed: int) -> None:
    X_train, X_test, y_train, y_test = load_flowers(seed)
    losses = []
    for depth in (5, 2, 1):
        forest = RandomForestClassifier(120, max_depth=depth, random_state=42).fit(X_train, y_train)
        losses.append(log_loss(y_test, forest.predict_proba(X_test)))
    assert losses[1] - losses[0] >= data.LOG_LOSS_MARGIN
    assert losses[2] - losses[1] >= data.LOG_LOSS_MARGIN


def test_the_parts_have_the_stated_shapes_and_every_species() -> None:
    X_train, X_test, y_train, y_test = load_flowers(1)
    assert X_train.shape == (900, 4)
    assert X_test.shape == (600, 4)
    assert y_test.value_counts().to_dict() == dict.fromkeys(data.SPECIES, 200)
    assert len(y_train) == 900


def test_one_seed_gives_one_data_set_and_another_gives_another() -> None:
    assert load_flowers(3).X_test.equals(load_flowers(3).X_test)
    assert not load_flowers(3).X_test.equals(load_flowers(4).X_test)


def test_changing_the_data_in_a_notebook_does_not_change_what_is_graded() -> None:
    mine = load_flowers(5)
    mine.y_test[:] = "setosa"
    assert set(load_flowers(5).y_test) == set(data.SPECIES)


def test_the_environment_sets_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(data.SEED_VARIABLE, "11")
    assert load_flowers().X_test.equals(load_flowers(11).X_test)
    monkeypatch.delenv(data.SEED_VARIABLE)
    assert data.current_seed() == data.PUBLIC_SEED


@pytest.mark.parametrize("nonsense", ["", "abc", "-1", "1.5", str(2**32)])
def test_a_seed_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, nonsense: str) -> None:
    monkeypatch.setenv(data.SEED_VARIABLE, nonsense)
    with pytest.raises(ValueError, match=data.SEED_VARIABLE):
        load_flowers()


def test_the_grading_seed_depends_on_the_secret_and_the_assignment() -> None:
    seed = data.grading_seed("secret", "01-tracking")
    assert seed == data.grading_seed("secret", "01-tracking")
    assert seed != data.grading_seed("other", "01-tracking")
    assert seed != data.grading_seed("secret", "02-other")
    assert data.check_seed(seed) == seed
