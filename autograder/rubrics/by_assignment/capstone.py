"""What 10-capstone asks: variants of a new model, the best registered, served, promoted and taken back."""

from autograder.base.remember import remembered
from autograder.base.text import quoted, short
from autograder.data import load_wines
from autograder.evidence import (
    Evidence,
    ModelVersion,
    RegisteredModel,
    Run,
    find_registered,
    model_of_version,
    version_number,
)
from autograder.rubrics import claims, crosschecks, registered_models
from autograder.rubrics import served_calls as calls
from autograder.rubrics.claims import grapes as truth
from autograder.rubrics.claims import wines as features
from autograder.rubrics.evaluations import ended, is_evaluated, still_running
from autograder.rubrics.language import Outcome, Rubric, Status, failed, not_attempted, passed
from autograder.rubrics.variants import can_be_told_apart, runs_of, shortcomings, variants

EXPERIMENT = "wine-cultivars"
NAME = "WineClassifier"
ENDPOINT = "wine-endpoint"
#: So many variants are to be compared; with fewer than two there is nothing to compare.
FEWEST_VARIANTS = 3
FORMS = ("dataframe_split", "dataframe_records")
#: What may say which version is in use: an alias of a version, or a version's stage.
ALIAS, STAGE = "champion", "Production"


@remembered
def found_variants(evidence: Evidence) -> list[Run]:
    """Finished runs of the experiment whose models differ from each other."""
    return variants(evidence, runs_of(evidence, EXPERIMENT), truth(evidence))


@remembered
def the_model(evidence: Evidence) -> RegisteredModel:
    """The registered model that is meant: the one of that name, else the only one there is."""
    with_versions = [model for model in evidence.registered if model.versions]
    named = find_registered(evidence, NAME)
    if named is None and len(with_versions) == 1:
        return with_versions[0]
    return named or RegisteredModel(name=NAME, created=0, description="")


@remembered
def best_versions(evidence: Evidence) -> list[ModelVersion]:
    """The versions that are the model of the best run, or of one as good."""
    versions, runs = the_model(evidence).versions, runs_of(evidence, EXPERIMENT)
    return registered_models.of_the_best(evidence, versions, runs, truth(evidence))


@remembered
def chosen_versions(evidence: Evidence) -> list[ModelVersion]:
    """The versions that what comes after Task 2 is judged by: the best, else the one registered first.

    So who registers another model than the best loses that, and not what is done with it.
    """
    return best_versions(evidence) or list(the_model(evidence).versions[:1])


@remembered
def the_chosen(evidence: Evidence) -> ModelVersion:
    """The chosen version that came into use first; while none did, the first. There must be one."""
    chosen = {version.version: version for version in chosen_versions(evidence)}
    used = [chosen[number] for _, number in _in_use(evidence) if number in chosen]
    return used[0] if used else min(chosen.values(), key=lambda version: version.version)


rubric = Rubric(
    assignment="10-capstone",
    title="From a first run to a served model, and back",
    chapter="chapters/capstone",
    features=lambda seed, settings: load_wines(seed, settings).X_test,
)
compare = rubric.task("compare", "Compare variants", section="compare-variants")
register = rubric.task("register", "Register the best", section="register-the-best")
serve = rubric.task("serve", "Serve it and test it", section="serve-it-and-test-it")
practise = rubric.task("practise", "Promote it, and take a version back", section="promote-and-take-back")
note = rubric.task("note", "Write the approval note", section="write-the-approval-note")


@compare.criterion(f"“{EXPERIMENT}” has three variants or more, each with its model", 4, ("N1", "S7"))
def three_variants(evidence: Evidence) -> Outcome:
    if EXPERIMENT not in {experiment.name for experiment in evidence.experiments}:
        others = [found.name for found in evidence.experiments if found.name != "Default"]
        if not others:
            return not_attempted(
                "There is no experiment yet.", f'Call mlflow.set_experiment("{EXPERIMENT}").'
            )
        return failed(
            f"There is no experiment “{EXPERIMENT}”, only {claims.listed(others)}.",
            f"an experiment “{EXPERIMENT}”, spelled just like that",
            "Call mlflow.set_experiment with that name before the first run.",
        )
    found, runs = found_variants(evidence), runs_of(evidence, EXPERIMENT)
    if len(found) >= FEWEST_VARIANTS:
        return passed(f"There are {len(found)}: {claims.listed(run.name for run in found)}.")
    if not runs:
        return not_attempted(f"“{EXPERIMENT}” has no run.", "Train and log the first variant.")
    return failed(
        f"“{EXPERIMENT}” has {len(runs)} runs; {len(found)} of them count as variants.",
        f"{FEWEST_VARIANTS} finished runs, each with a model that loads again and is another",
        "Log each variant in a run of its own, with its model.",
    )


