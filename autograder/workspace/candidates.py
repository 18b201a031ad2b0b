"""What later exercises start from: logged forests, registered versions, and a release that went wrong."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from autograder.data.seeded import COLUMNS, current_seed, load_flowers

#: The tag that tells these runs from others in the experiment.
ROLE = {"role": "candidate"}
#: The depths of the version in use and of the newer one, which is better.
CURRENT, NEWER = 2, 5
#: The one type in a saved forest that skops does not know by itself.
TRUSTED = ["sklearn.tree._tree.Tree"]
#: Leaves that hold this share of the training part or more make a deep forest a poor one.
LARGE_LEAF = 0.28


def forests(seed: int, rows: int) -> list[dict[str, int]]:
    """The hyperparameters of three candidates for ``rows`` flowers of training, in an order to log them in.

    The seed draws the order, the numbers of trees, and whether the deepest is the best of them or, with
    too large leaves, the worst: neither a name nor a depth nor a place tells the best under every seed.
    """
    random = np.random.default_rng(seed)
    leaf = int(random.choice([1, max(2, round(LARGE_LEAF * rows))]))
    found = [
        {"n_estimators": int(trees), "max_depth": depth, "min_samples_leaf": leaf if depth == 5 else 1}
        for depth, trees in zip((1, 2, 5), random.integers(40, 81, size=3), strict=True)
    ]
    return [found[n] for n in random.permutation(3)]


def log_candidates(experiment: str = "flower-species") -> list[str]:
    """Log three forests, trained on the flowers, into ``experiment``; their run ids, as they were logged.

    Each run has the tag ROLE, its parameters, ``accuracy`` and ``log_loss`` on the test part, a name, and
    its model with a signature. Leaves ``experiment`` the current one.
    """
    import mlflow

    mlflow.set_experiment(experiment)
    rows = len(load_flowers().X_train)
    return [_log_forest(**forest).run_id for forest in forests(current_seed(), rows)]


def register_candidates(name: str = "IrisRandomForest", again: bool = False) -> tuple[Any, Any]:
    """Register two forests: the version in use and a newer, better one, each from a run of its own.

    Returns both as MLflow's ModelVersion. Each carries the tag ``role``, “current” or “newer”. Where they
    are registered already, those are returned, so that a kernel that was restarted goes on where it was;
    ``again`` makes two more.
    """
    import mlflow

    mlflow.set_experiment("flower-species")
    current, newer = (None if again else _latest(name, role) for role in ("current", "newer"))
    if current and newer:
        print(
            f"{name} has version {current.version} (current) and version {newer.version} (newer) already. "
            "To begin with two new ones, call register_candidates(again=True) once."
        )
        return current, newer
    client, versions = mlflow.MlflowClient(), []
    for depth, role in ((CURRENT, "current"), (NEWER, "newer")):
        logged = _log_forest(n_estimators=60, max_depth=depth)
        version = mlflow.register_model(logged.model_uri, name)
        client.set_model_version_tag(name, version.version, "role", role)
        versions.append(version)
    return versions[0], versions[1]


def put_in_use(name: str, version: Any) -> None:
    """Make a version the one that programs get: stage Production, alias champion; others are archived.

    A version that has left the stage None before stays where it is: what was done with it counts.
    """
    import mlflow

    if mlflow.MlflowClient().get_model_version(name, version.version).current_stage == "None":
        _promote(name, version)


def release_in_a_hurry(name: str = "IrisRandomForest") -> Any:
    """Release a version that nobody evaluated: what a colleague does on the evening before a holiday.

    The forest was trained on a table in which lengths and widths of the petals had changed places (of an
    instructor's own table: in which each class has another's name). It is registered with the tag ``role``
    = “release”, put in use, and returned; where that has happened since the newer version was registered,
    the version of then is returned.
    """
    import mlflow
    from sklearn.ensemble import RandomForestClassifier

    newer, release = _latest(name, "newer"), _latest(name, "release")
    if release is not None and (newer is None or int(release.version) > int(newer.version)):
        return release
    X_train, y_train = _mixed_up(load_flowers().X_train, load_flowers().y_train)
    params = {"n_estimators": 60, "max_depth": 5}
    with mlflow.start_run(run_name="forest-release", tags={"role": "release"}):
        forest = RandomForestClassifier(**params, random_state=42).fit(X_train, y_train)
        mlflow.log_params(params)
        model = mlflow.sklearn.log_model(
            forest, name="model", skops_trusted_types=TRUSTED, input_example=X_train.head(2)
        )
    version = mlflow.register_model(model.model_uri, name)
    mlflow.MlflowClient().set_model_version_tag(name, version.version, "role", "release")
    _promote(name, version)
    return version


def _log_forest(n_estimators: int, max_depth: int, min_samples_leaf: int = 1) -> Any:
    """Train a forest and log it in a run with the tag ROLE; MLflow's ModelInfo."""
    import mlflow
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import accuracy_score, log_loss

    X_train, X_test, y_train, y_test = load_flowers()
    params = {"n_estimators": n_estimators, "max_depth": max_depth, "random_state": 42}
    name = f"forest-{n_estimators}-depth-{max_depth}"
    if min_samples_leaf > 1:
        params["min_samples_leaf"], name = min_samples_leaf, f"{name}-leaf-{min_samples_leaf}"
    with mlflow.start_run(run_name=name, tags=ROLE):
        forest = RandomForestClassifier(**params).fit(X_train, y_train)
        mlflow.log_params(params)
        mlflow.log_metric("accuracy", float(accuracy_score(y_test, forest.predict(X_test))))
        mlflow.log_metric("log_loss", float(log_loss(y_test, forest.predict_proba(X_test))))
        return mlflow.sklearn.log_model(
            forest, name="model", skops_trusted_types=TRUSTED, input_example=X_test.head(2)
        )


def _latest(name: str, role: str) -> Any | None:
    """The latest version of a registered model with this role; None when there is none."""
    import mlflow

    found: Iterator[Any] = (
        version
        for version in mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
        if version.tags.get("role") == role
    )
    return max(found, key=lambda version: int(version.version), default=None)


def _promote(name: str, version: Any) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # stages are what the exercise is about
        client.transition_model_version_stage(
            name, str(version.version), "Production", archive_existing_versions=True
        )
    client.set_registered_model_alias(name, "champion", version.version)


def _mixed_up(features: pd.DataFrame, classes: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """A training part with a mistake that no model recovers from."""
    if tuple(features.columns) == COLUMNS:
        length, width = COLUMNS[2:]
        return features.assign(**{length: features[width], width: features[length]}), classes
    names = sorted(classes.unique())
    return features, classes.map(dict(zip(names, [*names[1:], names[0]], strict=True)))
