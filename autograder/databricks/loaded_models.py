"""Registered models: found by version, stage or alias, loaded and asked with MLflow's own code."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import scoring_server
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from autograder.base.paths import SQLITE, path_of_database
from autograder.databricks.database import check_database
from autograder.databricks.refusals import Refused

STAGES = ("None", "Staging", "Production", "Archived")
#: Letters of a model's own message that are told, at its beginning and at its end.
TOLD = 500, 1500
#: What MLflow says of a name that no model can have, and of what is not there.
ABSENT = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"})
#: Calls that a model answers at the same time; more of them wait.
ASKERS = 8

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Found:
    """A version of a registered model, the model it was made of, and where its files are."""

    name: str
    version: str
    source: str
    location: str = field(default="", compare=False)


@dataclass(slots=True)
class Loaded:
    """A model in memory. ``warning`` says what is doubtful about its answers; ``used`` when it last
    was asked, in seconds of the monotonic clock. ``askers`` are its own: one that does not answer keeps
    only itself.
    """

    model: Any
    schema: Any
    warning: str | None
    used: float = field(default_factory=time.monotonic)
    askers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(ASKERS, "asks a model"))

    def predict(self, body: bytes, content_type: str) -> tuple[int, str, str]:
        """Status, media type and text of the answer. Never raises for what a request contains."""
        self.used = time.monotonic()
        try:
            answer = scoring_server.invocations(body, content_type, self.model, self.schema)
            if answer.status == 200:
                return 200, answer.mimetype, answer.response
            refused = Refused(answer.status, "INVALID_PARAMETER_VALUE", answer.response)
        except MlflowException as error:
            refused = Refused.invalid(error.message)
        except BaseException as error:  # a model, and MLflow's parsing of nonsense, can raise anything
            told = f"The body could not be read, or the answer not written: {type(error).__name__}: {error}"
            refused = Refused.invalid(told)
        raise self.explained(refused)

    def explained(self, refused: Refused) -> Refused:
        """The refusal with what the model expects, which MLflow's messages leave out."""
        told, (head, tail) = refused.message, TOLD
        if len(told) > head + tail:  # MLflow's begin with the data, and end with what is wrong
            told = f"{told[:head]} … {told[-tail:]}"
        expected = self.expected()
        refused.message = told + (f"\n{expected}" if expected else "")
        return refused

    def expected(self) -> str:
        """What a request should contain, in one line."""
        from autograder.databricks.served import expected

        return expected(self.model)