@compare.criterion("What they log is true of their models", 4, ("N1", "P1"))
def variants_true(evidence: Evidence) -> Outcome:
    found = found_variants(evidence)[:FEWEST_VARIANTS]
    if len(found) < 2:
        return _nothing_to_compare(found)
    wrong = [problem for run in found for problem in shortcomings(evidence, run, truth(evidence))]
    names = claims.listed(run.name for run in found)
    return wrong[0] if wrong else passed(f"{names} log what their models carry and reach.")


@compare.criterion("Each has a meaningful name of its own", 1, ("N1", "P2"))
def variants_named(evidence: Evidence) -> Outcome:
    found = found_variants(evidence)[:FEWEST_VARIANTS]
    return can_be_told_apart(found) if len(found) > 1 else _nothing_to_compare(found)


@register.criterion(
    f"A version of `{NAME}` is the model of the run with the lowest log-loss", 4, ("N2", "S3")
)
def best_registered(evidence: Evidence) -> Outcome:
    model = the_model(evidence)
    if not model.versions:
        return not_attempted(f"“{NAME}” has no version.", "Find the best run in code and register its model.")
    if model.name != NAME:
        return failed(
            f"The registry has only {quoted(model.name)}.",
            f"a registered model `{NAME}`, spelled just like that",
            "Register the model under that name.",
        )
    best = best_versions(evidence)
    if best:
        return passed(f"Version {best[0].version} is the model of the best run.")
    reference = f"models:/{model.name}/{model.versions[0].version}"
    runs = runs_of(evidence, EXPERIMENT)
    return crosschecks.version_is_of_the_best(evidence, reference, runs, "log_loss", truth(evidence))


@register.criterion("That version's description names the log-loss that it reaches", 3, ("N2", "P5"))
def described(evidence: Evidence) -> Outcome:
    chosen = chosen_versions(evidence)
    if not chosen:
        return _no_version()
    outcomes = [registered_models.names_its_loss(evidence, version, truth(evidence)) for version in chosen]
    return next((outcome for outcome in outcomes if outcome.status is Status.PASSED), outcomes[0])


@serve.criterion(f"The endpoint `{ENDPOINT}` served that version", 3, ("N3", "S5"))
def served(evidence: Evidence) -> Outcome:
    name, chosen = the_model(evidence).name, chosen_versions(evidence)
    changes = [change for change in evidence.endpoint_changes if change.what == "updated"]
    own = [change for change in changes if change.endpoint == ENDPOINT]
    if not own:
        others = sorted({change.endpoint for change in changes})
        return not_attempted(
            f"No endpoint `{ENDPOINT}` has served anything; there is {claims.listed(others) or 'none'}.",
            "Make it with the deployments client, and wait until it is ready.",
        )
    served = [entity for change in own for entity in change.entities]
    entities = {f"{short(entity.model_name, 40)}, version {entity.version}" for entity in served}
    wanted = [f"{short(name, 40)}, version {version.version}" for version in chosen]
    found = [one for one in wanted if one in entities]
    if found:
        return passed(f"“{ENDPOINT}” served {found[0]}.")
    return failed(
        f"“{ENDPOINT}” served {claims.listed(sorted(entities))}.",
        f"{wanted[0] if wanted else f'a version of {NAME}'}, the one that Task 2 is about",
        "Take the version's number from what register_model returned.",
    )


@serve.criterion("It was called over REST and answered as that model answers", 5, ("N3", "S6"))
def called(evidence: Evidence) -> Outcome:
    # which version, and behind which endpoint, is asked above
    name = the_model(evidence).name
    own = [call for call in evidence.requests if call.status == 200 and call.model_name == name]
    return calls.were_answered(evidence, own, FORMS, features(evidence), "wines")


@practise.criterion("A run evaluates the best version, and its log-loss is true", 3, ("N4", "S4"))
def evaluated(evidence: Evidence) -> Outcome:
    chosen = chosen_versions(evidence)
    if not chosen:
        return _no_version()
    outcomes = [is_evaluated(evidence, version, truth(evidence)) for version in chosen]
    return next((outcome for outcome in outcomes if outcome.status is Status.PASSED), outcomes[0])


