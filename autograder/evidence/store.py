"""Read an MLflow store, by its tracking URI, into facts."""

from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from mlflow.entities import LoggedModel as MlflowLoggedModel
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils import name_utils

from autograder.evidence.facts import Evidence, Experiment, LoggedModel, Run
from autograder.evidence.models import describe_files
from autograder.workspace.data import PUBLIC_SEED
from autograder.workspace.database import DATABASE, StoreError, check_database
from autograder.workspace.store import SEED_TAG

#: More than this of one kind is not a beginner's exercise; reading stops with a StoreError.
MOST = 1_000


def read_store(tracking_uri: str, seed: int | None = None) -> Evidence:
    """Everything in the store at ``tracking_uri``: active experiments, runs and logged models.

    ``seed`` overrides the one recorded in the store. A SQLite store is checked before it is opened,
    so that a wrong path makes no stray file. Model files are listed only where they lie in the
    folder of the SQLite store. Raises StoreError, in one line, when the store cannot be read.
    """
    if tracking_uri.startswith("sqlite:"):
        database = sqlite_path(tracking_uri)
        check_database(database)
        home: Path | None = database.parent
    else:
        home = None
    client = MlflowClient(tracking_uri, tracking_uri)
    try:
        experiments = client.search_experiments(view_type=ViewType.ACTIVE_ONLY, max_results=MOST)
        ids = [experiment.experiment_id for experiment in experiments]
        runs = client.search_runs(ids, max_results=MOST) if ids else []
        models = _all_models(client, ids) if ids else []
    except (MlflowException, OSError) as error:
        raise StoreError(
            f"The store at {tracking_uri} could not be read: {one_line(error)}. Expected a store of "
            "this MLflow that answers; check the address, and that nothing else writes to it."
        ) from error
    recorded = [e.tags[SEED_TAG] for e in experiments if SEED_TAG in e.tags]
    if seed is None:
        seed = int(recorded[0]) if recorded and recorded[0].isdigit() else PUBLIC_SEED
    model_facts = tuple(_model(model, home) for model in models)
    return Evidence(
        seed=seed,
        experiments=tuple(
            Experiment(e.experiment_id, e.name, dict(e.tags))
            for e in sorted(experiments, key=lambda e: int(e.experiment_id))
        ),
        runs=tuple(_run(run, model_facts) for run in sorted(runs, key=lambda r: r.info.start_time)),
        models=tuple(sorted(model_facts, key=lambda model: model.created)),
    )


def sqlite_path(tracking_uri: str) -> Path:
    """The database file that a ``sqlite:///`` URI names."""
    return Path(unquote(tracking_uri.removeprefix("sqlite:///").partition("?")[0]) or DATABASE)


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """The first line of an error that says something, control characters shown and not obeyed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:limit].rstrip(".")


def is_generated_name(name: str) -> bool:
    """Whether MLflow makes up such run names: predicate-noun-number, from its own two word lists."""
    words = name.split("-")
    return (
        len(words) == 3
        and words[0] in name_utils._GENERATOR_PREDICATES
        and words[1] in name_utils._GENERATOR_NOUNS
        and words[2].isdigit()
    )


def _all_models(client: MlflowClient, ids: list[str]) -> list[MlflowLoggedModel]:
    models: list[MlflowLoggedModel] = []
    token = None
    while len(models) < MOST:
        page = client.search_logged_models(ids, max_results=50, page_token=token)
        models.extend(page)
        token = page.token
        if not token:
            break
    return models


def _run(run: MlflowRun, models: tuple[LoggedModel, ...]) -> Run:
    own = [model.model_id for model in models if model.run_id == run.info.run_id]
    outputs = run.outputs.model_outputs if run.outputs else []
    linked = [output.model_id for output in outputs]
    return Run(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        start_time=run.info.start_time,
        end_time=run.info.end_time,
        name_generated=is_generated_name(run.info.run_name or ""),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        model_ids=tuple(dict.fromkeys([*linked, *own])),
    )


def _model(model: MlflowLoggedModel, home: Path | None) -> LoggedModel:
    folder = local_folder(model.artifact_location, home)
    flavors, serialization_format, files = describe_files(folder)
    return LoggedModel(
        model_id=model.model_id,
        name=model.name,
        experiment_id=model.experiment_id,
        run_id=model.source_run_id,
        status=str(model.status.value if hasattr(model.status, "value") else model.status),
        created=model.creation_timestamp,
        folder=str(folder) if folder else None,
        flavors=flavors,
        serialization_format=serialization_format,
        files=files,
    )


def local_folder(location: str, home: Path | None) -> Path | None:
    """The folder behind an artifact location, or None when it is not a folder inside ``home``."""
    if home is None:
        return None
    parsed = urlparse(location)
    if parsed.scheme == "file":
        path = Path(url2pathname(parsed.path))
    elif parsed.scheme and len(parsed.scheme) > 1:  # one letter is a Windows drive
        return None
    else:
        path = Path(location)
    path = (home / path).resolve()
    return path if path.is_dir() and path.is_relative_to(home.resolve()) else None
