"""Each shared question passes what is right, fails what is wrong, and says what it found."""

import math
from typing import Any

import pandas as pd
import pytest

from autograder.evidence import CellFacts, Evidence, Experiment, LoggedModel, ModelFile, NotebookFacts, Run
from autograder.rubrics import Status, questions
from tests.support.facts import a_model, a_run, a_scoring, evidence_of

PASSED, FAILED, NOT_ATTEMPTED = Status.PASSED, Status.FAILED, Status.NOT_ATTEMPTED
TRUTH = pd.Series(["a", "b", "a", "b"])


@pytest.mark.parametrize(("where", "status"), [("1", PASSED), ("0", FAILED), ("9", FAILED)])
def test_a_run_is_in_the_experiment_of_that_name(where: str, status: Status) -> None:
    known = (Experiment("0", "Default"), Experiment("1", "mine"))
    outcome = questions.is_in_experiment(evidence_of(experiments=known), a_run(experiment_id=where), "mine")
    assert outcome.status is status
    assert {"1": "mine", "0": "Default", "9": "9"}[where] in outcome.found


@pytest.mark.parametrize(
    ("status", "models", "expected"),
    [
        ("FINISHED", (), PASSED),
        ("RUNNING", (), FAILED),
        ("KILLED", (), FAILED),
        ("FAILED", (), FAILED),
        ("FAILED", (a_model(),), FAILED),
        ("FAILED", (a_model(status="FAILED"),), PASSED),
        ("RUNNING", (a_model(status="FAILED"),), FAILED),
    ],
)
def test_a_run_has_ended_when_it_finished_or_only_its_model_failed(
    status: str, models: tuple[LoggedModel, ...], expected: Status
) -> None:
    run = a_run(status=status)
    assert questions.has_ended(evidence_of(run, models=models), run).status is expected


@pytest.mark.parametrize(
    ("params", "missing", "status"),
    [
        ({"trees": "120", "depth": "2"}, "", PASSED),
        ({"trees": "120.0", "forest__depth": "2", "more": "1"}, "", PASSED),
        ({"trees": "120"}, "`depth` is missing", FAILED),
        ({"trees": "120", "depth": "3"}, "`depth` is 3", FAILED),
        ({}, "`trees` is missing and `depth` is missing", FAILED),
    ],
)
def test_all_expected_parameters_must_be_logged(params: dict[str, str], missing: str, status: Status) -> None:
    outcome = questions.logs_params(a_run(params=params), {"trees": "120", "depth": "2"})
    assert outcome.status is status
    assert missing in outcome.found


@pytest.mark.parametrize(
    ("value", "highest", "status"),
    [
        (0.0, 1, PASSED),
        (1.0, 1, PASSED),
        (1.001, 1, FAILED),
        (-0.001, 1, FAILED),
        (7.0, math.inf, PASSED),
        (math.inf, math.inf, FAILED),
        (math.nan, math.inf, FAILED),
    ],
)
def test_a_metric_is_from_0_to_the_highest(value: float, highest: float, status: Status) -> None:
    run = a_run(metrics={"m": value})
    assert questions.logs_metric(evidence_of(run), run, "m", highest).status is status
    if highest is math.inf:
        assert questions.logs_metric(evidence_of(run), run, "m").status is status


@pytest.mark.parametrize(
    ("value", "said"), [(97.0, True), (1.5, True), (100.0, True), (100.5, False), (-5.0, False)]
)
def test_what_may_be_a_percentage_is_called_one(value: float, said: bool) -> None:
    run = a_run(metrics={"m": value})
    outcome = questions.logs_metric(evidence_of(run), run, "m", 1)
    assert ("percentage" in outcome.found) == said


@pytest.mark.parametrize(("highest", "words"), [(1, "0 to 1"), (math.inf, "0 up"), (2, "0 up")])
def test_what_is_expected_of_a_metric_depends_on_its_highest_value(highest: float, words: str) -> None:
    assert words in questions.logs_metric(evidence_of(), a_run(), "m", highest).expected


STRAY = a_run("r2", name="upbeat-owl-1", metrics={"m": 0.5})


@pytest.mark.parametrize(
    ("run", "others", "words"),
    [
        (a_run(metrics={"m": 0.5}, history={}), (), "not among the values"),
        (a_run(not_numbers=("m",)), (), "not a number"),
        (a_run(), (), "no metric"),
        (a_run(metrics={"acc": 0.5}), (), "“acc”"),
        (a_run(metrics={"acc": 0.5}), (STRAY,), "upbeat-owl-1"),
        (a_run(), (a_run("r2", metrics={"m": 0.5}, params={"a": "1"}),), "no metric"),
        (a_run(), (a_run("r2", metrics={"acc": 0.5}),), "no metric"),
    ],
)
def test_a_metric_that_is_not_there_is_looked_for(run: Run, others: tuple[Run, ...], words: str) -> None:
    outcome = questions.logs_metric(evidence_of(run, *others), run, "m")
    assert outcome.status is FAILED
    assert words in outcome.found


SAYS_NOTHING = ["run", "test", "model", "first", "new", "untitled", "my", "the", "name", "try", "number"]


@pytest.mark.parametrize(
    ("name", "telling"),
    [(word, False) for word in SAYS_NOTHING]
    + [
        ("", False),
        ("Run-1", False),
        ("my_first_model2", False),
        ("2024", False),
        ("a b c", False),
        ("forest", True),
        ("my-forest", True),
        ("run 2 forest", True),
        ("rf", True),
        ("x run1", False),
        ("depth2", True),
        ("1 svc 2", True),
    ],
)
def test_a_name_tells_something_when_a_word_in_it_does(name: str, telling: bool) -> None:
    assert questions.says_something(a_run(name=name)) == telling
    assert not questions.says_something(a_run(name=name, name_generated=True))
    assert questions.is_named(a_run(name=name)).status is (PASSED if telling else FAILED)


