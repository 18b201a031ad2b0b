"""Score a model that can only be loaded by running code that it brings: in a box.

``score_untrusted`` is the one door for pickles and other frameworks. What runs gets the features and
no labels, and has limits.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from autograder.evidence import Scoring
from autograder.sandbox.box import Box
from autograder.sandbox.kernel_environment import kernel_environment
from autograder.sandbox.limits import Limits

#: Seconds that loading and scoring one model may take.
TIMEOUT = 60
#: An answer longer than this is not read, in bytes.
LARGEST_ANSWER = 4 << 20
COMMAND = [sys.executable, "-m", "autograder.evidence.score_process"]
#: The parts of the kit that the command needs.
PARTS = ("__init__.py", "base", "data", "databricks", "evidence", "workspace")

_scoring = TypeAdapter(Scoring)


def score_untrusted(
    folder: Path, features: pd.DataFrame, timeout: float = TIMEOUT, sandbox: bool = True
) -> Scoring:
    """What the model in ``folder`` answers for ``features``; failing is an answer, too.

    Without ``sandbox`` it is asked in a process of its own, with a scrubbed environment, which can do
    all that the user running this can. Raises NoSandbox and BoxFailed, see
    :func:`autograder.sandbox.run_notebook`.
    """
    with tempfile.TemporaryDirectory(prefix="kit-score-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        shutil.copytree(folder, home / "model", symlinks=True)
        request = json.dumps(features.to_dict(orient="split"))
        (home / "request.json").write_text(request, encoding="utf-8")
        answer = _boxed(home, timeout) if sandbox else _unboxed(home, timeout)
    if isinstance(answer, str):
        return Scoring(error=answer)
    try:
        return _scoring.validate_json(answer)
    except ValidationError:
        return Scoring(error="the process that loaded it gave an answer that is no prediction")


def _boxed(home: Path, timeout: float) -> bytes | str:
    """The answer, or in one line why there is none."""
    with Box(Limits(wall=timeout)) as box:
        box.bring(home)
        environment = kernel_environment(home)
        with box.running(COMMAND, environment, parts=PARTS) as process:
            process.wait()
        if box.why:
            return f"loading it and asking it was ended: {box.why}"
        answer = box.read("answer.json", LARGEST_ANSWER)
    return answer or "the process that loaded it ended without an answer"


def _unboxed(home: Path, timeout: float) -> bytes | str:
    try:
        subprocess.run(
            COMMAND,
            env=kernel_environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"loading it and asking it took longer than {timeout:g} seconds"
    return answer_in(home)


def answer_in(home: Path) -> bytes | str:
    """What the process has left in its folder, or in one line why there is none."""
    answer = home / "answer.json"
    if not answer.is_file() or answer.stat().st_size > LARGEST_ANSWER:
        return "the process that loaded it ended without an answer"
    return answer.read_bytes()
