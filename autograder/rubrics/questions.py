"""Questions that rubrics share, about one run and its model. Each answers with an outcome."""

import math

import pandas as pd

from autograder.base.remember import remembered
from autograder.base.text import quoted, short
from autograder.evidence import Evidence, LoggedModel, Run, Scoring
from autograder.rubrics import claims
from autograder.rubrics.language import Outcome, failed, not_attempted, passed

#: Words that tell nobody what a run tried.
DULL_NAMES = {"run", "test", "model", "first", "new", "untitled", "my", "the", "name", "try", "number"}
METRICS = {"accuracy": claims.accuracy, "log_loss": claims.log_loss}


def is_in_experiment(evidence: Evidence, run: Run, name: str) -> Outcome:
    """Whether the run is in the experiment called ``name``."""
    names = {found.experiment_id: found.name for found in evidence.experiments}
    where = names.get(run.experiment_id, run.experiment_id)
    if where == name:
        return passed(f"The run {quoted(run.name)} is in {quoted(name)}.")
    return failed(
        f"The run {quoted(run.name)} is in {quoted(where)}.",
        f"the experiment {quoted(name)}",
        "Set the experiment before you start the run, then log the run again.",
    )


def has_ended(evidence: Evidence, run: Run) -> Outcome:
    """Whether the run is FINISHED. A run that only its own log_model failed has ended, too."""
    if run.status == "FINISHED":
        return passed(f"The run {quoted(run.name)} is FINISHED.")
    model = claims.model_of(evidence, run)
    if run.status == "FAILED" and model is not None and model.status == "FAILED":
        return passed(f"The run {quoted(run.name)} ended; what failed in it is its model.")
    return failed(
        f"The run {quoted(run.name)} is {run.status}.",
        "a run that is FINISHED",
        "Do the work inside `with mlflow.start_run(...):`, which ends the run; if a line in it raised "
        "an error, mend that line and run the cell again.",
    )


def logs_params(run: Run, expected: dict[str, str]) -> Outcome:
    """Whether the run logs these parameters with these values."""
    wrong = []
    for name, value in expected.items():
        logged = claims.param(run.params, name)
        if logged is None or not claims.same_value(logged, value):
            wrong.append(f"`{name}` is {'missing' if logged is None else short(logged)}")
    values = ", ".join(f"{name} = {value}" for name, value in expected.items())
    if not wrong:
        return passed(f"The run {quoted(run.name)} logs {values}.")
    return failed(
        f"In the run {quoted(run.name)}, {' and '.join(wrong)}.",
        f"the parameters {values}",
        "Log each hyperparameter under scikit-learn's own name for it.",
    )


def logs_metric(evidence: Evidence, run: Run, name: str, highest: float = math.inf) -> Outcome:
    """Whether the run logs a metric ``name`` from 0 to ``highest``."""
    expected = "a share from 0 to 1" if highest == 1 else "a number from 0 up"
    value = run.metrics.get(name)
    if claims.unlogged(run, name):
        return failed(
            f"The latest {name} of {quoted(run.name)}, {value:g}, is not among the values that were logged.",
            f"a metric `{name}` that was logged with MLflow",
            "Log it with mlflow.log_metric while the run is active.",
        )
    if value is not None and 0 <= value <= highest and math.isfinite(value):
        return passed(f"{name} is {value:.4f}.")
    if name in run.not_numbers:
        return failed(
            f"{name} was logged, but it is not a number (NaN or infinity).",
            expected,
            "Look at what you compute it from, mend that, and log it again.",
        )
    if value is not None:
        percent = " It looks like a percentage." if 1 < value <= 100 else ""
        return failed(
            f"{name} is {value:g}.{percent}", expected, "Log what scikit-learn's function returns, as it is."
        )
    strays = _strays(evidence, name)
    if strays:
        return failed(
            f"The run {quoted(run.name)} has no `{name}`. The run {quoted(strays[0].name)} has it, which "
            f"MLflow started by itself and which is {strays[0].status}.",
            f"`{name}` in the run that logs the parameters",
            "Indent the line into the `with mlflow.start_run(...)` block: a metric logged after the block "
            "opens a second run.",
        )
    found = f"only {claims.listed(sorted(run.metrics))}" if run.metrics else "no metric"
    return failed(
        f"The run {quoted(run.name)} has {found}.",
        f"a metric called `{name}`, {expected}",
        "Compute it on the test part and log it while the run is active.",
    )


@remembered
def _strays(evidence: Evidence, name: str) -> list[Run]:
    """Runs with a metric and no parameter: MLflow starts one for a metric that is logged outside a run."""
    return [other for other in evidence.runs if name in other.metrics and not other.params]


def says_something(run: Run) -> bool:
    """Whether the run's name was given by the student and tells what was tried."""
    words = run.name.lower().replace("_", " ").replace("-", " ").split()
    telling = [word for word in words if word.strip("0123456789") not in {*DULL_NAMES, ""}]
    return not run.name_generated and any(len(word) > 1 for word in telling)


def is_named(run: Run) -> Outcome:
    """Whether the run has a name that means something."""
    if says_something(run):
        return passed(f"The run is called {quoted(run.name)}.")
    found = "a name that MLflow made up" if run.name_generated else "a name that says nothing"
    return failed(
        f"The run is called {quoted(run.name)}, {found}.",
        "a name from which a colleague can tell what was tried",
        "Give start_run a run_name with the kind of model and what is special about it.",
    )


