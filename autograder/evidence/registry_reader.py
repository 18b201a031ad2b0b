"""Read the model registry into facts; and page by page, as MLflow's searches answer."""

from collections.abc import Callable
from typing import Any

from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowRegisteredModel
from mlflow.entities.model_registry.registered_model_search import RegisteredModelSearch
from mlflow.tracking import MlflowClient

from autograder.databricks.database import StoreError
from autograder.evidence.facts import ModelVersion, RegisteredModel

#: More than this of one kind is not a beginner's exercise.
MOST = 1_000


def all_pages(search: Callable[[str | None], Any]) -> list[Any]:
    """The items of all pages. ``search`` takes a page's token and gives an MLflow PagedList.

    Raises StoreError when there are more than MOST.
    """
    items: list[Any] = []
    token = None
    while True:
        page = search(token)
        items.extend(page)
        token = page.token
        if len(items) > MOST:
            raise StoreError(
                f"The store has more than {MOST:,} of one kind; expected an exercise's few. "
                "Start again in an empty folder."
            )
        if not token:
            return items


def read_registry(client: MlflowClient) -> tuple[RegisteredModel, ...]:
    """All registered models with all their versions, in the order of their names."""
    models = all_pages(lambda token: client.search_registered_models(page_token=token))
    return tuple(_model(client, model) for model in sorted(models, key=lambda model: model.name))


def _model(client: MlflowClient, model: MlflowRegisteredModel) -> RegisteredModel:
    quoted = model.name.replace("'", "''")
    versions = all_pages(lambda token: client.search_model_versions(f"name = '{quoted}'", page_token=token))
    if isinstance(model, RegisteredModelSearch):  # Unity Catalog finds models without tags and aliases
        model = client.get_registered_model(model.name)
        versions = [client.get_model_version(version.name, version.version) for version in versions]
    return RegisteredModel(
        name=model.name,
        created=model.creation_timestamp,
        description=model.description or "",
        tags=dict(model.tags),
        aliases={alias: int(version) for alias, version in model.aliases.items()},
        versions=tuple(sorted((_version(version) for version in versions), key=lambda v: v.version)),
    )


def _version(version: MlflowModelVersion) -> ModelVersion:
    source = version.source or ""
    # MLflow leaves .model_id empty on versions it finds by searching; the source names it
    named = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    return ModelVersion(
        version=int(version.version),
        created=version.creation_timestamp,
        stage=version.current_stage or "None",
        description=version.description or "",
        source=source,
        run_id=version.run_id or None,
        model_id=version.model_id or named,
        status=version.status,
        tags=dict(version.tags),
    )