def test_a_name_that_mlflow_made_up_is_called_that() -> None:
    made_up = questions.is_named(a_run(name="upbeat-owl-1", name_generated=True))
    assert made_up.status is FAILED
    assert "MLflow" in made_up.found
    assert "MLflow" not in questions.is_named(a_run(name="run")).found


@pytest.mark.parametrize(
    ("tags", "status", "words"),
    [
        ({"kind": "forest"}, PASSED, "forest"),
        ({"kind": "  "}, FAILED, "kind"),
        ({"Kind": "forest", "mlflow.user": "me"}, FAILED, "“Kind”"),
        ({"mlflow.user": "me"}, FAILED, "no tag"),
        ({}, FAILED, "no tag"),
    ],
)
def test_a_tag_needs_some_text(tags: dict[str, str], status: Status, words: str) -> None:
    outcome = questions.is_tagged(a_run(tags=tags), "kind")
    assert outcome.status is status
    assert words in outcome.found
    assert "mlflow" not in outcome.found


OTHERS = a_model("r2")


@pytest.mark.parametrize(
    ("models", "status", "words"),
    [
        ((a_model(), OTHERS), PASSED, "READY"),
        ((a_model(declared=ModelFile(run_id="r2")),), FAILED, "another run"),
        ((a_model(status="PENDING"),), FAILED, "PENDING"),
        ((), NOT_ATTEMPTED, "no model"),
        ((OTHERS,), FAILED, "in another run"),
        ((OTHERS, a_model(None)), FAILED, "outside any run"),
    ],
)
def test_a_run_has_a_model_when_one_of_its_own_is_ready(
    models: tuple[LoggedModel, ...], status: Status, words: str
) -> None:
    outcome = questions.has_model(evidence_of(a_run(), models=models), a_run())
    assert outcome.status is status
    assert words in outcome.found


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([], "skops"),
        ([None], "skops"),
        ([None, "NameError: name 'forset'"], "forset"),
        (["NameError: name 'forset'", "UntrustedTypesFoundException: …"], "skops_trusted_types"),
        (["ValueError: see skops"], "skops_trusted_types"),
    ],
)
def test_how_to_mend_a_model_that_was_not_saved_follows_from_what_was_raised(
    errors: list[str | None], words: str
) -> None:
    cells = tuple(CellFacts(index, None, True, error) for index, error in enumerate(errors))
    models = (a_model(status="FAILED"),)
    for notebook in (NotebookFacts(cells), *([] if any(errors) else [None])):
        evidence = evidence_of(a_run(), models=models, notebook=notebook)
        assert words in questions.has_model(evidence, a_run()).next_step


def asked(scoring: Any, run: Run | None = None) -> tuple[Evidence, Run]:
    run = run or a_run()
    return evidence_of(run, models=(a_model(scoring=scoring),)), run


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"labels": ("a", "b")}, PASSED, "2"),
        ({"labels": ("a",)}, FAILED, "1"),
        ({"labels": ("a", "b", "a")}, FAILED, "3"),
        ({"labels": ("a", "b"), "error": "it broke"}, FAILED, "it broke"),
    ],
)
def test_a_model_gives_one_answer_a_row(changes: dict[str, Any], status: Status, words: str) -> None:
    outcome = questions.model_answers(*asked(a_scoring(**changes)), rows=2)
    assert outcome.status is status
    assert words in outcome.found


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"depth": "2"}, PASSED, "“depth”"),
        ({"depth": "3"}, FAILED, "3"),
        ({"depth": "2", "trees": "9"}, FAILED, "trees"),
        ({"other": "2"}, FAILED, "RandomForestClassifier"),
        ({}, FAILED, "RandomForestClassifier"),
    ],
)
def test_logged_parameters_are_those_of_the_model(params: dict[str, str], status: Status, words: str) -> None:
    scoring = a_scoring(params={"depth": "2", "trees": "10"})
    outcome = questions.params_are_the_models(*asked(scoring, a_run(params=params)))
    assert outcome.status is status
    assert words in outcome.found


@pytest.mark.parametrize(
    ("name", "logged", "changes", "status", "words"),
    [
        ("accuracy", 0.5, {}, PASSED, "0.5"),
        ("accuracy", 0.5001, {}, PASSED, "0.5"),
        ("accuracy", 0.52, {}, FAILED, "0.5"),
        ("accuracy", None, {}, FAILED, "no metric"),
        ("accuracy", 0.5, {"labels": ()}, FAILED, "answers"),
        ("log_loss", math.log(2), {}, PASSED, "0.69"),
        ("log_loss", 0.5, {}, FAILED, "0.69"),
        ("log_loss", 0.5, {"probabilities": None}, FAILED, "probabilities"),
    ],
)
def test_a_metric_is_true_when_the_model_reaches_it(
    name: str, logged: float | None, changes: dict[str, Any], status: Status, words: str
) -> None:
    answers = {"labels": ("a", "a", "a", "a"), "classes": ("a", "b"), "probabilities": ((0.5, 0.5),) * 4}
    run = a_run(metrics={} if logged is None else {name: logged})
    outcome = questions.metric_is_true(*asked(a_scoring(**{**answers, **changes}), run), name, TRUTH)
    assert outcome.status is status
    assert words in outcome.found


@pytest.mark.parametrize("models", [(), (a_model(scoring=None),)])
def test_a_question_about_an_unscored_model_is_our_own_fault(models: tuple[LoggedModel, ...]) -> None:
    with pytest.raises(LookupError):
        questions.scored(evidence_of(a_run(), models=models), a_run())
