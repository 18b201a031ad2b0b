"""Questions about registered models and their versions that rubrics share."""

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from autograder.base.text import quoted, short
from autograder.evidence import (
    Evidence,
    ModelVersion,
    RegisteredModel,
    Run,
    find_model,
    model_of_version,
    version_number,
)
from autograder.rubrics import claims, crosschecks
from autograder.rubrics.language import Outcome, failed, not_attempted, passed

#: A description with fewer words tells nobody anything.
FEWEST_WORDS = 5
#: Letters of scripts that put no blanks between words: Thai to Khmer, kana, Chinese characters.
WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
#: So many of them count as a word.
LETTERS_A_WORD = 2
#: The stage in which MLflow keeps a version that was deleted, and shows it to nobody.
DELETED = "Deleted_Internal"
#: Figures this near to the right one could be meant as it; more than MOST_GUESSES are guesses.
NEAR, MOST_GUESSES = 0.1, 4


def is_made_from(evidence: Evidence, version: ModelVersion, run: Run) -> bool:
    """Whether a version is the model of this run."""
    model = model_of_version(evidence, version)
    return model is not None and model.model_id in run.model_ids


def of_the_best(
    evidence: Evidence, versions: Iterable[ModelVersion], runs: Iterable[Run], truth: pd.Series
) -> list[ModelVersion]:
    """The versions that are the model of that of ``runs`` with the lowest log-loss, or of one as good.

    Runs whose log-loss their own model does not explain do not count.
    """
    known = [run for run in runs if crosschecks.explained(evidence, run, "log_loss", truth)]
    best = claims.best_runs(known, "log_loss", lower_is_better=True, margin=claims.BEST_MARGIN)
    ids = {model_id for run in best for model_id in run.model_ids}
    models = [(version, model_of_version(evidence, version)) for version in versions]
    return [version for version, model in models if model and model.model_id in ids]


def losses(evidence: Evidence, model: RegisteredModel, truth: pd.Series) -> dict[int, float]:
    """The log-loss that each version's model reaches, recomputed; without those that cannot be asked."""
    found = {}
    for version in model.versions:
        scoring = claims.scoring_of_model(model_of_version(evidence, version))
        loss = claims.log_loss(scoring, truth) if scoring else None
        if loss is not None:
            found[version.version] = loss
    return found


def kinds(evidence: Evidence, model: RegisteredModel) -> dict[int, object]:
    """What tells the models of the versions apart, by the version's number; of those that could be asked."""
    scorings = {v.version: claims.scoring_of_model(model_of_version(evidence, v)) for v in model.versions}
    return {number: claims.hyperparameters(scoring) for number, scoring in scorings.items() if scoring}


def different(evidence: Evidence, model: RegisteredModel) -> list[ModelVersion]:
    """The versions whose models differ from that of another version."""
    known = kinds(evidence, model)
    if len(set(known.values())) < 2:
        return []
    return [version for version in model.versions if version.version in known]


def deleted_version(evidence: Evidence, name: str, after: int, runs: Iterable[Run]) -> ModelVersion | None:
    """The last version of ``name`` above the number ``after`` that was deleted, in the stage DELETED.

    What the history does not tell is that of the latest of ``runs``, which have a model each.
    """
    stages = [c for c in evidence.changes or () if (c.kind, c.name) == ("stage", name)]
    made = {change.subject: change.time for change in stages if change.before is None}
    deleted = [c.subject for c in stages if c.after == DELETED and c.subject in made]
    gone = [text for text in deleted if (number := version_number(text)) is not None and number > after]
    if not gone:
        return None
    run = max(runs, key=lambda run: run.start_time)
    return ModelVersion(
        version=int(gone[-1]),
        created=made[gone[-1]],
        stage=DELETED,
        description="",
        source="",
        run_id=run.run_id,
        model_id=run.model_ids[0],
        status="",
    )


def tells_something(text: str) -> bool:
    """Whether a description has enough words to say anything."""
    spaced = re.findall(r"\w+", WITHOUT_BLANKS.sub(" ", text))
    return len(spaced) + len(WITHOUT_BLANKS.findall(text)) / LETTERS_A_WORD >= FEWEST_WORDS


def is_a_sentence(text: str, where: str, call: str) -> Outcome:
    """Whether the description of ``where`` tells something; ``call`` is what writes one."""
    if tells_something(text):
        return passed(f"The description of {where} says {quoted(text, 120)}.")
    step = f"Call {call} with a sentence from which a colleague knows what this is."
    if not text.strip():
        return not_attempted(f"There is no description of {where}.", step)
    return failed(
        f"The description of {where} is {quoted(text)}.", f"a sentence of {FEWEST_WORDS} words or more", step
    )


