"""Every known submission, graded by stock ``nbgrader autograde``, has exactly its known outcome."""

from pathlib import Path

import pytest

from autograder import grading
from autograder.grading import Report
from autograder.reports import Verdict, load_verdict
from autograder.rubrics import Status, load_rubric
from autograder.samples import Sample
from tests.conftest import ASSIGNMENT, SAMPLES, make_course, run

CLASSES = 2
NAMES = sorted(SAMPLES)


def graded_in(name: str) -> int:
    """Which of the classes, that are graded side by side, a sample is in."""
    return NAMES.index(name) % CLASSES


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The graded classes of this worker, by number."""
    return {}


@pytest.fixture
def graded(
    name: str, classes: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Verdict, Report]:
    number = graded_in(name)
    if number not in classes:
        samples = {other: SAMPLES[other] for other in NAMES if graded_in(other) == number}
        classes[number] = make_course(tmp_path_factory.mktemp("class") / "course", samples)
        done = run("nbgrader", "autograde", ASSIGNMENT, folder=classes[number], timeout=900)
        assert done.returncode == 0, done.stdout[-5000:]
    kept = classes[number] / "kept" / ASSIGNMENT / name
    return (
        load_verdict((kept / "verdict.json").read_bytes()),
        grading.load((kept / "report.json").read_bytes()),
    )


each_sample = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"class-{graded_in(name)}")) for name in NAMES]
)


@each_sample
def test_it_gets_exactly_its_outcomes(name: str, graded: tuple[Verdict, Report]) -> None:
    sample, (verdict, report) = SAMPLES[name], graded
    assert verdict.kind == sample.verdict, verdict.because
    assert verdict.earned == sample.points
    if verdict.kind == "could not be graded":
        assert {result.outcome.status for result in report.results} == {Status.NOT_GRADED}
        assert verdict.next_step
    else:
        loses_what_it_must(sample, report)


@each_sample
def test_its_messages_say_what_they_must(name: str, graded: tuple[Verdict, Report]) -> None:
    sample, (verdict, report) = SAMPLES[name], graded
    for words in sample.because:
        assert words in verdict.because
    says_what_it_must(sample, report)


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
        if result.outcome.status is not Status.PASSED:
            assert result.outcome.next_step, result.id
        if result.outcome.status is Status.FAILED:
            assert result.outcome.expected, result.id


def test_every_sample_speaks_of_criteria_that_exist() -> None:
    known = {criterion.id for _, criterion in load_rubric(ASSIGNMENT).criteria}
    for sample in SAMPLES.values():
        assert set(sample.loses) <= known, sample.name
        assert set(sample.says) <= known, sample.name


def test_a_sample_s_points_are_those_of_the_criteria_it_keeps() -> None:
    points = {criterion.id: criterion.points for _, criterion in load_rubric(ASSIGNMENT).criteria}
    for sample in SAMPLES.values():
        if sample.verdict != "could not be graded":
            kept = sum(value for id, value in points.items() if id not in sample.loses)
            assert sample.points == kept, sample.name


def test_every_criterion_has_a_wrong_answer_that_loses_exactly_it() -> None:
    criteria = [criterion for _, criterion in load_rubric(ASSIGNMENT).criteria]
    lost_by_a_sample = [set(sample.loses) for sample in SAMPLES.values()]
    for criterion in criteria:
        falls = {criterion.id}
        for other in criteria:  # needs always point back, so one pass finds all that fall with it
            if falls & set(other.needs):
                falls.add(other.id)
        assert falls in lost_by_a_sample, f"no sample loses exactly {sorted(falls)}"


def test_there_are_right_answers_written_differently() -> None:
    assert len([name for name, sample in SAMPLES.items() if name.startswith("right-")]) >= 14
    assert all(SAMPLES[name].points == 25 for name in NAMES if name.startswith("right-"))
