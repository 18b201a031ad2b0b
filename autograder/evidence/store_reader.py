"""Read an MLflow store, by its tracking URI, into facts."""

import math
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow.entities import Experiment as MlflowExperiment
from mlflow.entities import LoggedModel as MlflowLoggedModel
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils import name_utils

from autograder.base.addresses import is_databricks, without_password
from autograder.base.names import PUBLIC_SEED, SEED_TAG
from autograder.base.paths import path_of_database, uri_of_database
from autograder.base.text import one_line, plain, short
from autograder.databricks.database import StoreError
from autograder.evidence.bounds import (
    MOST_EXPERIMENTS,
    MOST_METRICS,
    MOST_MODELS,
    MOST_POINTS,
    MOST_RUNS,
    summed,
)
from autograder.evidence.exchange import limited
from autograder.evidence.facts import DatasetInput, Evidence, Experiment, LoggedModel, MetricPoint, Run
from autograder.evidence.files import describe, files_in
from autograder.evidence.models import read_model_file
from autograder.evidence.places import LocalPlace, Place, RemotePlace
from autograder.evidence.private_copy import private_copy, read_changes
from autograder.evidence.registry_reader import all_pages, read_registry
from autograder.evidence.workspace_facts import WorkspaceFacts
from autograder.evidence.workspace_reader import read_workspace

#: Histories of metrics are asked for one by one: those of the latest runs, no more than this many.
MOST_HISTORIES = 10_000
#: Digits of a seed, at most.
LONGEST_SEED = 10
#: Models of MLflow 2 that are looked for in a run, at most.
MOST_OLDER = 20
#: What is said of a Databricks workspace; reading one was never run against a real one.
NOT_READ = (
    "Serving endpoints, calls and tokens of a Databricks workspace are not read, and those of the local "
    "workspace do not count for work that is there."
)


def read_store(
    tracking_uri: str, seed: int | None = None, downloads: Path | None = None, workspace: Path | None = None
) -> Evidence:
    """Everything in the store at ``tracking_uri``: experiments, runs, logged models, the registry; and
    in the workspace in the folder ``workspace``, by default that of a SQLite store.

    A SQLite store is read from a private copy, and its files only where they lie in its folder. The
    files of a tracking server are downloaded into ``downloads``, and not read without it. ``seed``
    overrides the one recorded in the store. For work on Databricks, which has endpoints of its own, only
    the workspace's tables are read, and a finding says so. Raises StoreError, in one line, when the
    store cannot be read; what cannot be read of the workspace is a finding. Makes no store where there
    is none.
    """
    shown = plain(without_password(tracking_uri))
    findings: list[str] = []
    with ExitStack() as stack:
        place: Place
        changes = None
        if tracking_uri.startswith("sqlite:"):
            database = path_of_database(tracking_uri)
            copy = stack.enter_context(private_copy(database))
            changes = read_changes(copy, findings)
            client = MlflowClient(uri_of_database(copy), uri_of_database(copy))
            place = LocalPlace(database.parent)
            workspace = workspace or database.parent
        else:
            client = MlflowClient(tracking_uri, registry_uri(tracking_uri))
            place = RemotePlace(tracking_uri, downloads)
        try:
            facts = replace(_read(client, place, seed, findings), changes=changes)
        except (MlflowException, OSError, ValueError, TypeError, OverflowError) as error:
            if getattr(error, "error_code", None) == "UNAUTHENTICATED":
                raise StoreError(
                    f"The tracking server at {shown} does not let you in: it wants a user name "
                    "and a password, and those that it got are not right, or there were none. Set the "
                    "environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
                ) from error
            raise StoreError(
                f"The store at {shown} could not be read: {one_line(error)}. Expected a "
                "store of this MLflow that answers; check the address, and that the server runs."
            ) from error
    if is_databricks(tracking_uri):
        facts = replace(facts, findings=(*facts.findings, NOT_READ))
    return limited(_with_workspace(facts, workspace, is_databricks(tracking_uri)) if workspace else facts)


def _with_workspace(facts: Evidence, folder: Path, tables_only: bool) -> Evidence:
    found = read_workspace(folder)
    if tables_only:
        found = WorkspaceFacts(tables=found.tables, findings=found.findings)
    return replace(
        facts,
        endpoints=found.endpoints,
        endpoint_changes=found.endpoint_changes,
        requests=found.requests,
        tables=found.tables,
        tokens=found.tokens,
        findings=(*facts.findings, *found.findings),
    )


def registry_uri(tracking_uri: str) -> str:
    """The registry beside a tracking store: the same store, and for Databricks Unity Catalog, as in MLflow
    (``mlflow.tracking._model_registry.utils``).
    """
    scheme, _, rest = tracking_uri.partition("://")
    if scheme != "databricks":
        return tracking_uri
    return f"databricks-uc://{rest}" if rest else "databricks-uc"


def is_generated_name(name: str) -> bool:
    """Whether MLflow makes up such run names: predicate-noun-number, from its own two word lists."""
    words = name.split("-")
    return (
        len(words) == 3
        and words[0] in name_utils._GENERATOR_PREDICATES
        and words[1] in name_utils._GENERATOR_NOUNS
        and words[2].isdigit()
    )


