"""A process that has MLflow and scikit-learn imported, and forks a limited child for each question.

Facts about a stranger's store and answers of a stranger's model are computed in such a child: it
starts in milliseconds, may crash or hang, and only JSON comes back from it.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from autograder import evidence
from autograder.evidence import Evidence, LoggedModel, Scoring, StoreError
from autograder.pipeline.untrusted import score_untrusted

#: Seconds until a warm process that was asked to end is ended.
PATIENCE = 10

_scoring = TypeAdapter(Scoring)


class WarmReader:
    """Reads stores and scores models through one warm process; use it as a context manager.

    Models that bring code are asked in a box; without ``sandbox``, in a process of their own.
    """

    def __init__(self, sandbox: bool = True) -> None:
        self.sandbox = sandbox
        self._process = self._start()

    @staticmethod
    def _start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "autograder.evidence.warm_process"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin and self._process.stdout:
            self._process.stdin.close()
            self._process.stdout.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def read_store(self, tracking_uri: str, seed: int) -> Evidence:
        """As :func:`autograder.evidence.store_reader`, in a child. Raises StoreError."""
        answer = self._ask({"question": "store", "tracking_uri": tracking_uri, "seed": seed})
        if "evidence" not in answer:
            kind = evidence.NoStore if answer.get("missing") else StoreError
            raise kind(answer.get("error") or "The store could not be read.")
        try:
            return evidence.load(json.dumps(answer["evidence"]))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise StoreError(
                f"The store holds what MLflow does not write: {where}: {first['msg']}."
            ) from None

    def score(self, model: LoggedModel, features: pd.DataFrame) -> Scoring:
        """What the model answers for ``features``.

        Skops files of types that the kit knows are loaded in a child; all else is untrusted.
        """
        if model.folder is None:
            return Scoring(error="its files are not beside the store")
        folder = Path(model.folder)
        if model.declared.serialization_format == "skops":
            table = features.to_dict(orient="split")
            answer = self._ask({"question": "score", "folder": model.folder, "features": table})
            if "scoring" in answer:
                return _scoring.validate_python(answer["scoring"])
            if not answer.get("foreign"):
                return Scoring(error=str(answer.get("error")))
        return score_untrusted(folder, features, sandbox=self.sandbox)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that reads stores has ended; this is a fault of the kit")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {"error": "the answer makes no sense"}
