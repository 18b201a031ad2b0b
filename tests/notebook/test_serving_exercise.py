"""The serving exercise's given cells: after a restart all is there, a failed update is told at once."""

import json
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell

from tests.pipeline.test_assignments import WHOLE_REPORT, code_cells, errors, run_cells, text

ASSIGNMENT = "06-serving"
#: The cells that an exercise gives: those that open it and make what it is about.
GIVEN = ("setup", "versions")
#: A version whose files are gone, and what waiting for it says, and after how long.
BROKEN = """
import shutil
from mlflow import MlflowClient, search_logged_models

(model,) = [one for one in search_logged_models(output_format="list") if one.model_id in MODEL]
shutil.rmtree(model.artifact_location.removeprefix("file://"))
served = {"entity_name": "IrisRandomForest", "entity_version": str(newer.version)}
client.create_endpoint(name=ENDPOINT, config={"served_entities": [served]})
began = time.monotonic()
try:
    wait_until_ready()
except RuntimeError as error:
    print(json.dumps([str(error), time.monotonic() - began]))
"""
MODEL = "import json; MODEL = MlflowClient().get_model_version('IrisRandomForest', newer.version).source"


@pytest.mark.xdist_group(f"runs {ASSIGNMENT}")
def test_the_given_cells_after_a_restart_leave_all_that_was_done(tmp_path: Path) -> None:
    cells = code_cells(ASSIGNMENT)
    given = [cell for cell in cells if cell.metadata.nbgrader.grade_id in GIVEN]
    assert len(given) == len(GIVEN)
    report = new_code_cell(WHOLE_REPORT)
    before, after = (run_cells([*some, report], tmp_path) for some in (cells, given))
    assert not errors(before)
    assert not errors(after)
    assert json.loads(text(before[-1])) == json.loads(text(after[-1]))
    assert {status for status, _ in json.loads(text(after[-1])).values()} == {"passed"}


@pytest.mark.xdist_group(f"runs {ASSIGNMENT}")
def test_waiting_for_an_update_that_failed_ends_at_once_and_says_why(tmp_path: Path) -> None:
    given = [cell for cell in code_cells(ASSIGNMENT) if cell.metadata.nbgrader.grade_id in GIVEN]
    find = new_code_cell("from mlflow import MlflowClient\n" + MODEL)
    done = run_cells([*given, find, new_code_cell(BROKEN)], tmp_path)
    assert not errors(done)
    said, seconds = json.loads(text(done[-1]).splitlines()[-1])
    assert "could not be updated: " in said
    assert len(said) > len("iris-endpoint could not be updated: ")
    assert seconds < 30
