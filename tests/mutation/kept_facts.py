"""Every known submission, graded anew from its kept facts, has exactly its known outcome.

Not collected by ``make test``, which runs the submissions themselves.
"""

import pytest

from autograder.grading import grade
from autograder.rubrics import load_rubric
from tests.conftest import ALL_SAMPLES
from tests.mutation.facts import kept_facts
from tests.pipeline.test_submissions import loses_what_it_must, says_what_it_must


@pytest.mark.parametrize(("assignment", "name"), list(kept_facts()), ids="/".join)
def test_it_gets_exactly_its_outcomes_and_messages(assignment: str, name: str) -> None:
    sample = ALL_SAMPLES[assignment][name]
    report = grade(load_rubric(assignment), kept_facts()[assignment, name])
    loses_what_it_must(sample, report)
    says_what_it_must(sample, report)
    assert report.earned == sample.points
