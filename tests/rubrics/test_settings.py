"""What an instructor may set, and what becomes of it in the notebook, the exercise and the gradebook."""

import csv
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from sklearn.datasets import load_iris

from autograder.data import load_flowers, settings
from autograder.data.settings import SettingsError, load_settings
from autograder.evidence import Evidence
from autograder.grading import Report
from autograder.notebook import open_exercise
from autograder.pipeline.rehearsal import rehearse
from autograder.rubrics import Status, load_rubric
from autograder.rubrics.by_assignment.tracking import truth
from tests.conftest import ALL_SAMPLES, ASSIGNMENT, ROOT, make_course
from tests.support.forked_command import run

TABLE = "length,width,kind\n" + "\n".join(
    f"{base + n / 10},{base * 2 - n / 7},{kind}" for kind, base in (("red", 3), ("blue", 9)) for n in range(9)
)
SETTINGS = """
deadline = 2026-03-01T12:00:00+01:00
late_penalty = 0.1

[points]
own-experiment = 4
best-is-best = 1

[data]
spread = 1.5
rows_per_class = 200
"""


def write(folder: Path, text: str) -> Path:
    (folder / "settings.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_the_file_everything_is_as_usual(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == settings.USUAL
    assert load_rubric(ASSIGNMENT, settings.USUAL).points == 25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("points = {", "is no TOML file"),
        (
            "[points]\nown-experiment = -1",
            r"points\.own-experiment: .*greater than or equal to 0 \(found -1\)",
        ),
        ("[points]\nown-experiment = nan", r"points\.own-experiment: .*finite"),
        ("penalty = 3", r"penalty: .* \(found 3\)\. The settings are: points, thresholds, data, deadline"),
        ("[data]\nspread = 0", r"data\.spread: .*greater than 0"),
        ("[data]\ntable = 'none.csv'", r"The table .*none\.csv of the settings cannot be read"),
        (
            "deadline = 2026-03-01T12:00:00",
            r"has no time zone; expected for example 2027-01-31T23:59:00\+01:00",
        ),
        ("deadline = 'soon'", "deadline: .*datetime"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as raised:
        load_settings(write(tmp_path, text))
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[points]\nown-experimnt = 1",
            "name the criterion 'own-experimnt'; expected one of: own-experiment, ",
        ),
        ("[thresholds]\nlog_loss = nan", "finite"),
        ("[thresholds]\naccuracy = 1", "name the threshold 'accuracy'; it has none"),
    ],
)
def test_what_the_rubric_does_not_have_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_rubric(ASSIGNMENT, load_settings(write(tmp_path, text)))


def test_a_table_s_rows_are_drawn_and_split_by_seed_and_the_rubric_knows_their_truth(tmp_path: Path) -> None:
    (tmp_path / "things.csv").write_text(TABLE)
    own = load_settings(
        write(tmp_path, "[data]\ntable = 'things.csv'\nrows_per_class = 60\ntest_share = 0.25")
    )
    X_train, X_test, _, y_test = load_flowers(3, own)
    assert list(X_train.columns) == ["length", "width"]
    assert (len(X_train), len(X_test)) == (90, 30)
    assert set(y_test) == {"red", "blue"}
    assert list(truth(Evidence(seed=3, settings=own))) == list(y_test)
    assert not X_test.equals(load_flowers(4, own).X_test)


@pytest.mark.parametrize("table", ["a,b\n1,x\n2,x\n", "a,b\nyes,x\nno,x\n", "a,b\n1,x\n,x\n3,x\n4,x\n", ""])
def test_a_table_that_cannot_be_drawn_from_says_what_is_expected(tmp_path: Path, table: str) -> None:
    (tmp_path / "things.csv").write_text(table)
    own = load_settings(write(tmp_path, "[data]\ntable = 'things.csv'"))
    with pytest.raises(ValueError, match="expected a CSV file of numbers whose last column is the class"):
        load_flowers(3, own)


def test_a_table_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "things.csv").write_text(TABLE * 300)
    with pytest.raises(SettingsError, match="64000 at most"):
        load_settings(write(tmp_path, "[data]\ntable = 'things.csv'"))


def test_the_opened_exercise_works_and_checks_by_the_settings_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.SETTINGS_VARIABLE, "")
    exercise = open_exercise(ASSIGNMENT, write(tmp_path, SETTINGS))
    assert len(load_flowers().X_test) == 240
    assert exercise.check().report.maximum == 25 + 2 - 1
    again = tmp_path / "again"
    again.mkdir()
    open_exercise(ASSIGNMENT, again)
    assert len(load_flowers().X_test) == 600