def _read(client: MlflowClient, place: Place, seed: int | None, findings: list[str]) -> Evidence:
    experiments: list[MlflowExperiment] = all_pages(
        lambda token: client.search_experiments(ViewType.ACTIVE_ONLY, page_token=token),
        MOST_EXPERIMENTS,
        "experiments",
        findings,
    )
    ids = [experiment.experiment_id for experiment in experiments]
    found: list[MlflowRun] = []
    models: list[MlflowLoggedModel] = []
    if ids:  # both searches give the newest first
        found = all_pages(
            lambda token: client.search_runs(ids, page_token=token), MOST_RUNS, "runs", findings
        )
        models = all_pages(
            lambda token: client.search_logged_models(ids, page_token=token),
            MOST_MODELS,
            "logged models",
            findings,
        )
    facts = [_model(model, place) for model in models]
    own = defaultdict(list)
    for model in facts:
        own[model.run_id].append(model.model_id)
    runs: list[Run] = []
    histories = MOST_HISTORIES
    for run in sorted(found, key=lambda run: run.info.start_time, reverse=True):
        folder = place.folder(run.info.artifact_uri, run_id=run.info.run_id)
        older = _older_models(run, folder)
        facts += older
        metrics = list(run.data.metrics)[: min(histories, MOST_METRICS)]
        histories -= len(metrics)
        history = {name: _history(client, run.info.run_id, name) for name in metrics}
        ids_of_models = [*own[run.info.run_id], *(model.model_id for model in older)]
        runs.append(_run(run, ids_of_models, history, folder))
    recorded = [e.tags[SEED_TAG] for e in experiments if SEED_TAG in e.tags]
    if seed is None:
        usable = recorded and recorded[0].isdecimal() and len(recorded[0]) <= LONGEST_SEED
        seed = int(recorded[0]) if usable else PUBLIC_SEED
    not_numbers = [
        f"The run “{short(run.name)}” logs “{short(name)}”, which is not a number."
        for run in reversed(runs)
        for name in run.not_numbers
    ]
    return Evidence(
        seed=seed,
        experiments=tuple(
            Experiment(e.experiment_id, e.name, dict(e.tags))
            for e in sorted(experiments, key=lambda e: int(e.experiment_id))
        ),
        runs=tuple(runs[::-1]),
        models=tuple(sorted(facts, key=lambda model: model.created)),
        registered=read_registry(client, findings),
        findings=tuple([*summed(place.findings), *summed(not_numbers), *findings]),
    )


def _run(
    run: MlflowRun, own: list[str], history: dict[str, tuple[MetricPoint, ...]], folder: Path | None
) -> Run:
    run_id = run.info.run_id
    linked = [output.model_id for output in run.outputs.model_outputs] if run.outputs else []
    return Run(
        run_id=run_id,
        name=run.info.run_name or "",
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        start_time=run.info.start_time,
        end_time=run.info.end_time,
        name_generated=is_generated_name(run.info.run_name or ""),
        params=dict(run.data.params),
        metrics={name: value for name, value in run.data.metrics.items() if math.isfinite(value)},
        not_numbers=tuple(n for n, value in run.data.metrics.items() if not math.isfinite(value)),
        history=history,
        tags=dict(run.data.tags),
        model_ids=tuple(dict.fromkeys([*linked, *own])),
        parent_run_id=run.data.tags.get("mlflow.parentRunId"),
        datasets=_datasets(run),
        artifacts=describe(folder) if folder else (),
    )


def _history(client: MlflowClient, run_id: str, name: str) -> tuple[MetricPoint, ...]:
    """The values of a metric in the order they were logged; of very many those of the last steps."""
    points = client.get_metric_history(run_id, name)
    if len(points) > MOST_POINTS:
        points = sorted(points, key=lambda point: (point.step, point.timestamp))[-MOST_POINTS:]
    return tuple(MetricPoint(p.step, p.timestamp, p.value) for p in points if math.isfinite(p.value))


def _datasets(run: MlflowRun) -> tuple[DatasetInput, ...]:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return tuple(
        DatasetInput(
            name=given.dataset.name,
            digest=given.dataset.digest,
            source_type=given.dataset.source_type,
            source=given.dataset.source,
            context=next((tag.value for tag in given.tags if tag.key == "mlflow.data.context"), None),
        )
        for given in inputs
    )


def _model(model: MlflowLoggedModel, place: Place) -> LoggedModel:
    folder = place.folder(model.artifact_location, model_id=model.model_id)
    metrics = {m.key: m.value for m in model.metrics or [] if math.isfinite(m.value)}
    return LoggedModel(
        model_id=model.model_id,
        name=model.name,
        experiment_id=model.experiment_id,
        run_id=model.source_run_id,
        status=str(model.status.value if hasattr(model.status, "value") else model.status),
        created=model.creation_timestamp,
        params=dict(model.params or {}),
        metrics=metrics,
        tags=dict(model.tags or {}),
        **_files(folder),
    )


def _older_models(run: MlflowRun, folder: Path | None) -> list[LoggedModel]:
    """The models that MLflow 2 kept inside a run: folders with an MLmodel file."""
    if folder is None:
        return []
    homes = [path.parent for path in files_in(folder) if path.name == "MLmodel"][:MOST_OLDER]
    return [
        LoggedModel(
            model_id=f"runs:/{run.info.run_id}/{home.relative_to(folder).as_posix()}",
            name=home.relative_to(folder).as_posix(),
            experiment_id=run.info.experiment_id,
            run_id=run.info.run_id,
            status="READY",
            created=run.info.start_time,
            **_files(home),
        )
        for home in homes
    ]


def _files(folder: Path | None) -> dict[str, Any]:
    """The part of a LoggedModel that its files tell, as keyword arguments."""
    if folder is None:
        return {"folder": None}
    files = {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files_in(folder)}
    return {"folder": str(folder), "declared": read_model_file(folder), "files": files}