class Models:
    """The models of a registry that are in memory."""

    def __init__(self, tracking_uri: str, folder: Path) -> None:
        self.tracking_uri = tracking_uri
        self.folder = folder
        self._loaded: dict[Found, Loaded] = {}
        self._loading: dict[Found, Future[Loaded]] = {}
        self._lock = threading.Lock()
        self._modules: dict[str, tuple[Found, bytes]] = {}

    @cached_property
    def client(self) -> MlflowClient:
        """The registry; opening it takes as long as loading a small model, so not before it is needed.

        Raises StoreError for a SQLite store that this MLflow cannot read.
        """
        if self.tracking_uri.startswith(SQLITE) and (path := path_of_database(self.tracking_uri)).exists():
            check_database(path)
        return MlflowClient(self.tracking_uri, self.tracking_uri)

    def find(self, name: str, selector: str) -> Found:
        """The version of a model that a number, a stage or an alias names. Raises Refused."""
        versions = {str(v.version): v for v in self._versions(name)}
        if not versions:
            raise Refused.missing(
                f"There is no registered model “{name}” with a version; the registered models are: "
                f"{self._names()}. "
                "Register one with mlflow.register_model."
            )
        found = versions.get(selector)
        if found is None and selector.casefold() in (stage.casefold() for stage in STAGES):
            staged = [
                v for v in versions.values() if (v.current_stage or "").casefold() == selector.casefold()
            ]
            found = max(staged, key=lambda v: int(v.version), default=None)
        if found is None:
            found = self._asked(lambda client: client.get_model_version_by_alias(name, selector))
        if found is None:
            model = self._asked(lambda client: client.get_registered_model(name))
            aliases = sorted(model.aliases) if model else ()
            raise Refused.missing(
                f"“{name}” has no version, stage or alias “{selector}”. Its versions are "
                f"{', '.join(sorted(versions, key=int))}; stages with a version: "
                f"{', '.join(sorted({v.current_stage or 'None' for v in versions.values()}))}; "
                f"aliases: {', '.join(aliases) or 'none'}."
            )
        number = str(found.version)
        location = self._asked(lambda client: client.get_model_version_download_uri(name, number))
        return Found(name, number, str(found.source), location or "")

    def get(self, found: Found) -> Loaded:
        """The model in memory, loaded when it is not. Raises Refused when it cannot be."""
        return self.ready(found) or self.load(found).result()

    def load(self, found: Found) -> "Future[Loaded]":
        """The model once it is in memory. Each is loaded in a thread of its own, whoever asks for it:
        one whose loading never ends holds up no other, and not the end of the process.
        """
        with self._lock:
            loading = self._loading.get(found)
            if loading is None:
                loading = self._loading[found] = Future()
                threading.Thread(target=self._finish, args=(found, loading), daemon=True).start()
            return loading

    def _finish(self, found: Found, loading: "Future[Loaded]") -> None:
        """Load what somebody waits for. Who gives up waiting does not end it."""
        loading.set_running_or_notify_cancel()
        try:
            loaded = self.ready(found) or self._load(found)
        except BaseException as error:
            with self._lock:
                del self._loading[found]
            loading.set_exception(error)
            return
        with self._lock:
            self._loaded[found] = loaded
            del self._loading[found]
        loading.set_result(loaded)

    def ready(self, found: Found) -> Loaded | None:
        """The model when it is in memory."""
        return self._loaded.get(found)

    def unload(self, idle: float, kept: set[Found]) -> list[Found]:
        """Drop models that nobody asked for ``idle`` seconds, but not those in ``kept``; which these are."""
        end = time.monotonic() - idle
        present = list(self._loaded.items())  # other threads load meanwhile
        gone = [found for found, loaded in present if loaded.used < end and found not in kept]
        for found in gone:
            self._loaded.pop(found, None)
        return gone

    def _versions(self, name: str) -> list[ModelVersion]:
        if "'" in name:  # MLflow's filters have no escape for it
            return []
        return list(self._asked(lambda client: client.search_model_versions(f"name = '{name}'")) or ())

    def _names(self) -> str:
        found = self._asked(lambda client: client.search_registered_models(max_results=20)) or ()
        return ", ".join(sorted(model.name for model in found)) or "none"

    def _asked(self, ask: Callable[[MlflowClient], Answer]) -> Answer | None:
        """What the registry answers, None for what it does not have. Raises Refused when it is silent."""
        try:
            return ask(self.client)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            problem = error.message
        except Exception as error:  # whatever a database or a connection says
            problem = str(error) or type(error).__name__
        store = _without_password(self.tracking_uri)
        raise Refused.unavailable(
            f"The store {store} cannot be asked: {_without_password(problem)[:600].rstrip('. ')}. Expected a "
            "store of this MLflow that answers. Try again; if it stays so, start the store, or name another."
        )

    def _load(self, found: Found) -> Loaded:
        from autograder.databricks.fitting import TableError
        from autograder.databricks.served import served_schema, unchecked, with_lookup
        from autograder.databricks.tables import Tables

        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        uri = self._place(found)
        try:
            if not Path(uri).is_dir():
                uri = mlflow.artifacts.download_artifacts(uri)
            doubts = self._shared_code(found, Path(uri))
            # which packages differ from those it was logged with, it said when it was registered
            model = with_lookup(mlflow.pyfunc.load_model(uri, suppress_warnings=True), Tables(self.folder))
            schema = served_schema(model)
        except TableError as error:
            told = f"Version {found.version} of “{found.name}” cannot look its features up now: {error}"
            raise Refused(400, "BAD_REQUEST", f"{told} Then try again.") from error
        except (Exception, SystemExit) as error:  # the model's own code can raise anything
            raise Refused(
                400,
                "BAD_REQUEST",
                f"Version {found.version} of “{found.name}” could not be loaded: {type(error).__name__}: "
                f"{str(error)[:1000]}. Load it in a notebook with mlflow.pyfunc.load_model"
                f"('models:/{found.name}/{found.version}') to see why, mend it and register a new version.",
            ) from error
        if doubtful := unchecked(model):
            doubts.append(
                f"version {found.version} of {found.name} has no signature: {doubtful}, and wrong ones may "
                "be answered with nonsense"
            )
        return Loaded(model, schema, "; ".join(doubts) or None)

    def _shared_code(self, found: Found, folder: Path) -> list[str]:
        """What is doubtful about a model's own modules (``code_paths``): Python keeps the first module of
        a name that it imports, and gives it to every model of this process.
        """
        doubts = []
        for name, content in _modules(folder).items():
            with self._lock:
                first, known = self._modules.setdefault(name, (found, content))
            if known != content:
                doubts.append(
                    f"version {found.version} of {found.name} brings another {name} than version "
                    f"{first.version} of {first.name}, which was loaded before: one process keeps the first, "
                    "and this model may run it. Log each version's code under a name of its own"
                )
        return doubts

    def _place(self, found: Found) -> str:
        """Where to load a model from: its files, or the registry where these are gone from here."""
        if found.location and Path(path := local_file_uri_to_path(found.location)).is_dir():
            return path
        present = self.find(found.name, found.version)
        if present != found:
            raise Refused(
                400,
                "BAD_REQUEST",
                f"Version {found.version} of “{found.name}” is not the one that the endpoint was made for: "
                f"it was deleted and made anew (from {present.source}, before from {found.source}). Update "
                "the endpoint's configuration to serve the new one.",
            )
        return f"models:/{found.name}/{found.version}"


def _modules(folder: Path) -> dict[str, bytes]:
    """The modules that a model in ``folder`` brings, by their paths, and a digest of each."""
    declared = Model.load(str(folder)).flavors.get("python_function", {}).get("code")
    code = folder / declared if isinstance(declared, str) else None
    found = sorted(code.rglob("*.py")) if code and code.is_dir() else ()
    return {path.relative_to(code).as_posix(): sha256(path.read_bytes()).digest() for path in found if code}


def _without_password(text: str) -> str:
    """A text in which no address has a user and a password."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)
