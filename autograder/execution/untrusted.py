"""Score a model that can only be loaded by running code that it brings: in a process of its own.

``score_untrusted`` is the one door for pickles and other frameworks. The process gets the features
and no labels, a scrubbed environment and a time limit. It is not a sandbox: it can read what the
user running it can read.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from autograder.evidence import Scoring
from autograder.execution.environment import kernel_environment

#: Seconds that loading and scoring one model may take.
TIMEOUT = 60
#: An answer longer than this is not read, in bytes.
LARGEST_ANSWER = 4 << 20

_scoring = TypeAdapter(Scoring)


def score_untrusted(folder: Path, features: pd.DataFrame, timeout: float = TIMEOUT) -> Scoring:
    """What the model in ``folder`` answers for ``features``. Never raises: failing is an answer, too."""
    with tempfile.TemporaryDirectory(prefix="kit-score-", ignore_cleanup_errors=True) as home:
        answer = Path(home) / "answer.json"
        request = {"folder": str(folder.resolve()), "features": features.to_dict(orient="split")}
        try:
            subprocess.run(
                [sys.executable, "-m", "autograder.execution.score_process", str(answer)],
                input=json.dumps(request).encode(),
                env=kernel_environment(Path(home)),
                cwd=home,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Scoring(error=f"loading it and asking it took longer than {timeout:g} seconds")
        if not answer.is_file() or answer.stat().st_size > LARGEST_ANSWER:
            return Scoring(error="the process that loaded it ended without an answer")
        try:
            return _scoring.validate_json(answer.read_bytes())
        except ValidationError:
            return Scoring(error="the process that loaded it gave an answer that is no prediction")
