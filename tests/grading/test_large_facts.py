"""The largest facts there may be are graded and reported on in seconds; time grows as the facts do."""

import json
import time
from dataclasses import replace

import pytest

from autograder.evidence import Evidence, UnusableFacts, dump, limited, load
from autograder.grading import grade
from autograder.reports import report_html, report_json, report_junit, report_text
from autograder.rubrics import assignments, load_rubric
from tests.support.right_work import repeated, right_work

#: Seconds of processor time, which a busy machine does not stretch, that grading may take.
LONGEST = 5.0
#: More of it than this is told apart from the noise.
NOISE = 0.3


def seconds(assignment: str, text: str) -> float:
    """What the trusted side takes for facts: loading, grading, and all reports."""
    began = time.process_time()
    report = grade(load_rubric(assignment), load(text))
    for task in report.tasks:
        report_html(report.of_task(task))
        report_text(report.of_task(task))
    report_json(report)
    report_junit(report)
    return time.process_time() - began


@pytest.mark.parametrize("assignment", assignments())
def test_time_grows_no_faster_than_the_facts_up_to_the_largest(assignment: str) -> None:
    work = right_work(assignment)
    seconds(assignment, dump(work))  # imports what it needs
    first, more, cut, largest = (
        seconds(assignment, dump(repeated(work, times))) for times in (20, 100, 200, 2_000)
    )
    # cutting begins between 100 and 200 and is a step by itself
    assert more < 7.5 * first + NOISE
    assert largest < 15 * cut + NOISE
    assert largest < LONGEST


def test_calls_of_very_many_rows_are_looked_at_within_seconds() -> None:
    work = right_work("06-serving")
    rows = [[5.1, 3.5, 1.4, 0.2]] * 3_000
    columns = list(load_rubric("06-serving").features(work.seed, work.settings).columns)
    body = json.dumps({"dataframe_split": {"columns": columns, "data": rows}})[: 64 << 10]
    calls = [replace(call, request=body, request_id=str(n)) for n in range(60) for call in work.requests]
    facts = limited(replace(work, requests=tuple(calls), models=()))
    assert 0 < len(facts.requests) < len(calls)
    assert any("requests" in finding for finding in facts.findings)
    assert seconds("06-serving", dump(facts)) < LONGEST


def test_parameters_that_are_mostly_separators_are_compared_within_seconds() -> None:
    work = right_work("01-tracking")
    odd = {f"{n}{'__' * 140}": "1" for n in range(200)}
    runs = tuple(replace(run, params={**run.params, **odd}) for run in work.runs)
    models = tuple(
        replace(model, scoring=replace(model.scoring, params={**model.scoring.params, **odd}))
        for model in work.models
        if model.scoring
    )
    facts = repeated(replace(work, runs=runs, models=models), 300)
    assert seconds("01-tracking", dump(facts)) < LONGEST


HOSTILE = {
    "too many runs": json.dumps({"seed": 1, "runs": [{}] * 300_000}),
    "a text that is too long": json.dumps({"seed": 1, "problem": "x" * 9_000_000}),
    "too many findings": json.dumps({"seed": 1, "findings": ["x"] * 1_000_000}),
    "nested too deep": '{"seed": 1, "runs": ' + "[" * 5_000_000,
    "objects nested too deep": '{"seed": 1, "runs": ' + '{"a":' * 1_000_000,
    "a number of too many digits": '{"seed": ' + "9" * 9_000_000 + "}",
    "a number that is none": '{"seed": 1, "experiments": NaN}',
    "larger than is read": " " * (65 << 20),
    "an entry many times": '{"seed": 1, "x": {' + '"a": 1,' * 1_000_000 + '"a": 1}}x',
    "half of a pair": '{"seed": 1, "problem": "\\ud800"}',
    "nothing": "",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_goes_beyond_the_limits_is_refused_in_a_line_and_within_seconds(text: str) -> None:
    began = time.process_time()
    with pytest.raises(UnusableFacts) as refused:
        load(text)
    assert time.process_time() - began < LONGEST
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


def test_what_is_beyond_the_limits_is_left_out_and_told_in_a_finding_or_two() -> None:
    work = right_work("01-tracking")
    run = work.runs[-1]
    many = replace(
        run,
        tags={f"tag {n}": "x" for n in range(3_000)} | run.tags,
        metrics={f"m{n}": 1.0 for n in range(3_000)},
        params={"long": "x" * (3 << 20), "half": "\ud800"},
    )
    facts: Evidence = limited(replace(work, runs=(*work.runs, many)))
    assert len(facts.findings) == 2
    assert "2,800 metrics" in facts.findings[0]
    assert "1 texts are longer" in facts.findings[1]
    kept = facts.runs[-1]
    assert (len(kept.tags), len(kept.metrics), len(kept.params["long"])) == (100, 200, 6_000)
    assert load(dump(facts)) == facts
    flood = limited(replace(work, findings=tuple("a" * 1_000 for _ in range(3_000))))
    assert len(flood.findings) == 20
    assert max(map(len, flood.findings)) <= 300
    assert "2,981" in flood.findings[-1]


def test_honest_work_that_was_repeated_a_hundred_times_loses_nothing() -> None:
    work = right_work("01-tracking")
    facts = repeated(work, 100)
    assert not facts.findings
    assert (len(facts.runs), len(facts.models)) == (300, 300)
    assert all(model.scoring and not model.scoring.error for model in facts.models)