@practise.criterion("It came into use after that", 2, ("N4", "P4"))
def promoted(evidence: Evidence) -> Outcome:
    if evidence.changes is None:
        return crosschecks.went_in_order(evidence, NAME, [], "")
    chosen = chosen_versions(evidence)
    if not chosen:
        return _no_version()
    for version in chosen:
        evaluated = ended(evidence, version, truth(evidence))
        came = [time for time, number in _in_use(evidence) if number == version.version]
        if evaluated and came and evaluated <= min(came):
            return passed(f"Version {version.version} was evaluated, and then came into use.")
    if not any(number == version.version for version in chosen for _, number in _in_use(evidence)):
        return not_attempted(
            f"No alias `{ALIAS}` and no stage {STAGE} has been on version {chosen[0].version}.",
            "Evaluate the version in a run, then put it into use.",
        )
    return still_running(evidence, chosen[0], truth(evidence)) or failed(
        f"Version {chosen[0].version} came into use before any run had evaluated it.",
        "first the evaluation, then the promotion",
        "Log the evaluation first; cells run from the top then do the steps in this order.",
    )


@practise.criterion("Another version, of another model, came into use", 2, ("N4", "C2"))
def replaced(evidence: Evidence) -> Outcome:
    if not chosen_versions(evidence):
        return _no_version()
    others = [number for _, number in _in_use(evidence) if not _is_the_chosen(evidence, number)]
    if others:
        return passed(f"Version {others[0]} was in use, too.")
    return not_attempted(
        f"No version with another model than version {the_chosen(evidence).version} was ever in use.",
        "Register the second best model under the same name, too, and put that version into use.",
    )


@practise.criterion(
    "Then the best version was taken back into use, and is there now", 3, ("N4", "S4"), needs=("replaced",)
)
def taken_back(evidence: Evidence) -> Outcome:
    order = [_is_the_chosen(evidence, number) for _, number in _in_use(evidence)]
    model = the_model(evidence)
    now = {model.aliases[ALIAS]} if ALIAS in model.aliases else set()
    now |= {version.version for version in model.versions if version.stage == STAGE}
    back = any(not before and any(order[n + 1 :]) for n, before in enumerate(order))
    if back and now and all(_is_the_chosen(evidence, number) for number in now):
        return passed(f"Version {min(now)} is in use again.")
    return failed(
        f"In use is {claims.listed(f'version {number}' for number in sorted(now)) or 'no version'}.",
        f"only version {the_chosen(evidence).version}, taken back after another was in use",
        "Rolling back is promoting the version from before once more; archive what you take away.",
    )


note.by_hand(
    "note-decides", "The note says which version is approved, for what, and on which figures", 2, ("N4", "P5")
)
note.by_hand("note-doubts", "It names what speaks against it, or where the model will be wrong", 2, ("N4",))
note.by_hand("note-way-back", "It says how somebody notices that it is bad, and what to do then", 2, ("N4",))


@remembered
def _is_the_chosen(evidence: Evidence, number: int) -> bool:
    """Whether a version is the chosen one, or the same model registered once more."""
    chosen = the_chosen(evidence)
    version = next((found for found in the_model(evidence).versions if found.version == number), None)
    own, other = (
        claims.scoring_of_model(model_of_version(evidence, one)) if one else None for one in (chosen, version)
    )
    same = (
        own is not None and other is not None and claims.hyperparameters(own) == claims.hyperparameters(other)
    )
    return number == chosen.version or same


@remembered
def _in_use(evidence: Evidence) -> list[tuple[int, int]]:
    """When (milliseconds) which version came into use, by alias or by stage, in the order of the history."""
    found, name = [], the_model(evidence).name
    for change in evidence.changes or ():
        if change.name != name:
            continue
        number = None
        if (change.kind, change.subject) == ("alias", ALIAS):
            number = version_number(change.after)
        elif (change.kind, change.after) == ("stage", STAGE):
            number = version_number(change.subject)
        if number is not None:
            found.append((change.time, number))
    return found


def _nothing_to_compare(found: list[Run]) -> Outcome:
    count = f"only {quoted(found[0].name)}" if found else "none"
    return not_attempted(
        f"Of the finished runs, {count} counts as a variant.",
        "Log variants, each with its model, in runs of their own.",
    )


def _no_version() -> Outcome:
    return not_attempted(f"“{NAME}” has no version.", "Register the best run's model first.")
