"""A report reads well everywhere, and nothing in it can run or hide in the reader's browser or terminal."""

import pytest
from nbconvert.filters.strings import clean_html

from autograder.base.text import quoted
from autograder.grading import CriterionResult, Report, dump, load
from autograder.reports import Verdict, VerdictKind, report_html, report_text
from autograder.reports.class_table import LONGEST_REASON
from autograder.rubrics import Outcome, Status
from autograder.rubrics.language import LONGEST_MESSAGE

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred\x1b[0m\nnext \u202eline `code`"


def report(*outcomes: Outcome) -> Report:
    results = tuple(
        CriterionResult("task", f"c-{number}", f"Criterion {number}", 2, outcome)
        for number, outcome in enumerate(outcomes)
    )
    return Report("01-tracking", "A title", 1, results, {"task": "The task"})


def test_points_are_earned_by_passing_only() -> None:
    whole = report(*(Outcome(status, "found") for status in Status))
    assert whole.earned == 2
    assert whole.maximum == 10
    assert whole.pending
    assert not report(Outcome(Status.PASSED, "x"), Outcome(Status.FAILED, "y")).pending


@pytest.mark.parametrize("status", list(Status))
def test_hostile_text_is_shown_not_obeyed(status: Status) -> None:
    hostile = report(Outcome(status, HOSTILE, HOSTILE, HOSTILE))
    html, text = report_html(hostile), report_text(hostile)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "<code>code</code>" in html
    for shown in (html, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "\\x1b[31m" in text


def test_the_html_survives_the_sanitiser_of_feedback_pages() -> None:
    html = report_html(report(Outcome(Status.FAILED, "found", "expected", "next")))
    cleaned = clean_html(html)
    assert "&lt;" not in cleaned, "a tag was printed as text"
    for words in ("Criterion 0", "Found: found", "Expected: expected", "Next:", "failed, 0/2"):
        assert words in cleaned


def test_the_text_fits_a_terminal_and_names_each_part() -> None:
    long = "word " * 60
    text = report_text(report(Outcome(Status.FAILED, long, "expected", "do this")))
    assert max(len(line) for line in text.splitlines()) <= 88
    assert "Next: do this" in text


def test_a_report_goes_to_json_and_back() -> None:
    whole = report(*(Outcome(status, "found", "expected", "next") for status in Status))
    assert load(dump(whole)) == whole


@pytest.mark.parametrize(
    "foreign", ["x" * 3_000_000, "a-" * 1_000_000, "\x1b" * 1_000_000, "word " * 500_000]
)
def test_a_message_and_a_verdict_are_cut_where_they_are_made(foreign: str) -> None:
    outcome = Outcome(Status.FAILED, foreign, foreign, foreign)
    assert max(len(outcome.found), len(outcome.expected), len(outcome.next_step)) <= LONGEST_MESSAGE
    whole = report(outcome)
    assert max(len(report_html(whole)), len(report_text(whole))) < 5_000
    verdict = Verdict("ann", "01-tracking", VerdictKind.PARTLY, 1, 2, foreign, foreign)
    assert max(len(verdict.because), len(verdict.next_step)) <= LONGEST_REASON
    assert verdict.because.isprintable()


def test_foreign_text_in_a_sentence_leaves_the_sentence_whole() -> None:
    assert quoted("a forest") == "“a forest”"
    assert quoted("x" * 1_000_000) == f"“{'x' * 79}…”"
    assert quoted("\x1b[31m\n") == "“\\x1b[31m\\n”"
    assert len(quoted("\u202e" * 1_000, 20)) == 22
