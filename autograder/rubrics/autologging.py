"""How a run that MLflow's autologging made is told from one that was logged by hand."""

from autograder.evidence import Evidence, Run
from autograder.rubrics import claims


def is_autologged(run: Run) -> bool:
    """Whether a run looks as if MLflow had logged a training into it by itself."""
    return "estimator_class" in run.tags and any(name.startswith("training_") for name in run.metrics)


def missing_params(evidence: Evidence, run: Run) -> list[str]:
    """The parameters of the run's model that the run does not have, if these are the most of them.

    Autologging logs all of a model's. Of a search it logs its own, not all of the best that it found,
    which it logs as a second model.
    """
    models = [model for model in evidence.models if model.model_id in run.model_ids]
    lacking: list[str] = []
    for scoring in filter(None, map(claims.scoring_of_model, models)):
        missing = sorted(set(scoring.params) - set(run.params))
        if scoring.estimator.endswith("SearchCV") or len(missing) * 2 <= len(scoring.params):
            return []
        lacking = missing
    return lacking
