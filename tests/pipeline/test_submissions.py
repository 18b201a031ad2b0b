"""Every known submission has exactly its known outcome.

All are graded by the kit, in kernels that start in a moment. Those that are about more than a rubric, and of
each assignment the usual ones, are handed in as a class as well, to stock ``nbgrader autograde`` and the box.
"""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest

from autograder import grading
from autograder.authoring.consistency import RIGHT_ANSWERS, never_lost_alone
from autograder.authoring.samples import Sample
from autograder.data.settings import Conditions
from autograder.grading import Report
from autograder.pipeline.jobs import execute, job_of, report_on
from autograder.pipeline.reader import Reader
from autograder.reports import Verdict, load_verdict
from autograder.rubrics import Status, assignments, load_rubric
from tests.conftest import ALL_SAMPLES, ASSIGNMENT, HANDED_IN, ROOT, graded_in

SEED = 77
OTHER_SEEDS = (1, 20)
QUICK = [
    (assignment, name)
    for assignment, samples in ALL_SAMPLES.items()
    for name, sample in samples.items()
    if not sample.only_nbgrader
]


#: Those whose figures are another seed's: they must be told from true ones under every seed.
TYPED = [
    ("01-tracking", "types-the-variants-numbers"),
    ("02-logging-patterns", "types-the-accuracy"),
    ("04-registry", "types-figures-of-other-data"),
    ("05-promotion", "types-the-figure"),
    ("10-capstone", "types-the-figure"),
]


@pytest.fixture
def graded(assignment: str, name: str, class_of: Callable[[str, str], Path]) -> tuple[Verdict, Report]:
    kept = class_of(assignment, name) / "kept" / assignment / name
    return (
        load_verdict((kept / "verdict.json").read_bytes()),
        grading.load((kept / "report.json").read_bytes()),
    )


each_assignment = pytest.mark.parametrize("assignment", assignments())


@pytest.mark.parametrize(
    ("assignment", "name", "seed"),
    [(*quick, SEED) for quick in QUICK] + [(*typed, seed) for typed in TYPED for seed in OTHER_SEEDS],
)
def test_it_gets_exactly_its_outcomes(
    assignment: str, name: str, seed: int, reader: Reader, quick: None
) -> None:
    sample, rubric, conditions = ALL_SAMPLES[assignment][name], load_rubric(assignment), Conditions(seed)
    notebook = nbformat.reads(sample.content(*sources(assignment)), as_version=4)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kept = execute(job_of(rubric, notebook, conditions), Path(folder), reader)
    report = report_on(rubric, kept, seed)
    loses_what_it_must(sample, report)
    says_what_it_must(sample, report)
    assert report.earned == sample.points


@pytest.mark.parametrize(
    ("assignment", "name"),
    [
        pytest.param(assignment, name, marks=pytest.mark.xdist_group(graded_in(assignment, name)))
        for assignment, names in HANDED_IN.items()
        for name in names
    ],
)
def test_so_it_does_by_stock_nbgrader(assignment: str, name: str, graded: tuple[Verdict, Report]) -> None:
    sample, (verdict, report) = ALL_SAMPLES[assignment][name], graded
    assert verdict.kind == sample.verdict, verdict.because
    assert verdict.earned == sample.points
    for words in sample.because:
        assert words in verdict.because
    says_what_it_must(sample, report)
    if verdict.kind == "could not be graded":
        assert {result.outcome.status for result in report.results} == {Status.NOT_GRADED}
        assert verdict.next_step
    else:
        loses_what_it_must(sample, report)


@cache
def sources(assignment: str) -> tuple[nbformat.NotebookNode, nbformat.NotebookNode]:
    """The solution and the exercise."""
    paths = (ROOT / kind / assignment / f"{assignment}.ipynb" for kind in ("solutions", "exercises"))
    solution, exercise = (nbformat.read(path, as_version=4) for path in paths)
    return solution, exercise


def loses_what_it_must(sample: Sample, report: Report) -> None:
    lost = {r.id: r.outcome.status for r in report.results if r.outcome.status is not Status.PASSED}
    assert lost == sample.loses


def says_what_it_must(sample: Sample, report: Report) -> None:
    texts = {
        result.id: " ".join((result.outcome.found, result.outcome.expected, result.outcome.next_step))
        for result in report.results
    }
    for criterion, words_of_it in sample.says.items():
        for words in words_of_it:
            assert words in texts[criterion]
    for result in report.results:
        assert result.outcome.found, f"{result.id} does not say what was found"
        assert "Traceback" not in texts[result.id]
        if result.outcome.status not in (Status.PASSED, Status.AWAITING):
            assert result.outcome.next_step, result.id
        if result.outcome.status is Status.FAILED:
            assert result.outcome.expected, result.id


@each_assignment
def test_every_sample_speaks_of_criteria_that_exist(assignment: str) -> None:
    known = {criterion.id for _, criterion in load_rubric(assignment).criteria}
    for sample in ALL_SAMPLES[assignment].values():
        assert set(sample.loses) <= known, sample.name
        assert set(sample.says) <= known, sample.name


@each_assignment
def test_a_sample_s_points_are_those_of_the_criteria_it_keeps(assignment: str) -> None:
    points = {criterion.id: criterion.points for _, criterion in load_rubric(assignment).criteria}
    for sample in ALL_SAMPLES[assignment].values():
        if sample.verdict != "could not be graded":
            kept = sum(value for id, value in points.items() if id not in sample.loses)
            assert sample.points == kept, sample.name


@each_assignment
def test_every_criterion_has_a_wrong_answer_that_loses_exactly_it(assignment: str) -> None:
    assert not never_lost_alone(load_rubric(assignment), ALL_SAMPLES[assignment])


@each_assignment
def test_there_are_right_answers_written_differently(assignment: str) -> None:
    right = [sample for name, sample in ALL_SAMPLES[assignment].items() if name.startswith("right-")]
    assert len(right) >= (14 if assignment == ASSIGNMENT else RIGHT_ANSWERS)
    criteria = [criterion for _, criterion in load_rubric(assignment).criteria]
    all_points = sum(criterion.points for criterion in criteria if not criterion.by_hand)
    assert all(sample.points == all_points for sample in right)
