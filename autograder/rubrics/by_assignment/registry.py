"""What 04-registry asks: the best candidate registered, described, a second version, and each loaded back."""

from autograder.base.remember import remembered
from autograder.base.text import quoted
from autograder.data import load_flowers
from autograder.evidence import (
    Evidence,
    ModelVersion,
    RegisteredModel,
    Run,
    find_registered,
    model_of_version,
    runs_of_model,
)
from autograder.rubrics import claims, crosschecks, registered_models
from autograder.rubrics.claims import species as truth
from autograder.rubrics.language import Outcome, Rubric, failed, not_attempted, passed
from autograder.rubrics.variants import shortcomings
from autograder.workspace.candidates import ROLE

NAME = "IrisRandomForest"
ALIAS = "best"


@remembered
def the_model(evidence: Evidence) -> RegisteredModel | None:
    """The registered model that is meant: the one of that name, else the only one there is."""
    with_versions = [model for model in evidence.registered if model.versions]
    named = find_registered(evidence, NAME)
    if named and (named.versions or len(with_versions) != 1):
        return named
    return with_versions[0] if len(with_versions) == 1 else None


@remembered
def candidates(evidence: Evidence) -> list[Run]:
    """The runs that the exercise itself logs."""
    return [run for run in evidence.runs if ROLE.items() <= run.tags.items()]


@remembered
def the_first_version(evidence: Evidence) -> ModelVersion | None:
    """The version that Task 1 makes: of a best candidate's model, else the first there is."""
    model = the_model(evidence)
    if model is None or not model.versions:
        return None
    of_best = registered_models.of_the_best(evidence, model.versions, candidates(evidence), truth(evidence))
    # work that was done counts, also where the same model was registered again
    return max(of_best, key=lambda version: (_shown(version), version.version), default=model.versions[0])


@remembered
def the_other_version(evidence: Evidence) -> ModelVersion | None:
    """The version that Task 3 makes: another model than some version's, and none that a candidate logged.

    Of several the latest whose run says the truth, else the latest.
    """
    model, given = the_model(evidence), candidates(evidence)
    own = [
        version
        for version in (registered_models.different(evidence, model) if model else ())
        if not any(registered_models.is_made_from(evidence, version, run) for run in given)
    ]
    return max(own, key=lambda version: (not _untrue(evidence, version), version.version), default=None)


@remembered
def _untrue(evidence: Evidence, version: ModelVersion) -> list[Outcome]:
    """What the run of a version does not say, or says wrongly."""
    model = model_of_version(evidence, version)
    if runs := runs_of_model(evidence, model) if model else []:
        return shortcomings(evidence, runs[0], truth(evidence), metrics=("log_loss",))
    found = f"The model of version {version.version} was logged outside any run."
    step = "Call log_model inside `with mlflow.start_run(...)`, and log both there, too."
    return [failed(found, "a run that logs the model, its parameters and its log_loss", step)]


def _shown(version: ModelVersion) -> int:
    return ("validation_status" in version.tags) + registered_models.tells_something(version.description)