def names_its_loss(evidence: Evidence, version: ModelVersion, truth: pd.Series) -> Outcome:
    """Whether the version's description names the log-loss that its model reaches."""
    scoring = claims.scoring_of_model(model_of_version(evidence, version))
    reached = claims.log_loss(scoring, truth) if scoring else None
    if reached is None:
        return failed(
            f"The model of version {version.version} cannot be asked for probabilities.",
            "a version whose model loads again and gives probabilities",
            "Register the model of a candidate.",
        )
    written = [
        (float(f"{whole}.{digits}"), len(digits))
        for whole, digits in re.findall(r"(\d{1,10})[.,](\d{1,20})", version.description)
    ]
    figures = [figure for figure, _ in written]
    near = [figure for figure in figures if abs(figure - reached) <= NEAR]
    if len(near) > MOST_GUESSES:
        return failed(
            f"The description of version {version.version} names {len(near)} figures of which each could be "
            "meant.",
            "one log-loss, that of this version",
            "Name the log_loss of its run alone; what else there is to say belongs into the run.",
        )
    if any(claims.agrees(figure, reached, digits) for figure, digits in written):
        return passed(f"Recomputed, the log-loss of version {version.version} is {reached:.4f}, as it says.")
    if not figures:
        return not_attempted(
            f"The description of version {version.version} names no figure.",
            "Name the log_loss of its run in it, with three digits after the point.",
        )
    return failed(
        f"The description of version {version.version} names "
        f"{claims.listed(f'{figure:g}' for figure in figures)}; its model reaches {reached:.4f}.",
        "the log-loss that this version's model reaches on the test part",
        "Take the figure from the run in code, with an f-string; figures of other data are others.",
    )


def has_tag(tags: Mapping[str, str], name: str, value: str, where: str, call: str) -> Outcome:
    """Whether ``where`` carries a tag with this value, in any case; ``call`` is the client's that sets it."""
    if tags.get(name, "").strip().lower() == value:
        return passed(f"The tag {name} of {where} is {quoted(tags[name])}.")
    step = f"Call client.{call} with the tag's name and its value."
    if name in tags:
        return failed(f"The tag {name} of {where} is {quoted(tags[name])}.", f"the value `{value}`", step)
    own = f"only the tags {claims.listed(tags)}" if tags else "no tag"
    return not_attempted(f"On {where} there is {own}.", step)


def was_loaded(evidence: Evidence, way: str, example: str, pattern: str, truth: pd.Series) -> Outcome:
    """Whether a run says what was loaded, and the accuracy that this very model reaches.

    The address is the run's parameter ``way``, ``models:/NAME`` and then ``pattern`` (a regular
    expression); the accuracy is its metric ``accuracy_`` and ``way``.
    """
    runs = [run for run in evidence.runs if way in run.params]
    if not runs:
        return not_attempted(
            f"No run has a parameter `{way}`.",
            f"Log the address that you load, such as {example}, and the accuracy that you compute.",
        )
    run = max(runs, key=lambda run: run.start_time)
    address, metric = run.params[way].strip(), f"accuracy_{way}"
    model = find_model(evidence, address)
    scoring = claims.scoring_of_model(model)
    if not re.fullmatch(f"models:/[^/@]+{pattern}", address) or scoring is None:
        return failed(
            f"The run {quoted(run.name)} says {way} = {quoted(address)}, "
            f"{'where no model is' if model is None else 'which is another way to a model'}.",
            f"an address like {example}",
            "Log the very address that you pass to load_model.",
        )
    reached = claims.accuracy(scoring, truth)
    logged = run.metrics.get(metric)
    if logged is None:
        return failed(
            f"The run {quoted(run.name)} has no metric `{metric}`.",
            f"the accuracy of the model at {short(address)}, as `{metric}`",
            "Predict the test part with the loaded model and log the accuracy in the same run.",
        )
    if reached is None or not claims.agrees(logged, reached):
        return failed(
            f"The run {quoted(run.name)} says {metric} = {logged:.4f}; the model at {short(address)} reaches "
            f"{'nothing that can be told' if reached is None else f'{reached:.4f}'} on the test part.",
            "the accuracy of the model at this address",
            "Load the model from that address, predict X_test with it, and log what accuracy_score gives.",
        )
    return passed(f"The model at {short(address)} reaches {reached:.4f}, as {quoted(run.name)} says.")
