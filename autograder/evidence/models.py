"""Read what a logged model's files say, load it, and ask it.

Reading runs no code of the model's. Loading and asking do, in every format: skops, too, trusts types by
default that open files. So a grader does both in a box, see :mod:`autograder.pipeline.reader`.
"""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from autograder.base.errors import KitError
from autograder.base.text import one_line
from autograder.evidence.facts import ModelFile, Scoring


class UnusableModel(KitError, ValueError):
    """Raised for a model that cannot be loaded; its text says why, to a student."""


#: An MLmodel file larger than this is not read, in bytes.
LARGEST_MLMODEL = 1 << 20


def read_model_file(folder: Path) -> ModelFile:
    """What the MLmodel file in ``folder`` says; empty when there is none that can be read."""
    content = _mlmodel(folder)
    flavors = content.get("flavors")
    sklearn = flavors.get("sklearn") if isinstance(flavors, dict) else None
    signature = content.get("signature")
    size = content.get("model_size_bytes")
    return ModelFile(
        flavors=tuple(str(name) for name in flavors) if isinstance(flavors, dict) else (),
        serialization_format=_text_or_none(sklearn, "serialization_format"),
        model_id=_text_or_none(content, "model_id"),
        run_id=_text_or_none(content, "run_id"),
        size=size if isinstance(size, int) else None,
        inputs=_input_names(signature) if isinstance(signature, dict) else None,
        has_outputs=isinstance(signature, dict) and bool(signature.get("outputs")),
        has_input_example=isinstance(content.get("saved_input_example_info"), dict),
        requirements=_requirements(folder),
    )


def _text_or_none(mapping: Any, key: str) -> str | None:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return str(value) if value else None


def _input_names(signature: dict[str, Any]) -> tuple[str, ...]:
    try:
        columns = json.loads(signature["inputs"])
        return tuple(str(column["name"]) for column in columns if "name" in column)
    except (KeyError, TypeError, ValueError):
        return ()


def _requirements(folder: Path) -> tuple[str, ...]:
    path = folder / "requirements.txt"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_MLMODEL:
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def load_any(folder: Path) -> Any:
    """The model in ``folder``, by MLflow. Runs whatever code the model brings: see who calls it.

    A scikit-learn model comes back as its estimator, any other as an MLflow pyfunc. Raises
    UnusableModel when its MLmodel file makes no sense, else whatever MLflow raises.
    """
    import mlflow.pyfunc
    import mlflow.sklearn

    flavors = _mlmodel(folder).get("flavors")
    if not isinstance(flavors, dict):
        raise UnusableModel("its MLmodel file, which says how to load it, is missing or damaged")
    if "sklearn" in flavors:
        return mlflow.sklearn.load_model(str(folder))
    return mlflow.pyfunc.load_model(str(folder))


def score_model(estimator: Any, features: pd.DataFrame) -> Scoring:
    """What a fitted estimator answers for ``features`` (one row a case), and its own parameters.

    A model that was trained on some of the columns gets those, one that was trained on an array
    gets an array. Raises whatever the estimator raises.
    """
    names = getattr(estimator, "feature_names_in_", None)
    given: Any = features
    if names is not None and set(names) <= set(features.columns):
        given = features[list(names)]
    elif names is not None and len(names) == len(features.columns):
        given = features.set_axis(list(names), axis="columns")  # the same columns under other names
    elif hasattr(estimator, "n_features_in_"):
        given = features.to_numpy()
    labels = [_text(label) for label in _column(estimator.predict(given))]
    classes = tuple(_text(label) for label in getattr(estimator, "classes_", ()))
    probabilities = None
    if hasattr(estimator, "predict_proba"):
        rows = tuple(tuple(float(p) for p in row) for row in estimator.predict_proba(given))
        probabilities = rows if all(math.isfinite(p) for row in rows for p in row) else None
    return Scoring(
        labels=tuple(labels),
        classes=classes,
        probabilities=probabilities,
        estimator=type(estimator).__name__,
        final_estimator=_final(estimator),
        inputs=tuple(str(name) for name in names) if names is not None else (),
        params=_params(estimator),
    )


def why_unusable(error: Exception) -> str:
    """Why a model could not be loaded or asked, in one line."""
    from sklearn.exceptions import NotFittedError

    if isinstance(error, UnusableModel):
        return one_line(error)
    if isinstance(error, NotFittedError):
        return f"it was never fitted ({type(error).__name__})"
    return one_line(f"{type(error).__name__}: {error}")


def _column(answers: Any) -> Any:
    """A model's answers as one value a row; a frame or a one-column array is flattened."""
    values = getattr(answers, "to_numpy", lambda: answers)()
    return values.ravel() if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1 else values


def _text(value: Any) -> str:
    return str(value.item() if hasattr(value, "item") else value)


def _final(estimator: Any) -> str:
    """The full name of the class that makes the prediction: a search's best, a pipeline's last step."""
    best = getattr(estimator, "best_estimator_", None) or estimator
    steps = getattr(best, "steps", None)
    last = steps[-1][1] if steps else best
    return f"{type(last).__module__}.{type(last).__name__}"


def _params(estimator: Any) -> dict[str, str]:
    """``get_params`` of the estimator; of a search, its own and those of the best that it found."""
    if not hasattr(estimator, "get_params"):
        return {}
    best = getattr(estimator, "best_estimator_", None)
    params = dict(estimator.get_params(deep=best is None))
    if best is not None:
        params.update(best.get_params(deep=True))
    return {name: _text(value) for name, value in params.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    """Whether a parameter is a value, or a few in a container, and not an estimator or a function."""
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    return isinstance(plain, (str, int, float, bool, type(None)))


def _mlmodel(folder: Path) -> dict[str, Any]:
    """The MLmodel file as plain data; empty when it is missing, too large or not a mapping."""
    path = folder / "MLmodel"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_MLMODEL:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none, wrong encoding
        return {}
    return content if isinstance(content, dict) else {}
