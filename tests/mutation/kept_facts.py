"""Every known submission, graded anew from its kept facts, has exactly its known outcome.

Not collected by ``make test``, which grades the submissions themselves.
"""

import pytest

from autograder.grading import grade
from autograder.reports import VerdictKind
from autograder.rubrics import load_rubric
from tests.conftest import ASSIGNMENT, SAMPLES
from tests.mutation.facts import kept_facts
from tests.pipeline.test_submissions import loses_what_it_must, says_what_it_must

GRADED = [name for name, sample in SAMPLES.items() if sample.verdict is not VerdictKind.UNGRADED]


@pytest.mark.parametrize("name", GRADED)
def test_it_gets_exactly_its_outcomes_and_messages(name: str) -> None:
    report = grade(load_rubric(ASSIGNMENT), kept_facts()[name])
    assert report.earned == SAMPLES[name].points
    loses_what_it_must(SAMPLES[name], report)
    says_what_it_must(SAMPLES[name], report)
