"""A notebook that ends right after a call: the call is in the request log when its process is gone."""

import shutil
import sys
from pathlib import Path

from autograder.databricks.tables import Tables
from tests.conftest import run
from tests.support.workspace_kernel import CALL, ENDPOINT, MODEL, OPEN


def test_the_last_call_is_written_down_before_the_process_is_gone(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", OPEN + MODEL + ENDPOINT + CALL, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "200 " in done.stdout
    calls = Tables(tmp_path).read("serving_payload")
    assert list(calls["status_code"]) == [200]
    shutil.rmtree(tmp_path)  # and nobody writes there any more