rubric = Rubric(
    assignment="04-registry",
    title="Register your best model",
    chapter="chapters/registry",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
register = rubric.task("register", "Register the best candidate", section="register-the-best-run")
describe = rubric.task("describe", "Say what it is", section="say-what-it-is")
second = rubric.task("second-version", "Add a second version", section="a-second-version")
load_back = rubric.task("load-back", "Load it back in three ways", section="load-it-back")


@register.criterion(f"There is a registered model `{NAME}` with a version", 2, ("S3", "C2"))
def registered(evidence: Evidence) -> Outcome:
    model = find_registered(evidence, NAME)
    if model and model.versions:
        return passed(f"“{NAME}” has version {', '.join(str(v.version) for v in model.versions[:20])}.")
    if not evidence.registered:
        return not_attempted("The registry is empty.", "Register the model of the best candidate.")
    if model:
        return failed(
            f"“{NAME}” has no version: register_model made the name and then found no model.",
            "a version made from a candidate's model",
            "Pass register_model the address of a model that is there, with the run's id filled in by code.",
        )
    return failed(
        f"The registry has only {claims.listed(other.name for other in evidence.registered)}.",
        f"a registered model `{NAME}`, spelled just like that",
        "Register the model under that name.",
    )


@register.criterion("A version is the model of the best candidate", 4, ("S3", "S7"))
def best_registered(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None or not model.versions:
        return _nothing_registered()
    for version in registered_models.of_the_best(
        evidence, model.versions, candidates(evidence), truth(evidence)
    ):
        made = (run for run in candidates(evidence) if registered_models.is_made_from(evidence, version, run))
        run = next(made)
        return passed(f"Version {version.version} is the model of {quoted(run.name)}, the best candidate.")
    reference = f"models:/{model.name}/{model.versions[0].version}"
    return crosschecks.version_is_of_the_best(
        evidence, reference, candidates(evidence), "log_loss", truth(evidence)
    )


@describe.criterion("The registered model has a description", 2, ("P5", "C2"))
def model_described(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _nothing_registered()
    return registered_models.is_a_sentence(
        model.description, f"the registered model {quoted(model.name)}", "client.update_registered_model"
    )


@describe.criterion("The first version has a description", 1, ("P5", "C2"))
def version_described(evidence: Evidence) -> Outcome:
    version = the_first_version(evidence)
    if version is None:
        return _nothing_registered()
    return registered_models.is_a_sentence(
        version.description, f"version {version.version}", "client.update_model_version"
    )


@describe.criterion("That description names the log-loss which the model reaches", 3, ("P5",))
def figure_true(evidence: Evidence) -> Outcome:
    version = the_first_version(evidence)
    if version is None:
        return _nothing_registered()
    return registered_models.names_its_loss(evidence, version, truth(evidence))


@describe.criterion("The registered model carries the tag `task` = `classification`", 1, ("C2",))
def model_tagged(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _nothing_registered()
    return registered_models.has_tag(
        model.tags, "task", "classification", "the registered model", "set_registered_model_tag"
    )


@describe.criterion("The first version carries the tag `validation_status` = `pending`", 1, ("C2",))
def version_tagged(evidence: Evidence) -> Outcome:
    version = the_first_version(evidence)
    if version is None:
        return _nothing_registered()
    where = f"version {version.version}"
    return registered_models.has_tag(
        version.tags, "validation_status", "pending", where, "set_model_version_tag"
    )


@second.criterion("The registered model has a second version", 1, ("C2", "S3"))
def second_version(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _nothing_registered()
    if len(model.versions) > 1:
        return passed(f"{quoted(model.name)} has {len(model.versions)} versions.")
    others = [other.name for other in evidence.registered if other.name != model.name and other.versions]
    if others:
        return failed(
            f"{quoted(model.name)} has one version; the other is registered as {claims.listed(others)}.",
            f"a second version of {quoted(model.name)}",
            "Register the second model under the very same name.",
        )
    return not_attempted(
        f"{quoted(model.name)} has one version.", "Train another model and register it, too."
    )


@second.criterion("A version is another model, which you trained", 2, ("C2", "S7"), needs=("second-version",))
def different_models(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    assert model is not None
    kinds = registered_models.kinds(evidence, model)
    other = the_other_version(evidence)
    if other is not None:
        return passed(f"Version {other.version} differs from another in its hyperparameters.")
    if not kinds:
        return failed(
            f"None of the {len(model.versions)} versions has a model that could be loaded and asked.",
            "two versions whose models load again",
            "Register models by the model_uri that log_model returns.",
        )
    if len(set(kinds.values())) > 1:
        return failed(
            f"The {len(model.versions)} versions of {quoted(model.name)} are all models of the candidates.",
            "a version whose model you trained and logged yourself",
            "Train another model, log it in a run of its own, and register the one that you just logged.",
        )
    return failed(
        f"The versions of {quoted(model.name)} that could be loaded are all the same model.",
        "a second version with other hyperparameters, or of another kind",
        "Train another model, log it, and register the one that you have just logged.",
    )


@second.criterion(
    "Its run logs its parameters and its log-loss, and they are true",
    1,
    ("P1", "S7"),
    needs=("different-models",),
)
def second_logged(evidence: Evidence) -> Outcome:
    version = the_other_version(evidence)
    assert version is not None
    wrong = _untrue(evidence, version)
    return wrong[0] if wrong else passed(f"The run of version {version.version} says what its model is.")


@second.criterion("The second version has a description, too", 1, ("P5",), needs=("second-version",))
def second_described(evidence: Evidence) -> Outcome:
    model, first = the_model(evidence), the_first_version(evidence)
    assert model and first
    others = [version for version in model.versions if version.version != first.version]
    told = [version for version in others if registered_models.tells_something(version.description)]
    version = told[-1] if told else others[-1]
    return registered_models.is_a_sentence(
        version.description, f"version {version.version}", "client.update_model_version"
    )


@load_back.criterion(f"The alias `{ALIAS}` is on the version with the lowest log-loss", 2, ("C2",))
def alias_on_best(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if model is None:
        return _nothing_registered()
    if ALIAS not in model.aliases:
        others = f"only {claims.listed(model.aliases)}" if model.aliases else "no alias"
        return not_attempted(
            f"{quoted(model.name)} has {others}.",
            f"Set the alias `{ALIAS}` on the version with the lower log_loss.",
        )
    chosen, losses = model.aliases[ALIAS], registered_models.losses(evidence, model, truth(evidence))
    if chosen not in losses:
        return failed(
            f"The alias `{ALIAS}` is on version {chosen}, whose model could not be asked.",
            "a version whose model loads again and gives probabilities",
            "Register a logged model and move the alias to its version.",
        )
    best = min(losses, key=lambda number: losses[number])
    if losses[chosen] <= losses[best] + claims.BEST_MARGIN:
        return passed(f"`{ALIAS}` is on version {chosen}, whose model reaches {losses[chosen]:.4f}.")
    return failed(
        f"`{ALIAS}` is on version {chosen}, whose model reaches a log-loss of {losses[chosen]:.4f}; "
        f"version {best} reaches {losses[best]:.4f}.",
        "the version with the lowest log-loss (lower is better)",
        "Compare the log_loss of the versions' runs in code, and set the alias on the lower one.",
    )


@load_back.criterion("A run names a version by its number, and its model's accuracy", 1, ("C2",))
def loaded_by_version(evidence: Evidence) -> Outcome:
    return registered_models.was_loaded(evidence, "by_version", f"models:/{NAME}/1", r"/\d+", truth(evidence))


@load_back.criterion("A run names a version by the alias, and its model's accuracy", 2, ("C2",))
def loaded_by_alias(evidence: Evidence) -> Outcome:
    return registered_models.was_loaded(
        evidence, "by_alias", f"models:/{NAME}@{ALIAS}", f"@{ALIAS}", truth(evidence)
    )


@load_back.criterion("A run names the latest version, and its model's accuracy", 1, ("C2",))
def loaded_as_latest(evidence: Evidence) -> Outcome:
    return registered_models.was_loaded(
        evidence, "by_latest", f"models:/{NAME}/latest", "/latest", truth(evidence)
    )


def _nothing_registered() -> Outcome:
    return not_attempted("There is no registered model to look at.", "Register the best candidate first.")