def test_points_deadline_and_data_reach_the_exercise_the_grade_and_the_gradebook(
    course: Callable[..., Path],
) -> None:
    root = course("solution")
    write(root / "solutions" / ASSIGNMENT, SETTINGS)
    done = run("nbgrader", "generate_assignment", ASSIGNMENT, "--force", folder=root)
    assert done.returncode == 0, done.stdout
    released = root / "exercises" / ASSIGNMENT
    assert (released / "settings.toml").read_text() == SETTINGS
    cells = nbformat.read(released / f"{ASSIGNMENT}.ipynb", as_version=4).cells
    points = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader.get("points") for c in cells}
    assert (points["experiment"], points["compare"]) == (4, 7)

    handed_in = root / "submitted" / "solution" / ASSIGNMENT
    (handed_in / "timestamp.txt").write_text("2026-03-02 13:00:00 UTC")  # a day and two hours after
    write(handed_in, "[points]\nown-experiment = 900")  # changes nothing
    done = run("mlflow-kit", "grade", ASSIGNMENT, folder=root)
    assert done.returncode == 0, done.stdout
    assert "26 of 26" in done.stdout
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as gradebook:
        graded = gradebook.find_submission(ASSIGNMENT, "solution")
        (notebook,) = graded.notebooks
        assert (notebook.score, notebook.max_score) == (26, 26)
        assert notebook.late_submission_penalty == pytest.approx(0.2 * 26)
        assert {grade.max_score for grade in notebook.grades if grade.name == "experiment"} == {4}


def rehearsed(assignment: str, name: str, folder: Path, text: str) -> Report:
    """The report on a sample in a folder with these settings and the table."""
    notebooks = (
        nbformat.read(ROOT / kind / assignment / f"{assignment}.ipynb", as_version=4)
        for kind in ("solutions", "exercises")
    )
    path = write(folder, text) / f"{assignment}.ipynb"
    path.write_text(ALL_SAMPLES[assignment][name].content(*notebooks), encoding="utf-8")
    return rehearse(assignment, path, seed=5)


def test_another_threshold_is_what_the_notebook_states_and_the_rubric_asks(
    tmp_path: Path, quick: None
) -> None:
    """Under it the newer version does not pass either: marking it as passed is wrong, computing is right."""
    lower = "[thresholds]\nlog_loss = 0.05"
    wrong = rehearsed("05-promotion", "marks-everything-as-passed", tmp_path, lower)
    right = rehearsed("05-promotion", "solution", tmp_path, lower)
    assert {r.id: r.outcome.status for r in wrong.results}["newer-marked"] == Status.FAILED
    assert {r.id: r.outcome.status for r in right.results}["newer-marked"] == Status.PASSED


@pytest.mark.parametrize("assignment", ["02-logging-patterns", "04-registry", "06-serving"])
def test_the_solution_earns_all_on_an_instructor_s_own_table(
    assignment: str, tmp_path: Path, quick: None
) -> None:
    beetles = load_iris(as_frame=True).frame
    beetles.columns = ["head", "thorax", "wing", "leg", "kind"]
    beetles.kind = beetles.kind.map({0: "ground", 1: "stag", 2: "longhorn"})
    beetles.to_csv(tmp_path / "beetles.csv", index=False)
    report = rehearsed(assignment, "solution", tmp_path, "[data]\ntable = 'beetles.csv'\nspread = 1.5")
    assert {r.id for r in report.results if r.outcome.status is not Status.PASSED} == set(), report


def late_points(course: Path, assignment: str) -> dict[str, float]:
    """What ``nbgrader export`` writes of the one submission's points."""
    done = run("nbgrader", "export", "--to", "grades.csv", folder=course)
    assert done.returncode == 0, done.stdout
    with (course / "grades.csv").open(encoding="utf-8") as file:
        (row,) = (row for row in csv.DictReader(file) if row["assignment"] == assignment)
    return {name: float(row[name]) for name in ("raw_score", "late_submission_penalty", "score")}


def test_what_a_person_gives_a_late_submission_is_penalised_once_whatever_the_order(tmp_path: Path) -> None:
    assignment = "10-capstone"
    root = make_course(tmp_path, {"ann": ALL_SAMPLES[assignment]["half-done"]}, assignment)
    write(root / "solutions" / assignment, "deadline = 2026-03-01T12:00:00Z\nlate_penalty = 0.1")
    (root / "submitted" / "ann" / assignment / "timestamp.txt").write_text("2026-03-02 13:00:00 UTC")
    done = run("nbgrader", "autograde", assignment, folder=root)
    assert done.returncode == 0, done.stdout
    before = late_points(root, assignment)
    assert before["late_submission_penalty"] == pytest.approx(0.2 * before["raw_score"])

    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as gradebook:  # as formgrader does
        note = gradebook.find_grade("note", assignment, assignment, "ann")
        note.manual_score, note.needs_manual_grade = 5, False
        gradebook.db.commit()
    done = run("nbgrader", "generate_feedback", assignment, folder=root)
    assert done.returncode == 0, done.stdout
    whole = before["raw_score"] + 5
    assert f"Late submission penalty: {0.2 * whole:.12g}"[:30] in done.stdout
    expected = {
        "raw_score": whole,
        "late_submission_penalty": pytest.approx(0.2 * whole),
        "score": pytest.approx(0.8 * whole),
    }
    assert late_points(root, assignment) == expected
    done = run("nbgrader", "autograde", assignment, "--force", folder=root)
    assert done.returncode == 0, done.stdout
    assert late_points(root, assignment) == expected


def test_settings_that_do_not_fit_stop_generating_and_grading_with_their_words(
    course: Callable[..., Path],
) -> None:
    root = course("solution")
    write(root / "solutions" / ASSIGNMENT, "[points]\nnobody = 3")
    for command in ("generate_assignment", "autograde"):
        done = run("nbgrader", command, ASSIGNMENT, "--force", folder=root)
        assert done.returncode != 0
        assert "name the criterion 'nobody'" in done.stdout
