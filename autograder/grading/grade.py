"""Grade: ask every criterion of a rubric about the evidence."""

import logging

from autograder.base.remember import remembering
from autograder.evidence import Evidence
from autograder.grading.report import CriterionResult, Report
from autograder.rubrics import Criterion, Outcome, Rubric, Status, Task, hints

log = logging.getLogger(__name__)


def grade(rubric: Rubric, evidence: Evidence) -> Report:
    """The report on ``evidence``. Never raises: a criterion that crashes could not be graded."""
    outcomes: dict[str, Outcome] = {}
    results = []
    with remembering():
        for task, criterion in rubric.criteria:
            outcome = outcomes[criterion.id] = _outcome(rubric, criterion, evidence, outcomes)
            results.append(_result(task, criterion, outcome))
        return _report(rubric, evidence.seed, results, evidence.findings, hints(evidence))


def ungraded(rubric: Rubric, seed: int, reason: str, next_step: str) -> Report:
    """The report that stands until, and unless, there is a real one: nothing earned, all pending."""
    outcome = Outcome(Status.NOT_GRADED, reason, "", next_step)
    return _report(rubric, seed, [_result(task, criterion, outcome) for task, criterion in rubric.criteria])


def _result(task: Task, criterion: Criterion, outcome: Outcome) -> CriterionResult:
    return CriterionResult(
        task.id, criterion.id, criterion.sentence, criterion.points, outcome, criterion.chapter
    )


def _report(
    rubric: Rubric,
    seed: int,
    results: list[CriterionResult],
    findings: tuple[str, ...] = (),
    noticed: tuple[str, ...] = (),
) -> Report:
    titles = {task.id: task.title for task in rubric.tasks}
    return Report(rubric.assignment, rubric.title, seed, tuple(results), titles, findings, noticed)


def _outcome(
    rubric: Rubric, criterion: Criterion, evidence: Evidence, outcomes: dict[str, Outcome]
) -> Outcome:
    if evidence.problem:
        return Outcome(
            Status.NOT_ATTEMPTED, evidence.problem, "", "Mend that, then run the notebook from the top."
        )
    for needed in criterion.needs:
        if outcomes[needed].status is Status.NOT_GRADED:
            return outcomes[needed]
        if outcomes[needed].status is not Status.PASSED:
            sentence = next(other.sentence for _, other in rubric.criteria if other.id == needed)
            sentence = sentence.replace("“", "‘").replace("”", "’")
            return Outcome(Status.NOT_ATTEMPTED, f"This waits for “{sentence}”.", "", "Do that first.")
    try:
        return criterion.check(evidence)
    except Exception:
        log.exception("the criterion %s of %s crashed", criterion.id, rubric.assignment)
        return Outcome(
            Status.NOT_GRADED,
            "The grader itself failed on this criterion.",
            "",
            "No points are lost or given; a person will look at it.",
        )
