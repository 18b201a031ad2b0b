"""Fill an MLflow store with the runs that the screenshots show: same ids, names and times every time.

    python book/tools/seed_store.py FOLDER

Only for pictures: ids and the clock are replaced, so this process must do nothing else.
"""

import logging
import os
import random
import sys
import uuid
from pathlib import Path

FIRST_RUN = 1_767_603_600_000  # 2026-01-05 09:00:00 UTC, in milliseconds
BETWEEN_RUNS = 300_000


class Clock:
    """A clock that goes on by one second at each look."""

    def __init__(self) -> None:
        self.now = FIRST_RUN

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        self.now += 1_000
        return self.now


def main(folder: Path) -> None:
    """Make the store in ``folder``, which must not exist."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    os.environ.update(LOGNAME="student", USER="student", MLFLOW_KIT_SEED="2026")

    from autograder.workspace import load_flowers, open_workspace

    open_workspace()
    import mlflow
    import mlflow.sklearn
    import mlflow.store.model_registry.sqlalchemy_store  # so that its clock is replaced, too
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, log_loss

    numbers, clock = random.Random(20260105), Clock()
    uuid.uuid4 = lambda: uuid.UUID(int=numbers.getrandbits(128), version=4)
    for name, module in list(sys.modules.items()):
        if name.startswith("mlflow") and hasattr(module, "get_current_time_millis"):
            module.get_current_time_millis = clock
    logging.getLogger("mlflow").setLevel(logging.ERROR)

    X_train, X_test, y_train, y_test = load_flowers()
    mlflow.set_experiment("flower-species")
    models = {
        "forest-depth-1": RandomForestClassifier(120, max_depth=1, random_state=42),
        "forest-depth-2": RandomForestClassifier(120, max_depth=2, random_state=42),
        "forest-depth-5": RandomForestClassifier(120, max_depth=5, random_state=42),
        "logistic-c-0.1": LogisticRegression(C=0.1, max_iter=1000),
    }
    for number, (name, model) in enumerate(models.items()):
        clock.now = FIRST_RUN + number * BETWEEN_RUNS
        forest = isinstance(model, RandomForestClassifier)
        with mlflow.start_run(run_name=name, tags={"model_family": "forest" if forest else "linear"}) as run:
            model.fit(X_train, y_train)
            shown = ("n_estimators", "max_depth") if forest else ("C", "max_iter")
            mlflow.log_params({key: getattr(model, key) for key in shown})
            mlflow.log_metrics(
                {
                    "accuracy": round(accuracy_score(y_test, model.predict(X_test)), 4),
                    "log_loss": round(log_loss(y_test, model.predict_proba(X_test)), 4),
                }
            )
            mlflow.set_tag("mlflow.source.name", "01-tracking.ipynb")
            mlflow.set_tag("mlflow.user", "student")
            for tag in run.data.tags:  # the commit of whoever takes the pictures
                if tag.startswith("mlflow.source.git."):
                    mlflow.MlflowClient().delete_tag(run.info.run_id, tag)
            trusted = ["sklearn.tree._tree.Tree"]
            mlflow.sklearn.log_model(
                model, name="model", skops_trusted_types=trusted, input_example=X_test.head(2)
            )
    best = mlflow.search_runs(order_by=["metrics.log_loss"], max_results=2)
    client = mlflow.MlflowClient()
    client.set_tag(best.run_id[0], "best", "true")
    client.create_registered_model("IrisRandomForest", description="Names the species of a flower.")
    for run_id, role in zip(reversed(best.run_id), ("in use before", "champion"), strict=True):
        (model,) = client.search_logged_models(["1"], filter_string=f"source_run_id = '{run_id}'")
        version = client.create_model_version(
            "IrisRandomForest", f"models:/{model.model_id}", run_id, tags={"validation_status": "passed"}
        ).version
        client.update_model_version("IrisRandomForest", version, description=f"Evaluated; {role}.")
    client.set_registered_model_alias("IrisRandomForest", "champion", version)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
