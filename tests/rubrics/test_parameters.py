"""Which parameters a model explains, and what makes it another variant."""

from dataclasses import replace

import pytest

from autograder.rubrics import claims
from tests.support.facts import a_run, a_scoring


@pytest.mark.parametrize(
    ("params", "value"),
    [
        ({"depth": "2"}, "2"),
        ({"forest__depth": "2"}, "2"),
        ({"depth": "2", "forest__depth": "3"}, "2"),
        ({"one__depth": "2", "other__depth": "2"}, "2"),
        ({"one__depth": "2", "other__depth": "3"}, None),
        ({"max_depth": "2", "depth__x": "2"}, None),
        ({}, None),
    ],
)
def test_a_parameter_goes_by_its_own_name_or_by_that_of_the_steps_that_have_it(
    params: dict[str, str], value: str | None
) -> None:
    assert claims.param(params, "depth") == value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("5", "5.0", True),
        ("1e-3", "0.001", True),
        ("5", "5.00001", False),
        ("None", "none", True),
        (" 'gini' ", '"gini"', True),
        ("gini", "'GINI'", True),
        ("gini", "entropy", False),
        ("5", "None", False),
    ],
)
def test_values_are_the_same_when_they_mean_the_same(one: str, other: str, same: bool) -> None:
    assert claims.same_value(one, other) == same
    assert claims.same_value(other, one) == same


def test_a_parameter_that_the_estimator_carries_with_another_value_is_a_contradiction() -> None:
    scoring = a_scoring(params={"depth": "4", "trees": "10", "one__alpha": "1", "other__alpha": "2"})
    run = a_run(params={"trees": "10.0", "depth": "2", "alpha": "2", "note": "anything"})
    assert claims.contradictions(run, scoring) == {"depth": ("2", "4")}
    assert claims.contradictions(a_run(params={"alpha": "3"}), scoring) == {"alpha": ("3", "1")}


BESIDES = ("n_jobs", "verbose", "estimator", "model", "classifier", "cv", "refit", "scoring")


@pytest.mark.parametrize("name", [*BESIDES, "step__n_jobs", "outer__step__verbose"])
def test_what_changes_how_a_model_is_computed_neither_contradicts_nor_makes_a_variant(name: str) -> None:
    scoring = a_scoring(params={name: "1"})
    assert claims.contradictions(a_run(params={name: "2"}), scoring) == {}
    assert claims.hyperparameters(scoring) == claims.hyperparameters(a_scoring(params={name: "2"}))


def test_a_step_s_parameter_is_compared_under_its_full_name() -> None:
    scoring = a_scoring(params={"step__depth": "4"})
    assert claims.contradictions(a_run(params={"step__depth": "2"}), scoring) == {"step__depth": ("2", "4")}


@pytest.mark.parametrize(
    ("params", "explained"),
    [
        ({"depth": "2.0", "trees": "9", "other": "2"}, ["depth"]),
        ({"kind": "RandomForestClassifier"}, ["kind"]),
        ({"kind": "Pipeline"}, ["kind"]),
        ({"kind": "sklearn"}, []),
        ({"kind": "sklearn.ensemble"}, []),
        ({"alpha": "2"}, ["alpha"]),
    ],
)
def test_a_parameter_is_explained_by_the_estimator_s_values_or_its_class(
    params: dict[str, str], explained: list[str]
) -> None:
    carries = {"depth": "2", "trees": "10", "one__alpha": "1", "other__alpha": "2"}
    assert (
        claims.explained_params(a_run(params=params), a_scoring(estimator="Pipeline", params=carries))
        == explained
    )


@pytest.mark.parametrize("name", ["random_state", "step__random_state"])
def test_another_seed_makes_no_variant(name: str) -> None:
    one, other = a_scoring(params={name: "1"}), a_scoring(params={name: "2"})
    assert claims.hyperparameters(one) == claims.hyperparameters(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"depth": "3", "trees": "9"}},
        {"params": {"step__depth": "2", "trees": "9"}},
        {"estimator": "GridSearchCV"},
        {"final_estimator": "sklearn.svm.SVC"},
        {"inputs": ("petal",)},
    ],
)
def test_another_value_class_or_input_makes_a_variant(changes: dict[str, object]) -> None:
    one = a_scoring(params={"depth": "2", "trees": "9"})
    assert claims.hyperparameters(one) != claims.hyperparameters(replace(one, **changes))


def test_the_order_of_parameters_makes_no_variant() -> None:
    one, other = ({"depth": "2", "trees": "9"}, {"trees": "9", "depth": "2"})
    assert claims.hyperparameters(a_scoring(params=one)) == claims.hyperparameters(a_scoring(params=other))


@pytest.mark.parametrize(("count", "more"), [(0, None), (1, None), (5, None), (6, "1 more"), (9, "4 more")])
def test_at_most_five_names_are_listed(count: int, more: str | None) -> None:
    text = claims.listed(str(number) for number in range(count))
    assert text.count("“") == min(count, 5)
    assert text.endswith(more or "”" * bool(count))
    assert "more" not in text or more


def test_listed_names_are_kept_apart() -> None:
    assert claims.listed(["one", "two"]) == "“one”, “two”"
