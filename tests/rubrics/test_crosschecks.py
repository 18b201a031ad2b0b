"""Cross-checks any rubric can use, asked about a real project: runs, models, pictures, a registry."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import mlflow
import mlflow.sklearn
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, confusion_matrix, log_loss

from autograder.evidence import CellFacts, Evidence, NotebookFacts, RegisteredModel, Run, score_model
from autograder.evidence.models import load_any
from autograder.evidence.pictures import read_picture
from autograder.evidence.store_reader import read_store
from autograder.rubrics import Outcome, Status, crosschecks, hints
from autograder.workspace import load_flowers
from autograder.workspace.prepared import put_store

matplotlib.use("agg")
FLOWERS = load_flowers(1)
TRUTH: pd.Series = FLOWERS.y_test
DEPTHS = (1, 2, 5)


def draw(matrix: Any, path: Path, **how: Any) -> Path:
    """Draw a matrix as scikit-learn does."""
    shown = ConfusionMatrixDisplay(matrix).plot(**how)
    shown.figure_.savefig(path)
    plt.close(shown.figure_)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Forests of depth 1, 2 and 5, each with its matrix; versions 1 (depth 2) and 2 (depth 5)."""
    home: Path = tmp_path_factory.mktemp("project")
    put_store(home)
    uri = f"sqlite:///{home / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    try:
        location = (home / "mlruns").as_uri()
        id = mlflow.create_experiment("mine", artifact_location=location)
        models = {depth: _log(depth, id, home) for depth in DEPTHS}
        client = mlflow.MlflowClient(uri, uri)
        for depth in (2, 5):
            mlflow.register_model(models[depth], "Iris")
        for version, stage in (("1", "Staging"), ("1", "Production"), ("2", "Staging")):
            with pytest.warns(FutureWarning):
                client.transition_model_version_stage("Iris", version, stage)
        for version in ("1", "2"):
            client.set_registered_model_alias("Iris", "champion", version)
        evidence = read_store(uri)
        return evidence.with_scores(
            lambda model: score_model(load_any(Path(str(model.folder))), FLOWERS.X_test)
        )
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def _log(depth: int, experiment: str, home: Path) -> str:
    forest = RandomForestClassifier(40, max_depth=depth, random_state=1)
    forest.fit(FLOWERS.X_train, FLOWERS.y_train)
    labels = forest.predict(FLOWERS.X_test)
    with mlflow.start_run(run_name=f"depth {depth}", experiment_id=experiment):
        mlflow.log_metric("log_loss", log_loss(TRUTH, forest.predict_proba(FLOWERS.X_test)))
        mlflow.log_metric("accuracy", accuracy_score(TRUTH, labels))
        mlflow.log_artifact(str(draw(confusion_matrix(TRUTH, labels), home / "confusion.png")))
        return str(
            mlflow.sklearn.log_model(
                forest,
                name="model",
                skops_trusted_types=["sklearn.tree._tree.Tree"],
                pip_requirements=["scikit-learn"],
            ).model_uri
        )


def run_of(evidence: Evidence, depth: int) -> Run:
    return next(run for run in evidence.runs if run.name == f"depth {depth}")


def with_run(evidence: Evidence, changed: Run) -> Evidence:
    runs = tuple(changed if run.run_id == changed.run_id else run for run in evidence.runs)
    return replace(evidence, runs=runs)


def best(evidence: Evidence, reference: str) -> Outcome:
    return crosschecks.version_is_of_the_best(evidence, reference, evidence.runs, "log_loss", TRUTH)


@pytest.mark.parametrize("reference", ["models:/Iris/2", "models:/Iris@champion", "models:/Iris/Staging"])
def test_the_version_of_the_best_run_is_found_by_any_name(project: Evidence, reference: str) -> None:
    assert best(project, reference).status is Status.PASSED


def test_a_version_of_a_worse_run_names_both_runs(project: Evidence) -> None:
    outcome = best(project, "models:/Iris/1")
    assert outcome.status is Status.FAILED
    assert "depth 2" in outcome.found
    assert "depth 5" in outcome.found


