"""What later exercises start from: logged forests, registered versions, and a release that went wrong."""

import warnings
from typing import Any

from autograder.workspace.data import load_flowers

#: Depths of the candidates, in the order in which they are logged; the deepest has the lowest log-loss.
DEPTHS = (2, 5, 1)
#: The tag that tells these runs from others in the experiment.
ROLE = {"role": "candidate"}
#: The one type in a saved forest that skops does not know by itself.
TRUSTED = ["sklearn.tree._tree.Tree"]


def log_candidates(experiment: str = "flower-species", trees: int = 60) -> list[str]:
    """Log three forests, trained on the flowers, into ``experiment``; their run ids, as they were logged.

    Each run has the tag ROLE, its parameters, ``accuracy`` and ``log_loss`` on the test part, a name, and
    its model with a signature. Leaves ``experiment`` the current one.
    """
    import mlflow
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import accuracy_score, log_loss

    X_train, X_test, y_train, y_test = load_flowers()
    mlflow.set_experiment(experiment)
    ids = []
    for max_depth in DEPTHS:
        params = {"n_estimators": trees, "max_depth": max_depth, "random_state": 42}
        with mlflow.start_run(run_name=f"forest-{trees}-depth-{max_depth}", tags=ROLE) as run:
            forest = RandomForestClassifier(**params).fit(X_train, y_train)
            mlflow.log_params(params)
            mlflow.log_metric("accuracy", float(accuracy_score(y_test, forest.predict(X_test))))
            mlflow.log_metric("log_loss", float(log_loss(y_test, forest.predict_proba(X_test))))
            mlflow.sklearn.log_model(
                forest, name="model", skops_trusted_types=TRUSTED, input_example=X_test.head(2)
            )
        ids.append(run.info.run_id)
    return ids


def register_candidates(name: str = "IrisRandomForest") -> tuple[Any, Any]:
    """Log the candidates and register two of them: the version in use and a newer, better one.

    Returns both as MLflow's ModelVersion. Each carries the tag ``role``, “current” or “newer”.
    """
    import mlflow

    client = mlflow.MlflowClient()
    versions = []
    for run_id, role in zip(log_candidates(), ("current", "newer"), strict=False):
        (model,) = mlflow.search_logged_models(
            filter_string=f"source_run_id = '{run_id}'", output_format="list"
        )
        version = mlflow.register_model(model.model_uri, name)
        client.set_model_version_tag(name, version.version, "role", role)
        versions.append(version)
    return versions[0], versions[1]


def put_in_use(name: str, version: Any) -> None:
    """Make a version the one that programs get: stage Production, alias champion; others are archived."""
    import mlflow

    client = mlflow.MlflowClient()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # stages are what the exercise is about
        client.transition_model_version_stage(
            name, str(version.version), "Production", archive_existing_versions=True
        )
    client.set_registered_model_alias(name, "champion", version.version)


def release_in_a_hurry(name: str = "IrisRandomForest") -> None:
    """Release a version that nobody evaluated: what a colleague does on the evening before a holiday.

    The forest was trained on a table in which lengths and widths of the petals had changed places. It is
    registered with the tag ``role`` = “release” and put in use.
    """
    import mlflow
    from sklearn.ensemble import RandomForestClassifier

    X_train, _, y_train, _ = load_flowers()
    length, width = X_train.columns[2:4]
    mixed_up = X_train.assign(**{length: X_train[width], width: X_train[length]})
    with mlflow.start_run(run_name="forest-release", tags={"role": "release"}):
        forest = RandomForestClassifier(n_estimators=60, max_depth=5, random_state=42).fit(mixed_up, y_train)
        mlflow.log_params({"n_estimators": 60, "max_depth": 5})
        model = mlflow.sklearn.log_model(
            forest, name="model", skops_trusted_types=TRUSTED, input_example=mixed_up.head(2)
        )
    version = mlflow.register_model(model.model_uri, name)
    mlflow.MlflowClient().set_model_version_tag(name, version.version, "role", "release")
    put_in_use(name, version)
