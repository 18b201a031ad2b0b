"""What the language of rubrics makes of tasks and criteria, and how a rubric is found."""

import re

import nbformat
import pytest

from autograder.data.settings import USUAL
from autograder.evidence import Evidence, Run
from autograder.rubrics import Outcome, Rubric, Status, Task, UnknownAssignment, assignments, load_rubric
from autograder.rubrics.language import failed, not_attempted, not_graded, passed
from autograder.workspace import load_flowers
from tests.conftest import ROOT
from tests.support.facts import a_run, evidence_of


def a_rubric() -> tuple[Rubric, Task]:
    rubric = Rubric("99-made-up", "Made up", "chapters/made-up", lambda seed: load_flowers(seed).X_test)
    about_a_run = rubric.task("run", "A run", about=lambda evidence: next(iter(evidence.runs), None))

    @about_a_run.criterion("It has a name", 2)
    def has_a_name(evidence: Evidence, run: Run) -> Outcome:
        return passed(f"{run.name} of {len(evidence.runs)}")

    return rubric, about_a_run


def test_an_outcome_has_its_status_and_its_three_parts() -> None:
    assert passed("this") == Outcome(Status.PASSED, "this", "", "")
    assert failed("this", "that", "do it") == Outcome(Status.FAILED, "this", "that", "do it")
    assert not_attempted("this", "do it") == Outcome(Status.NOT_ATTEMPTED, "this", "", "do it")
    assert not_graded("this", "do it") == Outcome(Status.NOT_GRADED, "this", "", "do it")


def test_statuses_are_spelled_as_kept_reports_have_them() -> None:
    assert [str(status) for status in Status] == [
        "passed",
        "failed",
        "not attempted",
        "could not be graded",
        "awaiting a person",
    ]


def test_a_criterion_has_what_its_declaration_says() -> None:
    rubric, task = a_rubric()

    @task.criterion("It has more", 3, ("S2",), needs=("has-a-name",))
    def has_more(evidence: Evidence, run: Run) -> Outcome:
        return passed("more")

    (_, first), (_, second) = rubric.criteria
    assert (first.id, first.sentence, first.points) == ("has-a-name", "It has a name", 2)
    assert (first.covers, first.needs) == ((), ())
    assert (second.id, second.sentence, second.points) == ("has-more", "It has more", 3)
    assert (second.covers, second.needs) == (("S2",), ("has-a-name",))
    assert task.points == rubric.points == 5


def test_a_task_about_a_run_hands_it_to_its_criteria_and_waits_for_one() -> None:
    ((_, criterion),) = a_rubric()[0].criteria
    assert criterion.check(evidence_of(a_run(name="mine"), a_run("r2"))).found == "mine of 2"
    waiting = criterion.check(evidence_of())
    assert waiting.status is Status.NOT_ATTEMPTED
    assert waiting.found
    assert waiting.next_step


def test_a_task_about_no_run_hands_over_the_evidence_alone() -> None:
    rubric, _ = a_rubric()
    task = rubric.task("all", "Everything")

    @task.criterion("There is nothing", 1)
    def nothing(evidence: Evidence) -> Outcome:
        return passed(f"{len(evidence.runs)} runs")

    assert rubric.tasks[-1] is task
    assert task.about is None
    assert rubric.criteria[-1][1].check(evidence_of()).found == "0 runs"
    assert rubric.criteria[-1][0] is task
    assert (task.id, task.title, task.points, rubric.points) == ("all", "Everything", 1, 3)


def test_rubrics_share_no_tasks_and_tasks_no_criteria() -> None:
    one, other = a_rubric()[0], a_rubric()[0]
    assert len(one.tasks) == len(other.tasks) == 1
    assert one.tasks[0].criteria is not other.tasks[0].criteria


@pytest.mark.parametrize(
    ("of_task", "of_criterion", "expected"),
    [
        ("", "", "chapters/made-up"),
        ("one", "", "chapters/made-up#one"),
        ("", "two", "chapters/made-up#two"),
        ("one", "two", "chapters/made-up#two"),
    ],
)
def test_a_criterion_s_section_of_the_book_is_its_own_else_its_task_s(
    of_task: str, of_criterion: str, expected: str
) -> None:
    task = a_rubric()[0].task("task", "A task", section=of_task)

    @task.criterion("It passes", 1, section=of_criterion)
    def passes(evidence: Evidence) -> Outcome:
        return passed("this")

    assert task.criteria[0].chapter == expected


def test_a_rubric_is_found_by_its_assignment_s_name() -> None:
    assert assignments() == sorted(assignments())
    for name in assignments():
        rubric = load_rubric(name)
        assert rubric.assignment == name
        assert len(rubric.features(1, USUAL)) > 0
        assert len({task.id for task in rubric.tasks}) == len(rubric.tasks)
    assert "01-tracking" in assignments()


@pytest.mark.parametrize("name", assignments())
def test_the_tasks_of_a_rubric_are_the_check_cells_of_its_notebook(name: str) -> None:
    notebook = nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    tasks = load_rubric(name).tasks
    assert [cell.metadata.nbgrader.grade_id for cell in graded] == [task.id for task in tasks]
    for cell, task in zip(graded, tasks, strict=True):
        by_hand = all(criterion.by_hand for criterion in task.criteria)
        assert (cell.cell_type, cell.metadata.nbgrader.solution) == (
            ("markdown", True) if by_hand else ("code", False)
        )


@pytest.mark.parametrize("name", assignments())
def test_every_criterion_names_a_section_that_the_book_has(name: str) -> None:
    for _, criterion in load_rubric(name).criteria:
        page, _, section = criterion.chapter.partition("#")
        text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert section in anchors, criterion.id


def test_an_unknown_assignment_is_refused_by_name_and_the_known_are_named() -> None:
    with pytest.raises(UnknownAssignment, match=r"'tracking'.*01-tracking"):
        load_rubric("tracking")
