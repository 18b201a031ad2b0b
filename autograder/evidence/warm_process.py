"""The process behind ``execution.WarmReader``: imports once, then answers each question in a forked child.

Where processes cannot be forked (Windows), the child is started anew: slower, otherwise the same.
"""

import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io  # noqa: F401 (looks through all modules there are: before MLflow's, it is quicker)
from pydantic import TypeAdapter

from autograder import evidence
from autograder.base.text import one_line
from autograder.evidence import Scoring, StoreError, score_model, skops_file
from autograder.evidence.models import ForeignTypes, load_skops, why_unusable
from autograder.evidence.store_reader import read_store

#: Limits of one child: seconds of time, bytes of memory, bytes of the answer.
TIMEOUT = 60
MEMORY = 4 << 30
LARGEST_ANSWER = 64 << 20

_scoring = TypeAdapter(Scoring)


def _store(question: dict[str, Any]) -> dict[str, Any]:
    try:
        facts = read_store(question["tracking_uri"], question["seed"])
    except StoreError as error:
        return {"error": str(error), "missing": isinstance(error, evidence.NoStore)}
    return {"evidence": json.loads(evidence.dump(facts))}


def _score(question: dict[str, Any]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    path = skops_file(Path(question["folder"]))
    if path is None:
        return {"foreign": True}
    try:
        scoring = score_model(load_skops(path), pd.DataFrame(**question["features"]))
    except ForeignTypes as error:
        if error.of_science:
            return {"foreign": True}
        scoring = Scoring(error=why_unusable(error))
    except Exception as error:
        scoring = Scoring(error=why_unusable(error))
    return {"scoring": _scoring.dump_python(scoring, mode="json")}


ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"store": _store, "score": _score}


def _child(question: dict[str, Any], connection: Connection) -> None:
    _limit_memory()
    sys.stdout = sys.stderr
    try:
        answer = ANSWERS[question["question"]](question)
    except Exception as error:
        problem = one_line(f"{type(error).__name__}: {error}")
        answer = {"error": f"It holds what MLflow does not write ({problem})."}
    connection.send_bytes(json.dumps(answer).encode())


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _answer(question: dict[str, Any], context: Any) -> bytes:
    """Answer one question in a child; a child that crashes or hangs is an answer, too."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(question, sender), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(TIMEOUT):
            return _error(f"it took longer than {TIMEOUT} seconds")
        answer: bytes = receiver.recv_bytes(LARGEST_ANSWER)
        json.loads(answer)
        return answer
    except (EOFError, OSError, ValueError):
        child.join(1)
        return _error(f"the process that read it ended early (exit code {child.exitcode})")
    finally:
        child.kill()
        child.join()
        receiver.close()


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def serve() -> None:
    """Answer questions, one JSON object a line, until standard input ends."""
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    import PIL.Image
    import scipy.ndimage  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401
    import sqlalchemy.orm

    PIL.Image.preinit()
    sqlalchemy.orm.configure_mappers()

    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    for line in sys.stdin.buffer:
        answer = _answer(json.loads(line), context)
        sys.stdout.buffer.write(answer.replace(b"\n", b" ") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
