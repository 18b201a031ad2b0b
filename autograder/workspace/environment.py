"""The environment variables that say where work goes: what this process set, and what others said before."""

import contextlib
import os
from collections.abc import Iterator

#: Where MLflow puts the artifacts of experiments that name no place of their own; `mlflow server` sets it.
ARTIFACT_ROOT_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_ROOT"
#: Settings that would send work, or read it from, somewhere else than the private store.
REDIRECTING = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_ARTIFACT_URI",
    ARTIFACT_ROOT_VARIABLE,
    "DATABRICKS_HOST",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_CONFIG_FILE",
)

_own: dict[str, str] = {}  # what set_names set
_theirs: dict[str, str] = {}  # what was said about Databricks before it was set aside


def set_names(names: dict[str, str]) -> None:
    """Set environment variables, and remember that it was the kit that did."""
    _own.update(names)
    os.environ.update(names)


def foreign() -> dict[str, str]:
    """The redirecting settings that somebody else than the kit made."""
    found = {name: os.environ[name] for name in REDIRECTING if os.environ.get(name)}
    return {name: value for name, value in found.items() if value != _own.get(name)}


def set_aside() -> None:
    """Take the redirecting settings away, and remember what others said about Databricks."""
    said = {name: value for name, value in os.environ.items() if name.startswith("DATABRICKS_")}
    _theirs.update({name: value for name, value in said.items() if value != _own.get(name)})
    for name in REDIRECTING:
        os.environ.pop(name, None)


def give_back_databricks() -> None:
    """Say about Databricks what others said before it was set aside."""
    os.environ.pop("MLFLOW_ENABLE_DB_SDK", None)
    os.environ.pop("DATABRICKS_AUTH_TYPE", None)
    os.environ.update(_theirs)


@contextlib.contextmanager
def as_it_was(before: dict[str, str]) -> Iterator[None]:
    """Within it, the environment is the one of ``before``."""
    present = dict(os.environ)
    _become(before)
    try:
        yield
    finally:
        _become(present)


@contextlib.contextmanager
def kept_if_it_fails() -> Iterator[None]:
    """What changes in the environment within it is undone by an exception."""
    before, own, theirs = dict(os.environ), dict(_own), dict(_theirs)
    try:
        yield
    except BaseException:
        _become(before)
        for names, kept in ((_own, own), (_theirs, theirs)):
            names.clear()
            names.update(kept)
        raise


def _become(names: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(names)
