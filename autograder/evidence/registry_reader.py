"""Read the model registry into facts; and page by page, as MLflow's searches answer."""

from collections.abc import Callable
from typing import Any

from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowRegisteredModel
from mlflow.entities.model_registry.registered_model_search import RegisteredModelSearch
from mlflow.tracking import MlflowClient

from autograder.base.text import plain
from autograder.evidence.bounds import MOST_REGISTERED, MOST_VERSIONS
from autograder.evidence.find import version_number
from autograder.evidence.registry_facts import ModelVersion, RegisteredModel


def all_pages(search: Callable[[str | None], Any], most: int, what: str, findings: list[str]) -> list[Any]:
    """The items of all pages, ``most`` at most. ``search`` takes a page's token and gives a PagedList.

    When there are more, that is one of the ``findings``, which calls the items ``what``.
    """
    items: list[Any] = []
    token = None
    while len(items) <= most:
        page = search(token)
        items.extend(page)
        token = page.token
        if not token:
            break
    if len(items) > most:
        findings.append(
            f"There are more than {most:,} {what}; expected an exercise's few. The rest is not read."
        )
    return items[:most]


def read_registry(client: MlflowClient, findings: list[str]) -> tuple[RegisteredModel, ...]:
    """The registered models with their versions, in the order of their names."""
    models = all_pages(
        lambda token: client.search_registered_models(page_token=token),
        MOST_REGISTERED,
        "registered models",
        findings,
    )
    return tuple(_model(client, model, findings) for model in sorted(models, key=lambda model: model.name))


def _model(client: MlflowClient, model: MlflowRegisteredModel, findings: list[str]) -> RegisteredModel:
    quoted = model.name.replace("'", "''")
    versions = all_pages(
        lambda token: client.search_model_versions(f"name = '{quoted}'", page_token=token),
        MOST_VERSIONS,
        f"versions of “{plain(model.name[:80])}”",
        findings,
    )
    if isinstance(model, RegisteredModelSearch):  # Unity Catalog finds models without tags and aliases
        model = client.get_registered_model(model.name)
        versions = [client.get_model_version(version.name, version.version) for version in versions]
    return RegisteredModel(
        name=model.name,
        created=model.creation_timestamp,
        description=model.description or "",
        tags=dict(model.tags),
        aliases={
            alias: number
            for alias, version in model.aliases.items()
            if (number := version_number(str(version))) is not None
        },
        versions=tuple(sorted(filter(None, map(_version, versions)), key=lambda v: v.version)),
    )


def _version(version: MlflowModelVersion) -> ModelVersion | None:
    """A version; None when its number is none, which MLflow never writes."""
    number = version_number(str(version.version))
    if number is None:
        return None
    source = version.source or ""
    # MLflow leaves .model_id empty on versions it finds by searching; the source names it
    named = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    return ModelVersion(
        version=number,
        created=version.creation_timestamp,
        stage=version.current_stage or "None",
        description=version.description or "",
        source=source,
        run_id=version.run_id or None,
        model_id=version.model_id or named,
        status=version.status,
        tags=dict(version.tags),
    )