def is_tagged(run: Run, tag: str) -> Outcome:
    """Whether the run carries a tag with some text in it."""
    if run.tags.get(tag, "").strip():
        return passed(f"The tag {tag} is {quoted(run.tags[tag])}.")
    own = [name for name in run.tags if not name.startswith("mlflow.")]
    return failed(
        f"The run {quoted(run.name)} carries {'only ' + claims.listed(own) if own else 'no tag of yours'}.",
        f"a tag `{tag}`",
        f'Call mlflow.set_tag("{tag}", ...) while the run is active.',
    )


def has_model(evidence: Evidence, run: Run) -> Outcome:
    """Whether the run has a logged model that is complete."""
    model = claims.model_of(evidence, run)
    if model is not None and (foreign := claims.foreign_files(model)):
        return failed(
            f"In the run {quoted(run.name)}, {foreign}.",
            "a model with the files that were logged as this model",
            "Log the model with log_model in its own run.",
        )
    if model is not None and model.status == "READY":
        return passed(f"The run {quoted(run.name)} has the model {quoted(model.name)}, which is READY.")
    if model is not None:
        return failed(
            f"The run's model {quoted(model.name)} is {model.status}: saving it did not finish.",
            "a model that is READY",
            _mend_saving(evidence),
        )
    if any(other.run_id is None for other in evidence.models):
        return failed(
            "A model was logged outside any run.",
            f"a model that belongs to the run {quoted(run.name)}",
            "Call log_model while that run is active.",
        )
    if not evidence.models:
        return not_attempted(f"The run {quoted(run.name)} has no model.", "Log the trained model into it.")
    return failed(
        f"The run {quoted(run.name)} has no model; there is one in another run.",
        f"a model in the run {quoted(run.name)}",
        "Continue that run with `mlflow.start_run(run_id=...)` and log the model there.",
    )


def model_answers(evidence: Evidence, run: Run, rows: int) -> Outcome:
    """Whether the run's model, loaded again, gives one answer for each of ``rows`` rows."""
    scoring = scored(evidence, run)
    if scoring.error is None and len(scoring.labels) == rows:
        return passed(f"Loaded again, the {scoring.estimator} answered for all {rows} test rows.")
    why = short(scoring.error, 200) if scoring.error else f"it gave {len(scoring.labels)} answers"
    return failed(
        f"The model could not be used: {why}.",
        f"a fitted model that takes the data's columns and gives one answer for each of {rows} rows",
        "Fit the model before you log it, on the four columns as they are (if you scale or choose columns "
        "first, log a Pipeline that does both). Log it again and try mlflow.sklearn.load_model.",
    )


def params_are_the_models(evidence: Evidence, run: Run) -> Outcome:
    """Whether the logged parameters are those of the estimator in the run's model."""
    scoring = scored(evidence, run)
    for name, (logged, actual) in claims.contradictions(run, scoring).items():
        return failed(
            f"The run {quoted(run.name)} says {short(name)} = {short(logged)}; its model was trained with "
            f"{short(name)} = {short(actual)}.",
            "logged parameters that are those of the model",
            "Log what you pass to the model: keep the values in one dictionary and use it for both.",
        )
    right = claims.explained_params(run, scoring)
    if right:
        return passed(f"The model carries the logged values of {claims.listed(sorted(right))}.")
    return failed(
        f"None of the parameters that {quoted(run.name)} logs is one of the {scoring.estimator}'s.",
        "the model's own parameters, under their own names",
        "Log the hyperparameters that you pass to the model.",
    )


def metric_is_true(evidence: Evidence, run: Run, name: str, truth: pd.Series) -> Outcome:
    """Whether the logged ``name`` is what the run's model reaches on the test part."""
    scoring, logged = scored(evidence, run), run.metrics.get(name)
    actual = METRICS[name](scoring, truth)
    if logged is None:
        return failed(
            f"The run {quoted(run.name)} has no metric `{name}`.",
            f"`{name}`, computed with the run's own model",
            "Log it in the same run as the model.",
        )
    if actual is None:
        return failed(
            f"{name} cannot be computed: the {scoring.estimator} of {quoted(run.name)} gives no usable "
            f"{'answers' if name == 'accuracy' else 'probabilities'} for the {truth.nunique()} classes.",
            "a model with predict and predict_proba",
            "Log the fitted estimator itself, or a pipeline that ends in it.",
        )
    if claims.agrees(logged, actual):
        return passed(f"Recomputed from the model, {name} is {actual:.4f}; the run says {logged:.4f}.")
    return failed(
        f"The run {quoted(run.name)} says {name} = {logged:.4f}, which is not explained by its model: that "
        f"reaches {actual:.4f} on the test part.",
        f"the {name} that the logged model reaches",
        "Compute the metric from X_test and y_test with the very model that you log; if you scale or choose "
        "columns first, log a Pipeline that does both.",
    )


def scored(evidence: Evidence, run: Run) -> Scoring:
    """The scoring of the run's model. Raises LookupError when the caller forgot to have it scored."""
    model: LoggedModel | None = claims.model_of(evidence, run)
    if model is None or model.scoring is None:
        raise LookupError(f"the model of the run {run.run_id} was not scored")
    return model.scoring


def _mend_saving(evidence: Evidence) -> str:
    raised = [cell.error for cell in evidence.notebook.cells if cell.error] if evidence.notebook else []
    if raised and not any("skops" in error or "ntrusted" in error for error in raised):
        return f"The notebook raised {quoted(raised[0])}: mend that line and log the model again."
    return (
        "log_model saves scikit-learn models with skops, which asks you to name the types it should "
        'trust: pass those that the error lists, for forests skops_trusted_types=["sklearn.tree._tree.Tree"].'
    )
