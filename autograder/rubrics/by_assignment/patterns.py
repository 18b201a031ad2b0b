"""What 02-logging-patterns asks: plots, a model's environment, autologging, a dictionary and a table."""

import re
from collections import Counter
from importlib.metadata import version

from sklearn.metrics import recall_score

from autograder.base.remember import remembered
from autograder.base.text import quoted, short
from autograder.data import load_flowers
from autograder.evidence import Evidence, LoggedModel, Run
from autograder.rubrics import claims, contents, crosschecks, questions
from autograder.rubrics.claims import species as truth
from autograder.rubrics.language import Outcome, Rubric, Status, failed, not_attempted, passed
from autograder.rubrics.logged_by_mlflow import is_autologged, missing_params, required_lines, unread_format


@remembered
def the_run(evidence: Evidence) -> Run | None:
    """The run with plots: the one that shows most of what is asked, rather one that was logged by hand.

    An autologged run is meant only when more was added to it than Task 3 asks for.
    """
    found = [run for run in evidence.runs if _added(run) or not is_autologged(run)]
    return max(found, key=lambda run: _completeness(evidence, run), default=None)


@remembered
def the_autologged(evidence: Evidence) -> Run | None:
    """The latest autologged run, rather one that also has a metric logged by hand, or is not nested."""
    return max(
        (run for run in evidence.runs if is_autologged(run)),
        key=lambda run: ("accuracy" in run.metrics, run.parent_run_id is None, run.start_time),
        default=None,
    )


@remembered
def the_model(evidence: Evidence) -> LoggedModel | None:
    """The model whose environment was thought about: the latest of those that come nearest to it."""
    ready = [model for model in evidence.models if model.status == "READY"]
    return max(
        ready,
        key=lambda model: (
            bool(required_lines(model, "pandas")),
            model.declared.has_input_example,
            model.created,
        ),
        default=None,
    )


