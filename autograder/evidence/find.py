"""Find the logged model behind whatever a student, a version or an endpoint calls it."""

from autograder.evidence.facts import Evidence, LoggedModel, ModelVersion, RegisteredModel

#: No number of a version has more digits.
LONGEST_NUMBER = 9


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
        return next((model for model in evidence.models if model.model_id == named), None)
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
    if which.isdecimal() and len(which) <= LONGEST_NUMBER:
        return _version(model, int(which))
    in_stage = [v for v in model.versions if which == "latest" or v.stage.lower() == which.lower()]
    return in_stage[-1] if in_stage else None


def find_registered(evidence: Evidence, name: str) -> RegisteredModel | None:
    """The registered model called ``name``."""
    return next((model for model in evidence.registered if model.name == name), None)


def model_of_version(evidence: Evidence, version: ModelVersion) -> LoggedModel | None:
    """The logged model that a version was made from."""
    if version.model_id:
        return next((model for model in evidence.models if model.model_id == version.model_id), None)
    if version.source.startswith("runs:/"):
        return find_model(evidence, version.source)
    # a plain path: a logged model's files are in a folder that bears its id
    parts = version.source.split("/")
    return next((model for model in evidence.models if model.model_id in parts), None)


def _of_run(evidence: Evidence, run_id: str, path: str) -> LoggedModel | None:
    run = next((run for run in evidence.runs if run.run_id == run_id), None)
    if run is None:
        return None
    own = [model for model in evidence.models if model.model_id in run.model_ids and model.name == path]
    return max(own, key=lambda model: model.created, default=None)


def _version(model: RegisteredModel | None, number: int | None) -> ModelVersion | None:
    if model is None or number is None:
        return None
    return next((version for version in model.versions if version.version == number), None)
