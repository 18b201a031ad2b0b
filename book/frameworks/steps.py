"""The steps that are the same in every framework, from the data to an answer over HTTP."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import requests
from autograder.workspace import load_flowers

SPECIES = ["setosa", "versicolor", "virginica"]
#: Seconds in which a model must be served; importing TensorFlow takes some.
PATIENCE = 300
WIDTH = 74


def work_through(
    framework: str,
    params: dict[str, Any],
    fit: Callable[..., Any],
    log_model: Callable[..., Any],
    needs: list[str],
    as_rows: Callable[[pd.DataFrame], Any] = lambda table: table,
    **more: Any,
) -> None:
    """Train, log, register, load back and serve a model of a framework."""
    X_train, X_test, y_train, y_test = load_flowers()
    X_train, X_test = as_rows(X_train), as_rows(X_test)
    y_train, y_test = numbered(y_train), numbered(y_test)
    mlflow.set_experiment("flowers-by-framework")

    with mlflow.start_run(run_name=framework) as run:
        mlflow.log_params(params)
        model = fit(X_train, y_train)
        logged = log_model(
            model,
            name="model",
            input_example=X_train[:3],
            pip_requirements=pinned(["mlflow", "pandas", *needs]),
            registered_model_name=f"Flowers-{framework}",
            **more,
        )
        loaded = mlflow.pyfunc.load_model(logged.model_uri)
        right = species_of(loaded.predict(X_test)) == y_test
        mlflow.log_metric("accuracy", right.mean())

    number = logged.registered_model_version
    body = as_body(one_of_each(X_test, y_test))
    with served(f"models:/Flowers-{framework}/{number}") as url:
        answer = requests.post(
            f"{url}/invocations", json=body, timeout=60
        )

    show(run.info.run_id, logged, body, answer)


def pinned(packages: list[str]) -> list[str]:
    """Packages with the versions that are installed."""
    return [f"{name}=={version(name)}" for name in packages]


def numbered(species: pd.Series) -> np.ndarray:
    """The species as 0, 1 and 2, which every framework takes."""
    return species.map(SPECIES.index).to_numpy()


def species_of(predicted: Any) -> np.ndarray:
    """The number of the species: some models answer with it, nets with three probabilities."""
    answers = np.asarray(predicted)
    return answers.argmax(axis=1) if answers.ndim == 2 else answers


def as_body(rows: Any) -> dict[str, Any]:
    """Rows as a request: a table with the names of its columns, an array without."""
    if isinstance(rows, pd.DataFrame):
        return {
            "dataframe_split": rows.to_dict(orient="split", index=False)
        }
    return {"inputs": rows.astype(float).round(1).tolist()}


def one_of_each(rows: Any, species: np.ndarray) -> Any:
    """The first flower of each species."""
    first = [
        int(np.flatnonzero(species == number)[0]) for number in range(3)
    ]
    return (
        rows.iloc[first]
        if isinstance(rows, pd.DataFrame)
        else rows[first]
    )


@contextlib.contextmanager
def served(model_uri: str) -> Iterator[str]:
    """Where a model answers, served by `mlflow models serve` as long as this lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mlflow", "models", "serve", "--model-uri", model_uri]
    command += ["--env-manager", "local", "--port", str(port)]
    with Path("serving.log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers; raise RuntimeError when it ended or does not in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/ping", timeout=60).ok:
                return
        time.sleep(0.2)
    raise RuntimeError(
        f"{url} does not answer; expected the served model within {PATIENCE} seconds. It said:\n"
        + Path("serving.log").read_text()[-3000:]
    )


def show(
    run_id: str,
    logged: Any,
    body: dict[str, Any],
    answer: requests.Response,
) -> None:
    """Print what the store and the endpoint say, without what differs from run to run."""
    run = mlflow.get_run(run_id)
    folder = Path(mlflow.artifacts.download_artifacts(logged.model_uri))
    own = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file()
    )
    requirements = (folder / "requirements.txt").read_text().split()
    say("run", f"{run.info.run_name}, {run.info.status}")
    say(
        "params",
        ", ".join(f"{k}={v}" for k, v in sorted(run.data.params.items())),
    )
    say("accuracy", f"{run.data.metrics['accuracy']:.2f}")
    say(
        "version",
        f"{logged.registered_model_version} of Flowers-{run.info.run_name}",
    )
    say("flavors", ", ".join(sorted(logged.flavors)))
    say("files", ", ".join(own))
    say("needs", ", ".join(requirements))
    say(
        "takes",
        "; ".join(shape(spec) for spec in logged.signature.inputs),
    )
    say(
        "gives",
        "; ".join(shape(spec) for spec in logged.signature.outputs),
    )
    say("sent", json.dumps(body))
    say(
        "answered",
        f"{answer.status_code} {json.dumps(rounded(answer.json()))}",
    )


def shape(spec: Any) -> str:
    """A column or a tensor of a signature."""
    name = f"{spec.name}: " if spec.name else ""
    return (
        f"{name}tensor {spec.type} {spec.shape}"
        if hasattr(spec, "shape")
        else f"{name}{spec.type.name}"
    )


def rounded(answer: Any) -> Any:
    """The same with two digits: the last ones differ from machine to machine."""
    if isinstance(answer, dict):
        return {key: rounded(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(value) for value in answer]
    return round(answer, 2) if isinstance(answer, float) else answer


def say(what: str, text: str) -> None:
    """Print a line, and what does not fit into it under it."""
    print(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=f"{what:<10}",
            subsequent_indent=" " * 10,
        )
    )
