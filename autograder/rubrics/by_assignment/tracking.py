"""What 01-tracking asks: an experiment, a first run, a model that loads again, variants, the best."""

from autograder.base.remember import remembered
from autograder.base.text import quoted, short
from autograder.data import load_flowers
from autograder.evidence import Evidence, Run
from autograder.rubrics import claims, crosschecks, questions
from autograder.rubrics.claims import species as truth
from autograder.rubrics.language import Outcome, Rubric, Status, failed, not_attempted, passed
from autograder.rubrics.variants import can_be_told_apart, runs_of, shortcomings, variants

EXPERIMENT = "flower-species"
FIRST_FOREST = {"n_estimators": "120", "max_depth": "2"}
FOREST = "RandomForestClassifier"


@remembered
def the_first_run(evidence: Evidence) -> Run | None:
    """The run of the forest that task 2 asks for: of those that log its parameters, the most complete."""
    asked = [run for run in evidence.runs if questions.logs_params(run, FIRST_FOREST).status is Status.PASSED]
    return max(asked or evidence.runs[:1], key=lambda run: _completeness(evidence, run), default=None)


@remembered
def project_runs(evidence: Evidence) -> list[Run]:
    """The runs in the project's experiment; all of them where the project has none."""
    return runs_of(evidence, EXPERIMENT)


@remembered
def other_variants(evidence: Evidence) -> list[Run]:
    """Finished runs besides the first whose models differ from the first and from each other."""
    return variants(evidence, project_runs(evidence), truth(evidence), besides=the_first_run(evidence))


