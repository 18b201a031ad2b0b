"""Serve a model and have it called, and a run logged, from other languages: `make languages`.

    python book/languages/run.py [--folder FOLDER] [--outputs FOLDER] [curl] [R] [java]

Needs curl and, of Debian, r-base-core, r-cran-httr, r-cran-jsonlite and openjdk-17-jdk-headless. The
workspace is a private one, in an empty folder. What the clients print goes to ``outputs/``, which the book
shows, and so does what the store has of their runs.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.deployments import get_deploy_client
from sklearn.ensemble import RandomForestClassifier

from autograder.workspace import load_flowers, open_workspace

HERE = Path(__file__).resolve().parent
ENDPOINT = "flowers"
EXPERIMENT = "flowers-by-language"
MODEL = "IrisRandomForest"
#: Seconds that loading the model, and each client, may take.
PATIENCE = 120
WIDTH = 78


@dataclass(frozen=True)
class Client:
    """How a client is started, the Debian packages with that, and how it tells its versions."""

    command: tuple[str, ...]
    packages: str
    versions: tuple[str, ...]


_R_VERSIONS = """
cat("R", paste(getRversion()), "httr", paste(packageVersion("httr")),
    "jsonlite", paste(packageVersion("jsonlite")))
"""
CLIENTS = {
    "curl": Client(("sh", "client.sh"), "curl", ("curl", "--version")),
    "R": Client(
        ("Rscript", "--vanilla", "client.R"),
        "r-base-core r-cran-httr r-cran-jsonlite",
        ("Rscript", "--vanilla", "-e", _R_VERSIONS),
    ),
    "java": Client(("java", "Client.java"), "openjdk-17-jdk-headless", ("java", "--version")),
}


def prepare() -> None:
    """Register a forest of flowers and put it behind an endpoint; an experiment for the clients' runs."""
    X_train, _, y_train, _ = load_flowers()
    forest = RandomForestClassifier(n_estimators=120, max_depth=5, random_state=42).fit(X_train, y_train)
    mlflow.set_experiment(EXPERIMENT)
    logged = mlflow.sklearn.log_model(
        forest,
        name="model",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
        input_example=X_train.head(2),
        registered_model_name=MODEL,
    )
    entity = {"entity_name": MODEL, "entity_version": str(logged.registered_model_version)}
    entity |= {"workload_size": "Small", "scale_to_zero_enabled": True}
    client = get_deploy_client("databricks")
    client.create_endpoint(config={"name": ENDPOINT, "config": {"served_entities": [entity]}})
    end = time.monotonic() + PATIENCE
    while (state := client.get_endpoint(ENDPOINT)["state"])["ready"] != "READY":
        if time.monotonic() > end or state["config_update"] == "UPDATE_FAILED":
            sys.exit(f"The endpoint is {state}; expected it to be ready within {PATIENCE} seconds.")
        time.sleep(0.1)


def printed_by(command: tuple[str, ...]) -> str:
    """What a client prints. Exits with what it said when it fails or prints what a page cannot show."""
    done = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    if max(map(len, lines)) > WIDTH:
        sys.exit(f"{' '.join(command)} prints lines wider than {WIDTH} characters:\n{done.stdout}")
    return "\n".join(lines) + "\n"


def versions(language: str) -> str:
    """A line with the versions that a client was run with."""
    done = subprocess.run(CLIENTS[language].versions, capture_output=True, text=True, timeout=60, check=True)
    found = re.findall(r"\b([A-Za-z]+ \d[\d.]*\d)", done.stdout.splitlines()[0])
    return ", ".join(found) + "\n"


def logged_runs() -> str:
    """The clients' runs as the store has them, a line each."""
    found = mlflow.search_runs(experiment_names=[EXPERIMENT], order_by=["attributes.start_time ASC"])
    lines = [f"{'run':<17}{'status':<10}{'language':<10}{'endpoint':<10}right"]
    for _, run in found.iterrows():
        name, language = run["tags.mlflow.runName"], run["tags.language"]
        lines.append(
            f"{name:<17}{run['status']:<10}{language:<10}{run['params.endpoint']:<10}{run['metrics.right']:g}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Serve, have the clients call, and write what they printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "languages", nargs="*", metavar="LANGUAGE", help="curl, R, java; all when none is given"
    )
    parser.add_argument("--folder", type=Path, help="an empty folder for the workspace, which stays there")
    parser.add_argument("--outputs", type=Path, default=HERE / "outputs", help="where what is printed goes")
    asked = parser.parse_args()
    names = asked.languages or list(CLIENTS)
    for name in names:
        if name not in CLIENTS:
            parser.error(f"there is no client in {name}; expected {', '.join(CLIENTS)}")
        if shutil.which(CLIENTS[name].command[0]) is None:
            sys.exit(
                f"{CLIENTS[name].command[0]} is not on this machine; expected it for {name}. On Debian:\n"
                f"apt-get install -y --no-install-recommends {CLIENTS[name].packages}"
            )
    outputs = asked.outputs.resolve()
    outputs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        workspace = open_workspace(asked.folder or temporary)
        os.chdir(workspace.folder)
        prepare()
        for name in names:
            print(f"{name} …", flush=True)
            (outputs / f"{name}.txt").write_text(printed_by(CLIENTS[name].command), encoding="utf-8")
        (outputs / "runs.txt").write_text(logged_runs(), encoding="utf-8")
        os.chdir(HERE)
        if workspace.server:
            workspace.server.close()
    (outputs / "versions.txt").write_text("".join(versions(name) for name in names), encoding="utf-8")


if __name__ == "__main__":
    main()
