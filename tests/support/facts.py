"""Small facts made by hand: a run, its model and what that answered, with what a test changes."""

from typing import Any

from autograder.evidence import Evidence, LoggedModel, MetricPoint, Run, Scoring


def a_run(run_id: str = "r1", **changes: Any) -> Run:
    """A finished run with a model of its own; its metrics were logged unless ``history`` says otherwise."""
    logged = {name: (MetricPoint(0, 0, value),) for name, value in changes.get("metrics", {}).items()}
    given: dict[str, Any] = {
        "name": f"forest {run_id}",
        "experiment_id": "1",
        "status": "FINISHED",
        "start_time": 1,
        "end_time": 2,
        "history": logged,
        "model_ids": (f"m-{run_id}",),
    }
    return Run(run_id=run_id, **{**given, **changes})


def a_model(run_id: str | None = "r1", **changes: Any) -> LoggedModel:
    """A finished model of the run ``run_id``."""
    given: dict[str, Any] = {
        "model_id": f"m-{run_id}",
        "name": "model",
        "experiment_id": "1",
        "status": "READY",
        "created": 1,
        "folder": None,
        "scoring": a_scoring(),
    }
    return LoggedModel(run_id=run_id, **{**given, **changes})


def a_scoring(**changes: Any) -> Scoring:
    """What a forest answered."""
    given = {
        "estimator": "RandomForestClassifier",
        "final_estimator": "sklearn.ensemble.RandomForestClassifier",
    }
    return Scoring(**{**given, **changes})


def evidence_of(*runs: Run, models: tuple[LoggedModel, ...] = (), **changes: Any) -> Evidence:
    """The evidence of these runs and models under the seed 3."""
    return Evidence(seed=3, runs=runs, models=models, **changes)
