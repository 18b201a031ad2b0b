"""Each stumbling block is named where it is, once, and nowhere else."""

import pytest

from autograder.evidence import CellFacts, Evidence, Experiment, ModelVersion, NotebookFacts, RegisteredModel
from autograder.rubrics import hints
from tests.support.facts import a_model, a_run, evidence_of

AUTOLOGGED = {"estimator_class": "sklearn.svm.SVC"}
DEFAULT = (Experiment("0", "Default"), Experiment("1", "mine"))


def raised(*errors: str | None) -> NotebookFacts:
    return NotebookFacts(tuple(CellFacts(index, None, True, error) for index, error in enumerate(errors)))


def no_run(run_id: str) -> str:
    return f"MlflowException: Run with id={run_id} not found"


def registered(model_id: str | None) -> tuple[RegisteredModel, ...]:
    version = ModelVersion(7, 1, "None", "", "/somewhere", "r1", model_id, "READY")
    return (RegisteredModel("Iris", 1, "", versions=(version,)),)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (evidence_of(), None),
        (evidence_of(a_run(metrics={"accuracy": 1.0}), experiments=DEFAULT, notebook=raised()), None),
        (evidence_of(a_run(), notebook=raised(None, "NameError: x", no_run("typed"))), "“typed”"),
        (evidence_of(a_run(), notebook=raised(no_run("r1"), no_run("one"), no_run("two"))), "“one”"),
        (evidence_of(a_run(), notebook=raised(no_run("r1"))), None),
        (evidence_of(a_run(), notebook=raised("RuntimeError: Run not found")), None),
        (evidence_of(a_run(tags=AUTOLOGGED, metrics={"training_score": 1.0})), "forest r1"),
        (evidence_of(a_run(tags=AUTOLOGGED, metrics={"training_score": 1.0, "accuracy": 1.0})), None),
        (evidence_of(a_run(tags=AUTOLOGGED)), None),
        (evidence_of(a_run(metrics={"training_score": 1.0})), None),
        (evidence_of(*(a_run(id, tags=AUTOLOGGED, metrics={"training_a": 1.0}) for id in "ab")), "forest a"),
        (evidence_of(registered=(RegisteredModel("Iris", 1, ""),)), "“Iris” has no version"),
        (evidence_of(a_run(), models=(a_model(),), registered=registered("m-r1")), None),
        (evidence_of(a_run(), models=(a_model(),), registered=registered("m-r2")), "Version 7"),
        (evidence_of(a_run(experiment_id="0"), a_run("r2"), experiments=DEFAULT), "1 run is"),
        (evidence_of(*(a_run(id, experiment_id="0") for id in "ab"), experiments=DEFAULT), "2 runs are"),
    ],
)
def test_a_stumbling_block_is_named_once_where_there_is_one(evidence: Evidence, words: str | None) -> None:
    found = hints(evidence)
    assert len(found) == (words is not None)
    assert all(words and words in sentence for sentence in found)
