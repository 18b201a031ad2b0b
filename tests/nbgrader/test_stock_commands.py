"""nbgrader's own commands work on every assignment, and the kit adds no warning to what they say."""

import html
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.rubrics import assignments, load_rubric
from tests.conftest import ROOT, graded_in, run

each_assignment = pytest.mark.parametrize(
    "assignment",
    [
        pytest.param(name, marks=pytest.mark.xdist_group(graded_in(name, "solution")))
        for name in assignments()
    ],
)
#: What nbgrader says by itself, whatever the course.
ITS_OWN = ("[IPKernelApp] WARNING | Kernel is running over TCP without encryption",)


def complaints(output: str) -> list[str]:
    """The warnings and errors among the lines that a command wrote."""
    lines = [
        line for line in output.splitlines() if re.search(r"WARNING|ERROR|CRITICAL|Warning:|Error:", line)
    ]
    return [line for line in lines if not any(known in line for known in ITS_OWN)]


@each_assignment
def test_generating_makes_what_is_committed(assignment: str, class_of: Callable[[str, str], Path]) -> None:
    course = class_of(assignment, "solution")
    shutil.rmtree(course / "exercises" / assignment)
    done = run("nbgrader", "generate_assignment", assignment, folder=course)
    assert done.returncode == 0, done.stdout
    assert not complaints(done.stdout)
    made, committed = (root / "exercises" / assignment / f"{assignment}.ipynb" for root in (course, ROOT))
    assert made.read_bytes() == committed.read_bytes(), f"run `make exercises`: {assignment} differs"


@each_assignment
def test_the_solution_validates(assignment: str, class_of: Callable[[str, str], Path]) -> None:
    course = class_of(assignment, "solution")
    done = run("nbgrader", "validate", f"solutions/{assignment}/{assignment}.ipynb", folder=course)
    assert done.returncode == 0, done.stdout
    assert "Success! Your notebook passes all the tests." in done.stdout
    assert not complaints(done.stdout)


@each_assignment
def test_grading_and_feedback_warn_of_nothing(assignment: str, class_of: Callable[[str, str], Path]) -> None:
    course = class_of(assignment, "solution")
    done = run("nbgrader", "generate_feedback", assignment, "--student", "solution", folder=course)
    assert done.returncode == 0, done.stdout
    assert not complaints(done.stdout)
    page = course / "feedback" / "solution" / assignment / f"{assignment}.html"
    text = html.unescape(page.read_text(encoding="utf-8"))
    criteria = [criterion for _, criterion in load_rubric(assignment).criteria if not criterion.by_hand]
    assert all(criterion.sentence.split("`")[0] in text for criterion in criteria)
    of_it = [
        line for line in (course / "autograde.log").read_text("utf-8").splitlines() if "solution" in line
    ]
    assert not complaints("\n".join(of_it))