rubric = Rubric(
    assignment="01-tracking",
    title="Track your first runs",
    chapter="chapters/tracking",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
experiment = rubric.task("experiment", "Choose an experiment", section="step-2-the-first-tracked-run")
first_run = rubric.task(
    "first-run", "Log a first run", about=the_first_run, section="step-2-the-first-tracked-run"
)
log_model = rubric.task(
    "log-model", "Log the model so that it loads again", about=the_first_run, section="log-the-model-with-it"
)
compare = rubric.task("compare", "Log two more variants and mark the best", section="compare-runs")


@experiment.criterion(f"The project has an experiment of its own, `{EXPERIMENT}`", 2, ("W5", "C1"))
def own_experiment(evidence: Evidence) -> Outcome:
    names = [found.name for found in evidence.experiments]
    if EXPERIMENT in names:
        return passed(f"The store has an experiment “{EXPERIMENT}”.")
    others = [name for name in names if name != "Default"]
    if not others and not evidence.runs:
        return not_attempted(
            "The store has no experiment but MLflow's own “Default”.",
            "Choose an experiment by its name before you log anything.",
        )
    there = f"The store has {'an experiment' if len(others) == 1 else 'experiments'} {claims.listed(others)}."
    return failed(
        there if others else "All runs are in “Default”.",
        f"an experiment “{EXPERIMENT}”",
        "Call mlflow.set_experiment with that name, spelled just like that, before you start a run.",
    )


@first_run.criterion("The run is in that experiment", 1, ("W5",), needs=("own-experiment",))
def run_in_experiment(evidence: Evidence, run: Run) -> Outcome:
    return questions.is_in_experiment(evidence, run, EXPERIMENT)


@first_run.criterion("The run has ended", 1, ("W4", "S2"))
def run_finished(evidence: Evidence, run: Run) -> Outcome:
    return questions.has_ended(evidence, run)


@first_run.criterion("It logs the forest's parameters: 120 trees, depth 2", 1, ("S2", "P1"))
def params_logged(evidence: Evidence, run: Run) -> Outcome:
    return questions.logs_params(run, FIRST_FOREST)


@first_run.criterion("It logs the metric `accuracy`", 1, ("S2", "P1"))
def accuracy_logged(evidence: Evidence, run: Run) -> Outcome:
    return questions.logs_metric(evidence, run, "accuracy", highest=1)


@first_run.criterion("It logs the metric `log_loss`", 1, ("S2", "P1"))
def log_loss_logged(evidence: Evidence, run: Run) -> Outcome:
    return questions.logs_metric(evidence, run, "log_loss")


@first_run.criterion("It has a name that means something", 1, ("P2",))
def run_named(evidence: Evidence, run: Run) -> Outcome:
    return questions.is_named(run)


@first_run.criterion("It carries the tag `model_family`", 1, ("P1", "C1"))
def run_tagged(evidence: Evidence, run: Run) -> Outcome:
    return questions.is_tagged(run, "model_family")


@log_model.criterion("The first run has a logged model that is complete", 2, ("S2", "C1"))
def model_logged(evidence: Evidence, run: Run) -> Outcome:
    return questions.has_model(evidence, run)


@log_model.criterion("The model loads again and answers", 2, ("S2",), needs=("model-logged",))
def model_loads(evidence: Evidence, run: Run) -> Outcome:
    return questions.model_answers(evidence, run, rows=len(truth(evidence)))


@log_model.criterion("It is the forest that the run describes", 1, ("P1",), needs=("model-loads",))
def params_match(evidence: Evidence, run: Run) -> Outcome:
    scoring = questions.scored(evidence, run)
    carries = all(claims.carried(scoring.params, name) for name in FIRST_FOREST)
    if not scoring.final_estimator.endswith(f".{FOREST}") or not carries:
        return failed(
            f"The model of {quoted(run.name)} is a {scoring.final_estimator.rpartition('.')[2]}.",
            f"a {FOREST} with the parameters that the run logs",
            f"Train a {FOREST} with them, alone or as the last step of a pipeline, and log that.",
        )
    return questions.params_are_the_models(evidence, run)


@log_model.criterion(
    "The logged accuracy is what the model reaches", 1, ("S2",), needs=("accuracy-logged", "model-loads")
)
def accuracy_true(evidence: Evidence, run: Run) -> Outcome:
    return questions.metric_is_true(evidence, run, "accuracy", truth(evidence))


@log_model.criterion(
    "The logged log-loss is what the model reaches", 2, ("S2",), needs=("log-loss-logged", "model-loads")
)
def log_loss_true(evidence: Evidence, run: Run) -> Outcome:
    return questions.metric_is_true(evidence, run, "log_loss", truth(evidence))


@compare.criterion("Two more variants are logged, each with its model", 2, ("S7",))
def two_variants(evidence: Evidence) -> Outcome:
    found = other_variants(evidence)
    if len(found) >= 2:
        return passed(f"Besides the first run there are {claims.listed(run.name for run in found)}.")
    others = [run for run in project_runs(evidence) if run is not the_first_run(evidence)]
    if not others:
        return not_attempted("There is no run besides the first.", "Train and log two more variants.")
    models = [claims.model_of(evidence, run) for run in others]
    errors = [model.scoring.error for model in models if model and model.scoring and model.scoring.error]
    count = "1 further run" if len(others) == 1 else f"{len(others)} further runs"
    return failed(
        f"Besides the first run, “{EXPERIMENT}” has {count}; {'one' if found else 'none'} counts as a "
        f"variant.{f' A model could not be used: {short(errors[0], 200)}.' if errors else ''}",
        "two finished runs, each with a model that loads again and whose hyperparameters differ from the "
        "first one's and from each other's",
        "Log each variant in a run of its own, with its model.",
    )


@compare.criterion("What the variants log is true of their models", 2, ("P1", "S7"), needs=("two-variants",))
def variants_true(evidence: Evidence) -> Outcome:
    found = other_variants(evidence)[:2]
    wrong = [problem for run in found for problem in shortcomings(evidence, run, truth(evidence))]
    names = claims.listed(run.name for run in found)
    return wrong[0] if wrong else passed(f"{names} log what their models carry and reach.")


@compare.criterion("Each variant has a meaningful name of its own", 1, ("P2",), needs=("two-variants",))
def variants_named(evidence: Evidence) -> Outcome:
    first = the_first_run(evidence)
    return can_be_told_apart(other_variants(evidence)[:2], [first.name] if first else [])


@compare.criterion("One run carries the tag `best` = `true`", 1, ("S7",))
def best_marked(evidence: Evidence) -> Outcome:
    marked = _marked(evidence)
    if not marked:
        return not_attempted("No run carries the tag `best`.", "Find the best run and tag it, in code.")
    losses = {run.metrics.get("log_loss") for run in marked}
    if len(marked) == 1 or (len(losses) == 1 and None not in losses):
        return passed(f"{quoted(marked[0].name)} is marked as the best.")
    return failed(
        f"{len(marked)} different runs are marked: {claims.listed(run.name for run in marked)}.",
        "one run that carries best = true",
        'Mark only the winner; take the tag from the others with MlflowClient().delete_tag(run_id, "best"). '
        "Grading starts from an empty store, so marks of earlier tries don't count there.",
    )


@compare.criterion("The marked run has the lowest log-loss", 2, ("S7", "C1"), needs=("best-marked",))
def best_is_best(evidence: Evidence) -> Outcome:
    marked = _marked(evidence)[0]
    known = [
        run
        for run in project_runs(evidence)
        if crosschecks.explained(evidence, run, "log_loss", truth(evidence))
    ]
    if marked.status != "FINISHED":
        return failed(
            f"The marked run {quoted(marked.name)} is {marked.status}.",
            "a run that is FINISHED, with its model",
            "Mend what made it fail or delete it, then choose among the others.",
        )
    if len(known) < 2:
        return not_attempted(
            f"{'Only one' if known else 'No'} finished run of “{EXPERIMENT}” has a log_loss that its model "
            "reaches; there is nothing to compare.",
            "Log the log_loss and the model of every variant.",
        )
    if marked.run_id not in {run.run_id for run in known}:
        return failed(
            f"The log_loss of the marked run {quoted(marked.name)} is not explained by a model in it.",
            f"a run of “{EXPERIMENT}” with its model and the log_loss that this reaches",
            "Choose among the runs that have both.",
        )
    best = claims.best_runs(known, "log_loss", lower_is_better=True, margin=claims.BEST_MARGIN)
    own, lowest = marked.metrics["log_loss"], best[0].metrics["log_loss"]
    if marked.run_id in {run.run_id for run in best}:
        return passed(f"{quoted(marked.name)} has log_loss {own:.4f}; no run has a clearly lower one.")
    return failed(
        f"{quoted(marked.name)} has log_loss {own:.4f}; {quoted(best[0].name)} has {lowest:.4f}.",
        "the run with the lowest log_loss (lower is better)",
        "Order the runs by log_loss, ascending, and take the first.",
    )


def _completeness(evidence: Evidence, run: Run) -> tuple[int, int]:
    """How much of tasks 2 and 3 a run shows; of equals the later one counts."""
    asked = (
        questions.has_ended(evidence, run),
        questions.logs_metric(evidence, run, "accuracy", highest=1),
        questions.logs_metric(evidence, run, "log_loss"),
        questions.is_named(run),
        questions.is_tagged(run, "model_family"),
        questions.has_model(evidence, run),
    )
    return sum(outcome.status is Status.PASSED for outcome in asked), run.start_time


def _marked(evidence: Evidence) -> list[Run]:
    return [run for run in evidence.runs if run.tags.get("best", "").strip().lower() in ("true", "yes", "1")]
