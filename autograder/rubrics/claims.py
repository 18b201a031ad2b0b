"""Claims recomputed: what a logged model really reaches and carries, against what a run says."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from itertools import permutations
from operator import eq

import numpy as np
import pandas as pd

from autograder.base.remember import remembered
from autograder.base.text import quoted
from autograder.data import load_flowers, load_wines
from autograder.evidence import Evidence, LoggedModel, Run, Scoring, models_of_run
from autograder.rubrics.contents import number

#: Fewer digits than this after the point show as little as this many: 0.90 is logged as 0.9.
FEWEST_DIGITS = 2
#: A figure that was not rounded may differ from the recomputed one by this much, computed elsewhere.
CLOSEST = 1e-4
#: "The best" may be worse than the best by this much log-loss: closer runs are as good as equal.
BEST_MARGIN = 0.005
#: Estimators in each other, at most, whose steps are taken off a parameter's name.
DEEPEST = 8
#: Parameters that change how a model is computed and not what it is, or that name another thing.
BESIDES = {"n_jobs", "verbose", "estimator", "model", "classifier", "cv", "refit", "scoring"}


@remembered
def species(evidence: Evidence) -> pd.Series:
    """The species of the test part under the conditions that the work was done under."""
    return load_flowers(evidence.seed, evidence.settings).y_test


@remembered
def flowers(evidence: Evidence) -> pd.DataFrame:
    """The flowers of the test part under those conditions."""
    return load_flowers(evidence.seed, evidence.settings).X_test


@remembered
def grapes(evidence: Evidence) -> pd.Series:
    """The grapes of the test part under those conditions."""
    return load_wines(evidence.seed, evidence.settings).y_test


@remembered
def wines(evidence: Evidence) -> pd.DataFrame:
    """The wines of the test part under those conditions."""
    return load_wines(evidence.seed, evidence.settings).X_test


def model_of(evidence: Evidence, run: Run) -> LoggedModel | None:
    """The run's finished model, the latest where there are several; else its latest unfinished one."""
    own = models_of_run(evidence, run)
    ready = [model for model in own if model.status == "READY"]
    latest = sorted(ready or own, key=lambda model: model.created)
    return latest[-1] if latest else None


def scoring_of(evidence: Evidence, run: Run) -> Scoring | None:
    """What the run's model answered, or None when it has no model of its own that could be scored."""
    return scoring_of_model(model_of(evidence, run))


def scoring_of_model(model: LoggedModel | None) -> Scoring | None:
    """What a model answered, or None when it could not be scored or its files are another's."""
    if model is None or model.scoring is None or model.scoring.error or foreign_files(model):
        return None
    return model.scoring


def foreign_files(model: LoggedModel) -> str | None:
    """What in the model's files says that they are another model's: found in one line, or None.

    MLflow writes the model's id and its run's into the MLmodel file. Models of MLflow 2, and models
    whose files are not here, say nothing.
    """
    declared = model.declared
    if declared.model_id and declared.model_id != model.model_id:
        return (
            f"the files of the model {quoted(model.name)} say they are those of {quoted(declared.model_id)}"
        )
    if declared.run_id and model.run_id and declared.run_id != model.run_id:
        return f"the files of the model {quoted(model.name)} say they were logged in another run"
    return None


def unlogged(run: Run, name: str) -> bool:
    """Whether the run's latest value of a metric is not the last of those that were logged.

    MLflow writes both at once; what is only the latest value was not logged with MLflow.
    """
    history = run.history.get(name, ())
    return name in run.metrics and run.metrics[name] not in {point.value for point in history}


def best_runs(runs: Iterable[Run], metric: str, lower_is_better: bool, margin: float = 0.0) -> list[Run]:
    """Those of ``runs`` whose ``metric`` is the best, or within ``margin`` of it; the best first."""
    sign = 1 if lower_is_better else -1
    ordered = sorted((r for r in runs if metric in r.metrics), key=lambda run: sign * run.metrics[metric])
    return [run for run in ordered if sign * (run.metrics[metric] - ordered[0].metrics[metric]) <= margin]


@remembered
def accuracy(scoring: Scoring, truth: pd.Series) -> float | None:
    """The share of right answers, from 0 to 1; None when there is not one answer a row."""
    right = _values(truth)
    if len(scoring.labels) != len(right):
        return None
    return sum(map(eq, answers(scoring, truth), right)) / len(right)


def answers(scoring: Scoring, truth: pd.Series) -> list[str]:
    """The model's answers, as the truth's names where they are numbers or other codes for them."""
    names = _meant_names(scoring, _values(truth))
    return [names.get(label, label) for label in scoring.labels]