def test_a_run_within_the_margin_is_as_good_as_the_best(project: Evidence) -> None:
    five = run_of(project, 5)
    worse = replace(run_of(project, 2), metrics={"log_loss": round(five.metrics["log_loss"] + 0.004, 2)})
    score = next(m.scoring for m in project.models if m.model_id in five.model_ids)
    models = tuple(replace(model, scoring=score) for model in project.models)
    assert best(replace(with_run(project, worse), models=models), "models:/Iris/1").status is Status.PASSED


def test_a_metric_that_its_model_does_not_explain_makes_nothing_the_best(project: Evidence) -> None:
    boasting = replace(run_of(project, 2), metrics={"log_loss": 0.001})
    assert best(with_run(project, boasting), "models:/Iris/1").status is Status.FAILED
    assert best(with_run(project, boasting), "models:/Iris/2").status is Status.PASSED


def test_a_version_that_comes_from_nowhere_is_not_of_the_best(project: Evidence) -> None:
    iris = project.registered[0]
    lost = tuple(replace(v, source="/etc", model_id=None) for v in iris.versions)
    moved = replace(project, registered=(replace(iris, versions=lost),))
    assert "/etc" in best(moved, "models:/Iris/2").found
    assert best(project, "models:/Iris/3").status is Status.NOT_ATTEMPTED


def confusion(evidence: Evidence, depth: int) -> Outcome:
    return crosschecks.shows_the_confusion(evidence, run_of(evidence, depth), TRUTH)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_confusion_matrix_of_the_model_is_one(project: Evidence, depth: int) -> None:
    outcome = confusion(project, depth)
    assert outcome.status is Status.PASSED
    assert "follow" in outcome.found


def test_the_confusion_matrix_of_another_model_is_not_explained(project: Evidence) -> None:
    taken = replace(run_of(project, 5), artifacts=run_of(project, 1).artifacts)
    outcome = confusion(with_run(project, taken), 5)
    assert outcome.status is Status.FAILED
    assert "not explained by the logged model" in outcome.found


def test_a_picture_with_another_name_or_none_is_no_confusion_matrix(project: Evidence) -> None:
    run = run_of(project, 5)
    renamed = replace(run, artifacts=(replace(run.artifacts[0], path="loss.png"),))
    assert "loss.png" in confusion(with_run(project, renamed), 5).found
    none = replace(run, artifacts=())
    assert confusion(with_run(project, none), 5).status is Status.NOT_ATTEMPTED


def test_a_blank_or_tiny_picture_is_no_confusion_matrix(project: Evidence) -> None:
    run = run_of(project, 5)
    picture = run.artifacts[0].picture
    assert picture
    for changed in (replace(picture, blank=True), replace(picture, width=20)):
        artifacts = (replace(run.artifacts[0], picture=changed),)
        outcome = confusion(with_run(project, replace(run, artifacts=artifacts)), 5)
        assert outcome.status is Status.FAILED
        assert "blank" in outcome.found


def with_picture(evidence: Evidence, figure: Any, folder: Path, name: str = "confusion.png") -> Evidence:
    """The evidence with one picture in the run of depth 5, drawn by matplotlib."""
    figure.savefig(folder / name)
    plt.close(figure)
    run = run_of(evidence, 5)
    artifact = replace(run.artifacts[0], path=name, size=(folder / name).stat().st_size)
    artifact = replace(artifact, picture=read_picture(folder / name))
    return with_run(evidence, replace(run, artifacts=(artifact,)))


def test_a_picture_without_the_fields_of_a_matrix_is_none(project: Evidence, tmp_path: Path) -> None:
    table, bars, line = (plt.subplots()[1] for _ in range(3))
    table.table(cellText=[["190", "10", "0"]] * 3, loc="center")
    bars.bar(["a", "b", "c"], [1, 2, 3])
    line.plot([1, 2])
    outcomes = [confusion(with_picture(project, axes.figure, tmp_path), 5) for axes in (table, bars, line)]
    assert [outcome.status for outcome in outcomes] == [Status.FAILED] * 3
    assert "as ConfusionMatrixDisplay does" in outcomes[0].next_step
    assert "not explained" in outcomes[1].found


def test_a_picture_that_cannot_be_decoded_proves_nothing(project: Evidence) -> None:
    run = run_of(project, 5)
    drawing = replace(run.artifacts[0], path="confusion.svg", picture=None)
    outcome = confusion(with_run(project, replace(run, artifacts=(drawing,))), 5)
    assert outcome.status is Status.FAILED
    assert "as a file in .png" in outcome.next_step