rubric = Rubric(
    assignment="02-logging-patterns",
    title="Log more than numbers",
    chapter="chapters/patterns",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
plots = rubric.task("plots", "A run with two plots", about=the_run, section="plots")
environment = rubric.task(
    "environment", "A model with its environment", section="a-model-with-its-environment"
)
autologging = rubric.task("autologging", "What autologging logs, and what not", section="autologging")
files = rubric.task("files", "A dictionary and a table", about=the_run, section="dictionaries-and-tables")


@plots.criterion("The run has a model that loads again and answers", 1, ("P1",))
def model_answers(evidence: Evidence, run: Run) -> Outcome:
    logged = questions.has_model(evidence, run)
    if logged.status is not Status.PASSED:
        return logged
    return questions.model_answers(evidence, run, rows=len(truth(evidence)))


@plots.criterion("It logs the parameters of its model", 1, ("P1",), needs=("model-answers",))
def params_true(evidence: Evidence, run: Run) -> Outcome:
    return questions.params_are_the_models(evidence, run)


@plots.criterion("It logs the accuracy that its model reaches", 1, ("P1",), needs=("model-answers",))
def accuracy_true(evidence: Evidence, run: Run) -> Outcome:
    return questions.metric_is_true(evidence, run, "accuracy", truth(evidence))


@plots.criterion(
    "It has a picture of its model's confusion matrix", 3, ("L1", "P7", "C4"), needs=("model-answers",)
)
def confusion_drawn(evidence: Evidence, run: Run) -> Outcome:
    return crosschecks.shows_the_confusion(evidence, run, truth(evidence))


@plots.criterion("It has a picture of the importance of the features", 2, ("L1", "P7", "C4"))
def importance_drawn(evidence: Evidence, run: Run) -> Outcome:
    if contents.pictures(run, "importance"):
        return crosschecks.shows_bars(evidence, run, truth(evidence), "importance")
    return not_attempted(
        f"The run {quoted(run.name)} has no picture with “importance” in its name.",
        "Draw a bar for each feature, and log the figure with mlflow.log_figure.",
    )


@environment.criterion("A model has a signature and an input example", 2, ("L2", "C4"))
def described(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _no_model()
    missing = []
    if model.declared.inputs is None:
        missing.append("signature")
    if not model.declared.has_input_example:
        missing.append("input example")
    if not missing:
        return passed(f"The model {quoted(model.name)} says what it takes, and shows it.")
    return failed(
        f"The model {quoted(model.name)} has no {' and no '.join(missing)}.",
        "a model that says which columns it takes, and shows a row or two",
        "Pass log_model an input_example: MLflow infers the signature from it.",
    )


@environment.criterion("It requires pandas in the version that was used", 2, ("L2",))
def pandas_required(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _no_model()
    used = version("pandas")
    lines = required_lines(model, "pandas")
    if f"pandas=={used}" in {re.sub(r"\s", "", line) for line in lines}:
        return passed(f"The model {quoted(model.name)} requires pandas=={used}.")
    step = "Pass log_model extra_pip_requirements, with the version taken from pandas.__version__."
    if not lines:
        return not_attempted(f"No model requires pandas; {quoted(model.name)} is the latest.", step)
    return failed(f"The model {quoted(model.name)} requires {claims.listed(lines)}.", f"pandas=={used}", step)


@environment.criterion(
    "It still requires scikit-learn, in one version, and what reads its file",
    2,
    ("L2",),
    needs=("pandas-required",),
)
def sklearn_kept(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    assert model is not None
    lines, unread = required_lines(model, "scikit-learn"), unread_format(model)
    if not unread and any(re.fullmatch(r"scikit-learn\s*==\s*[\w.]+", line) for line in lines):
        return passed(f"The model {quoted(model.name)} requires {short(lines[0])}, too.")
    why = (
        f" Its file was written by {short(unread)}, and nothing in the list can read that." if unread else ""
    )
    return failed(
        f"The model {quoted(model.name)} requires {claims.listed(model.declared.requirements)}.{why}",
        "the packages that MLflow lists by itself, and pandas beside them",
        "extra_pip_requirements adds to what MLflow lists; pip_requirements replaces all of it.",
    )


@autologging.criterion("A run was logged by autologging", 2, ("L3",))
def autologged(evidence: Evidence) -> Outcome:
    run = the_autologged(evidence)
    step = "Call mlflow.sklearn.autolog() before you fit a model in a run."
    if run is None:
        return not_attempted(
            "No run has what autologging logs: an estimator's class and metrics of the training part.", step
        )
    missing = missing_params(evidence, run)
    if not missing:
        return passed(f"MLflow logged {len(run.params)} parameters of {quoted(run.name)} by itself.")
    return failed(
        f"The run {quoted(run.name)} lacks parameters of its model: {claims.listed(missing)}.",
        "what autologging logs: every parameter of the model, also those that were left alone",
        step,
    )


@autologging.criterion("That run has a name that means something", 1, ("P2", "L3"), needs=("autologged",))
def autologged_named(evidence: Evidence) -> Outcome:
    return questions.is_named(_autologged(evidence))


@autologging.criterion("It carries the tag `model_family`", 1, ("P1", "L3"), needs=("autologged",))
def autologged_tagged(evidence: Evidence) -> Outcome:
    return questions.is_tagged(_autologged(evidence), "model_family")


@autologging.criterion("It has the accuracy on the test part", 2, ("L3", "P1"), needs=("autologged",))
def autologged_accuracy(evidence: Evidence) -> Outcome:
    return _reaches(evidence, "accuracy")


@autologging.criterion("It has the log-loss on the test part", 1, ("L3", "P1"), needs=("autologged",))
def autologged_log_loss(evidence: Evidence) -> Outcome:
    return _reaches(evidence, "log_loss")


@files.criterion("A dictionary has the recall of each species", 3, ("L1", "C4"), needs=("model-answers",))
def recall_logged(evidence: Evidence, run: Run) -> Outcome:
    species = sorted(set(truth(evidence)))
    found = contents.named(run, "recall")
    tables = [table for file in found if (table := contents.numbers_by(file, species)) is not None]
    step = "Pass mlflow.log_dict a dictionary with the species as keys, and a file name with “recall” in it."
    if not found:
        return not_attempted(f"The run {quoted(run.name)} has no file with “recall” in its name.", step)
    if not tables:
        return failed(
            f"{claims.listed(file.path for file in found)} lacks one of {claims.listed(species)}.",
            "a JSON dictionary from species to recall",
            step,
        )
    answers = claims.answers(questions.scored(evidence, run), truth(evidence))
    actual = recall_score(list(truth(evidence)), answers, labels=species, average=None, zero_division=0.0)
    for table in tables:
        wrong = [
            f"{name}: {table[name]:.4f} instead of {value:.4f}"
            for name, value in zip(species, actual, strict=True)
            if not claims.agrees(table[name], float(value))
        ]
        if not wrong:
            return passed(f"The recall of {claims.listed(species)} is what the run's model reaches.")
    return failed(
        f"The recall in {claims.listed(file.path for file in found)} is not the model's: {'; '.join(wrong)}.",
        "of the flowers of a species in the test part, the share that the run's model recognises",
        "Compute it with recall_score(..., labels=..., average=None) from y_test and the predictions.",
    )


@files.criterion("A table has a row for each mistake", 3, ("L1", "C4"), needs=("model-answers",))
def mistakes_logged(evidence: Evidence, run: Run) -> Outcome:
    found = contents.named(run, "mistake")
    step = "Pass mlflow.log_table a DataFrame with the columns `species` and `predicted`, and a file name."
    if not found:
        return not_attempted(f"The run {quoted(run.name)} has no file with “mistake” in its name.", step)
    read = {file.path: rows for file in found if (rows := contents.rows_of(file))}
    columns = ("species", "predicted")
    tables = {path: pairs for path, rows in read.items() if (pairs := contents.counted(rows, columns))}
    if not tables:
        path, rows = list(read.items())[-1] if read else (found[-1].path, [])
        return failed(
            f"{quoted(path)} has {claims.listed(rows[0]) if rows else 'no row'}.",
            "a table with the columns `species` and `predicted`, a row for each mistake",
            step,
        )
    answers = claims.answers(questions.scored(evidence, run), truth(evidence))
    pairs_of = zip(truth(evidence), answers, strict=True)
    actual: contents.Counts = Counter(pair for pair in pairs_of if pair[0] != pair[1])
    for path, pairs in tables.items():
        if contents.is_some_times(pairs, actual):
            return passed(f"{quoted(path)} has the {actual.total()} mistakes of the run's model.")
    path, pairs = list(tables.items())[-1]
    same, more = pairs.total() == actual.total(), pairs.total() > actual.total()
    again = (
        " mlflow.log_table adds its rows to the table that is there: if this cell ran before, run Task 1 "
        "again for a new run, or take another file name with “mistake” in it."
    )
    return failed(
        f"{quoted(path)} has {pairs.total()} rows{', but of other mistakes' if same else ''}; the run's "
        f"model makes {actual.total()} mistakes on the test part.",
        "one row for each flower of the test part whose prediction is not its species",
        "Choose the rows where y_test and the predictions of the run's own model differ."
        + (again if more else ""),
    )


def _autologged(evidence: Evidence) -> Run:
    run = the_autologged(evidence)
    assert run is not None
    return run


def _reaches(evidence: Evidence, metric: str) -> Outcome:
    run = _autologged(evidence)
    if metric not in run.metrics:
        return not_attempted(
            f"The run {quoted(run.name)} has {claims.listed(sorted(run.metrics))}, and no `{metric}`.",
            f"Compute the {metric} on X_test and y_test, and log it in the same run as `{metric}`.",
        )
    if claims.scoring_of(evidence, run) is None:
        return failed(
            f"The run {quoted(run.name)} has no model that could be asked.",
            "the model that autologging logs",
            "Train a scikit-learn model while autologging is on, with its models (log_models) left on.",
        )
    return questions.metric_is_true(evidence, run, metric, truth(evidence))


def _added(run: Run) -> int:
    """How many of the four files are in the run."""
    return sum(bool(contents.named(run, word)) for word in ("confusion", "importance", "recall", "mistake"))


def _completeness(evidence: Evidence, run: Run) -> tuple[int, bool, int]:
    """How much of what is asked a run has; of equals one logged by hand counts, then the later one."""
    answers = claims.scoring_of(evidence, run) is not None
    return _added(run) * 2 + answers, not is_autologged(run), run.start_time


def _no_model() -> Outcome:
    return not_attempted("There is no finished model.", "Log a model with mlflow.sklearn.log_model.")