@remembered
def log_loss(scoring: Scoring, truth: pd.Series) -> float | None:
    """The mean negative natural logarithm of the probability given to the truth.

    Computed as ``sklearn.metrics.log_loss`` does, which takes twenty times as long to check what it gets.
    None when the model gives no usable probabilities.
    """
    right = _values(truth)
    names = sorted(set(right))
    meant = _meant_names(scoring, right)
    classes = [meant.get(found, found) for found in scoring.classes]
    if scoring.probabilities is None or len(scoring.probabilities) != len(right):
        return None
    if sorted(classes) != names or any(len(row) != len(names) for row in scoring.probabilities):
        return None
    table = np.array(scoring.probabilities, float)
    if not np.isfinite(table).all() or (table < 0).any() or (table > 1).any():
        return None
    if not np.allclose(table.sum(axis=1), 1.0, atol=0.01):
        return None
    column = {name: number for number, name in enumerate(classes)}
    given = table[np.arange(len(right)), [column[name] for name in right]]
    least = np.finfo(table.dtype).eps
    return float(-np.log(np.clip(given, least, 1 - least)).mean())


@remembered
def _values(truth: pd.Series) -> tuple[str, ...]:
    return tuple(truth)


def agrees(logged: float, actual: float, digits: int | None = None) -> bool:
    """Whether a logged figure is the recomputed one, rounded to the digits that it has after its point.

    ``digits`` are those that it was written with; a number that was logged tells by itself.
    """
    return math.isfinite(logged) and abs(logged - actual) <= tolerance(logged, digits)


def tolerance(logged: float, digits: int | None = None) -> float:
    """By how much a figure may differ from the recomputed one: 0.0051 with two digits, 0.00051 with three.

    A little more than half of the last digit, so that honest rounding always passes; with more digits
    CLOSEST, with fewer than FEWEST_DIGITS as with these.
    """
    if digits is None:
        digits = max(0, -int(Decimal(repr(float(logged))).normalize().as_tuple().exponent))
    return max(0.51 * 10.0 ** -max(digits, FEWEST_DIGITS), CLOSEST)


def param(params: Mapping[str, str], name: str) -> str | None:
    """A logged parameter by its own name, or as a step of a pipeline names it (``step__name``)."""
    found = carried(params, name)
    return found[0] if len(set(found)) == 1 else None


def carried(params: Mapping[str, str], name: str) -> list[str]:
    """The values of a parameter: under its own name, else under those of all steps that have it."""
    if name in params:
        return [params[name]]
    return _of_steps(params).get(name, [])


@remembered
def _of_steps(params: Mapping[str, str]) -> dict[str, list[str]]:
    """The values of parameters by what their names end in after a "__"; the last DEEPEST of them count."""
    found = defaultdict(list)
    for key, value in params.items():
        parts = key.split("__")
        for start in range(max(1, len(parts) - DEEPEST), len(parts)):
            found["__".join(parts[start:])].append(value)
    return found


def same_value(one: str, other: str) -> bool:
    """Whether two logged values mean the same: ``5`` and ``5.0``, ``None`` and ``none``."""
    numbers = number(one), number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return math.isclose(numbers[0], numbers[1], rel_tol=1e-9)
    return one.strip().strip("'\"").lower() == other.strip().strip("'\"").lower()


def contradictions(run: Run, scoring: Scoring) -> dict[str, tuple[str, str]]:
    """Logged parameters that the estimator carries with another value: name to (logged, actual)."""
    wrong = {}
    for name, logged in run.params.items():
        actual = carried(scoring.params, name) if name.rpartition("__")[2] not in BESIDES else []
        if actual and not any(same_value(logged, value) for value in actual):
            wrong[name] = (logged, actual[0])
    return wrong


def explained_params(run: Run, scoring: Scoring) -> list[str]:
    """Names of the logged parameters that the estimator carries with the same value, or that name it."""
    classes = {scoring.estimator, scoring.final_estimator.rpartition(".")[2]}
    return [
        name
        for name, logged in run.params.items()
        if logged in classes or any(same_value(logged, value) for value in carried(scoring.params, name))
    ]


@remembered
def hyperparameters(scoring: Scoring) -> tuple[object, ...]:
    """What makes one model another variant: class, inputs and what changes the model but its seed."""
    ignored = BESIDES | {"random_state"}
    params = sorted((k, v) for k, v in scoring.params.items() if k.rpartition("__")[2] not in ignored)
    return (scoring.estimator, scoring.final_estimator, scoring.inputs, *params)


def listed(names: Iterable[str]) -> str:
    """Names as a student reads them: quoted, separated by commas, no more than five."""
    all_names = list(names)
    shown = ", ".join(quoted(name, 50) for name in all_names[:5])
    return shown + (f" and {len(all_names) - 5} more" if len(all_names) > 5 else "")


def _meant_names(scoring: Scoring, truth: Collection[str]) -> dict[str, str]:
    """Which of the truth's names each of the model's classes stands for, where they are not names.

    Species may be numbered in any order. The order is read off the answers: it is the one under which
    most of them are right, the alphabetical one among equals. Nobody gains by that: what a run logs
    must still be what this one order gives, and a figure got from two different orders is not.
    """
    names, codes = sorted(set(truth)), sorted(set(scoring.classes or scoring.labels))
    if len(codes) > len(names) or set(codes) & set(names):
        return {}
    right = Counter(zip(scoring.labels, truth, strict=False))
    orders = permutations(names, len(codes))
    best = max(orders, key=lambda order: sum(right[pair] for pair in zip(codes, order, strict=True)))
    return dict(zip(codes, best, strict=True))