def test_autologging_s_own_matrix_of_the_training_part_is_not_the_student_s(project: Evidence) -> None:
    run = run_of(project, 5)
    drawn = replace(run.artifacts[0], path="training_confusion_matrix.png")
    assert confusion(with_run(project, replace(run, artifacts=(drawn,))), 5).status is Status.NOT_ATTEMPTED


def bars_of(evidence: Evidence) -> Outcome:
    return crosschecks.shows_bars(evidence, run_of(evidence, 5), TRUTH, "importance")


def test_bars_are_another_picture_than_the_confusion_matrix(project: Evidence, tmp_path: Path) -> None:
    figure, axes = plt.subplots()
    axes.barh(["a", "b", "c", "d"], [1, 2, 3, 4])
    bars = with_picture(project, figure, tmp_path, "importance.png")
    assert bars_of(bars).status is Status.PASSED
    (same,) = run_of(bars, 5).artifacts
    twice = replace(run_of(bars, 5), artifacts=(same, replace(same, path="confusion.png")))
    assert "what the confusion matrix shows" in bars_of(with_run(bars, twice)).found
    matrix = replace(run_of(project, 5).artifacts[0], path="importance.png")
    alone = replace(run_of(project, 5), artifacts=(matrix,))
    assert bars_of(with_run(project, alone)).status is Status.FAILED
    assert bars_of(with_run(project, replace(alone, artifacts=(replace(matrix, picture=None),)))).status is (
        Status.FAILED
    )


def order(evidence: Evidence, *steps: tuple[str, str, str]) -> Outcome:
    return crosschecks.went_in_order(evidence, "Iris", steps, "first one, then the other")


STAGED: Sequence[tuple[str, str, str]] = [("stage", "1", "Staging"), ("stage", "1", "Production")]


def test_the_history_tells_the_order_of_stages_and_aliases(project: Evidence) -> None:
    assert order(project, *STAGED).status is Status.PASSED
    moved = [("alias", "champion", "1"), ("alias", "champion", "2")]
    assert order(project, *moved).status is Status.PASSED
    backwards = order(project, *reversed(STAGED))
    assert backwards.status is Status.FAILED
    assert "another order" in backwards.found
    never = order(project, ("stage", "2", "Production"))
    assert "version 2 in Production" in never.found


def test_without_a_history_only_the_order_cannot_be_graded(project: Evidence) -> None:
    forgetful = replace(project, changes=None)
    assert order(forgetful, *STAGED).status is Status.NOT_GRADED
    assert best(forgetful, "models:/Iris/2").status is Status.PASSED


def test_moments_follow_each_other(project: Evidence) -> None:
    ended, created = run_of(project, 2).end_time, project.registered[0].versions[0].created
    right = [("the run ended", ended), ("the version was made", created)]
    assert crosschecks.follow_each_other(right).status is Status.PASSED
    wrong = crosschecks.follow_each_other(right[::-1])
    assert wrong.status is Status.FAILED
    assert "the version was made" in wrong.found
    assert crosschecks.follow_each_other([*right, ("it was served", None)]).status is Status.NOT_ATTEMPTED


def test_stumbling_blocks_are_recognised_and_work_in_order_has_none(project: Evidence) -> None:
    assert hints(project) == ()
    error = "MlflowException: Run with id=0123456789abcdef0123456789abcdef not found"
    typed = replace(project, notebook=NotebookFacts((CellFacts(3, None, True, error),)))
    assert "instead of typing it" in hints(typed)[0]
    logged = replace(
        run_of(project, 5),
        tags={"estimator_class": "sklearn.ensemble._forest.RandomForestClassifier"},
        metrics={"training_accuracy_score": 0.9},
    )
    assert "imported after mlflow.sklearn.autolog()" in hints(with_run(project, logged))[0]
    empty = replace(project, registered=(RegisteredModel("Iris", 1, ""),))
    assert "has no version" in hints(empty)[0]
    iris = project.registered[0]
    lost = replace(iris, versions=(replace(iris.versions[0], source="/etc", model_id=None),))
    assert "no logged model is" in hints(replace(project, registered=(lost,)))[0]
    stray = replace(run_of(project, 5), experiment_id="0")
    assert hints(with_run(project, stray))[0].startswith("1 run is in MLflow's own experiment")
