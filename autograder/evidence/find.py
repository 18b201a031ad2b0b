"""Find the logged model behind whatever a student, a version or an endpoint calls it."""

from collections import defaultdict

from autograder.base.remember import remembered
from autograder.evidence.facts import Evidence, LoggedModel, Run
from autograder.evidence.registry_facts import ModelVersion, RegisteredModel

#: No number of a version has more digits.
LONGEST_NUMBER = 9


def version_number(text: str | None) -> int | None:
    """The number of a version that a text names, or None when it is none: only digits, and only a few."""
    fits = text is not None and text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER
    return int(text) if fits else None  # type: ignore[arg-type]


def find_model(evidence: Evidence, reference: str) -> LoggedModel | None:
    """The logged model behind a reference, or None when there is none.

    Understands ``models:/m-…`` and a bare ``m-…``, ``runs:/RUN_ID/name``, ``models:/NAME/3``,
    ``models:/NAME@alias``, ``models:/NAME/Stage`` (the latest version in it) and
    ``models:/NAME/latest``; a run's model of MLflow 2 is found by its path inside the run.
    """
    if reference.startswith("runs:/"):
        run_id, _, path = reference.removeprefix("runs:/").partition("/")
        return _of_run(evidence, run_id, path)
    named = reference.removeprefix("models:/")
    if named.startswith("m-") and "/" not in named:
        return _models(evidence).get(named)
    version = find_version(evidence, reference)
    return model_of_version(evidence, version) if version else None


def find_version(evidence: Evidence, reference: str) -> ModelVersion | None:
    """The version that ``models:/NAME/3``, ``models:/NAME@alias`` or ``models:/NAME/Stage`` names."""
    named = reference.removeprefix("models:/")
    if "@" in named:
        name, _, alias = named.rpartition("@")
        model = find_registered(evidence, name)
        wanted = model.aliases.get(alias) if model else None
        return _version(model, wanted)
    name, _, which = named.rpartition("/")
    model = find_registered(evidence, name)
    if model is None:
        return None
    if (number := version_number(which)) is not None:
        return _version(model, number)
    in_stage = [v for v in model.versions if which == "latest" or v.stage.lower() == which.lower()]
    return in_stage[-1] if in_stage else None


def find_registered(evidence: Evidence, name: str) -> RegisteredModel | None:
    """The registered model called ``name``."""
    return next((model for model in evidence.registered if model.name == name), None)


@remembered
def model_of_version(evidence: Evidence, version: ModelVersion) -> LoggedModel | None:
    """The logged model that a version was made from."""
    known = _models(evidence)
    if version.model_id:
        return known.get(version.model_id)
    if version.source.startswith("runs:/"):
        return find_model(evidence, version.source)
    # a plain path: a logged model's files are in a folder that bears its id
    return next((known[part] for part in version.source.split("/") if part in known), None)


def models_of_run(evidence: Evidence, run: Run) -> list[LoggedModel]:
    """The logged models that are a run's own, in the order of the evidence."""
    known = _models(evidence)
    own = [known[model_id] for model_id in dict.fromkeys(run.model_ids) if model_id in known]
    return sorted(own, key=lambda model: _positions(evidence)[model.model_id])


def runs_of_model(evidence: Evidence, model: LoggedModel) -> list[Run]:
    """The runs whose own a logged model is, in the order of the evidence."""
    return _owners(evidence).get(model.model_id, [])


@remembered
def _models(evidence: Evidence) -> dict[str, LoggedModel]:
    """The logged models by their ids; of several with one id the first."""
    return {model.model_id: model for model in reversed(evidence.models)}


@remembered
def _positions(evidence: Evidence) -> dict[str, int]:
    return {model.model_id: number for number, model in enumerate(evidence.models)}


@remembered
def _owners(evidence: Evidence) -> dict[str, list[Run]]:
    found = defaultdict(list)
    for run in evidence.runs:
        for model_id in dict.fromkeys(run.model_ids):
            found[model_id].append(run)
    return found


@remembered
def _runs(evidence: Evidence) -> dict[str, Run]:
    return {run.run_id: run for run in reversed(evidence.runs)}


def _of_run(evidence: Evidence, run_id: str, path: str) -> LoggedModel | None:
    run = _runs(evidence).get(run_id)
    if run is None:
        return None
    own = [model for model in models_of_run(evidence, run) if model.name == path]
    return max(own, key=lambda model: model.created, default=None)


def _version(model: RegisteredModel | None, number: int | None) -> ModelVersion | None:
    if model is None or number is None:
        return None
    return next((version for version in model.versions if version.version == number), None)
