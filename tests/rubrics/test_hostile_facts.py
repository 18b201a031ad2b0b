"""Facts whose texts and numbers are anything: every criterion is graded, and every message is short."""

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.evidence import Evidence, UnusableFacts, dump, load
from autograder.grading import Report, grade
from autograder.reports import report_html, report_json, report_junit, report_text
from autograder.rubrics import assignments, contents, load_rubric
from autograder.rubrics.language import LONGEST_MESSAGE
from tests.support.right_work import right_work

DIGITS = "9" * 400
CRASHED = "The grader itself failed"
NUMBERS_OF_400_DIGITS = json.dumps({name: 10**400 for name in ("setosa", "versicolor", "virginica")})
TEXTS = [
    "", "abc", "²", "٣", DIGITS, "9" * 5_000, "-1", "1e400", "nan", "inf", "1_0", "{", "null", "[]", "{}",
    "[" * 50_000, '{"a":' * 9_000, NUMBERS_OF_400_DIGITS, f'{{"predictions": [{DIGITS}]}}',
    f'{{"columns": ["species", "predicted"], "data": [[{DIGITS}, NaN]]}}', "a,b\n\x00\r\n\"", "a\rb,c\n1",
    "," * 30_000 + "\n" + "x\n" * 15_000,
    f'{{"dataframe_split": {{"columns": ["x"], "data": [[{DIGITS}]]}}}}',
    f'{{"dataframe_records": [{{"sepal length (cm)": {DIGITS}}}]}}', '{"dataframe_records": "ab"}',
    '{"dataframe_records": [[1]]}', '{"error_code": ["x"], "message": {"a": "' + "-" * 30_000 + '"}}',
    '{"message": "' + "a-" * 20_000 + '"}', "models:/", "models:/@", "runs:/", "models:/IrisRandomForest/²",
    "models:/IrisRandomForest/" + DIGITS, "m-", "\x1b[31m\u202e\n", "x" * 6_000, "/" * 3_000, "__" * 3_000,
    "stage", "alias", "Production", "champion",
    "Deleted_Internal", "dataframe_split", "1", "v1", "0.0 0.1 0,2",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 200, 401, 2**31, 2**53, -(2**53)]
FLOATS = [0.0, -0.0, 0.5, 1.5, 1e308, -1e308, 5e-324]


def places(facts: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Where a value stands, by the path to it without the numbers of items: container and key."""
    found: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    waiting = [("", facts)]
    while waiting:
        path, container = waiting.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            where = f"{path}.{key if isinstance(container, dict) else '*'}"
            found[where].append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append((where, container[key]))
    return found


def changed(value: Any, draw: Any) -> Any:
    """A hostile value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw(st.sampled_from(NUMBERS))
    if isinstance(value, float):
        return draw(st.sampled_from(FLOATS))
    if isinstance(value, list):
        return draw(st.sampled_from([[], value[:1], value[::-1], value + value[:1]]))
    if isinstance(value, dict):
        text = draw(st.sampled_from(TEXTS))[:298]
        return draw(st.sampled_from([{}, {f"{text}{n}": other for n, other in enumerate(value.values())}]))
    return draw(st.sampled_from([*TEXTS, None]))


def checked(assignment: str, facts: Evidence) -> Report:
    report = grade(load_rubric(assignment), facts)
    for result in report.results:
        outcome = result.outcome
        assert CRASHED not in outcome.found, f"{result.id} crashed"
        for text in (outcome.found, outcome.expected, outcome.next_step):
            assert len(text) <= LONGEST_MESSAGE
            assert text.isprintable()
    assert 0 <= report.earned <= report.maximum
    assert all(len(hint) <= LONGEST_MESSAGE for hint in report.hints)
    whole = report_text(report) + report_json(report) + report_junit(report)
    parts = [report_html(report.of_task(task)) for task in report.tasks]
    assert max(map(len, [whole, *parts])) < 120_000
    return report


@pytest.mark.parametrize("assignment", assignments())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_criterion_crashes_whatever_texts_and_numbers_the_facts_hold(assignment: str, data: Any) -> None:
    facts = json.loads(dump(right_work(assignment)))
    found = places({name: value for name, value in facts.items() if name not in ("seed", "settings")})
    for where in data.draw(st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=5), label="where"):
        everywhere = data.draw(st.booleans())
        spots = found[where] if everywhere else [data.draw(st.sampled_from(found[where][:50]))]
        value = changed(spots[0][0][spots[0][1]], data.draw)
        for container, key in spots:
            if isinstance(container, dict) or key < len(container):
                container[key] = value
    try:
        hostile = load(json.dumps({**facts, "problem": None}))
    except UnusableFacts as error:
        assert len(str(error)) < 500
        return
    checked(assignment, hostile)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:20]))
def test_files_and_calls_may_hold_anything(text: str) -> None:
    for assignment, kind in (("02-logging-patterns", "runs"), ("06-serving", "requests")):
        facts = json.loads(dump(right_work(assignment)))
        for fact in facts[kind]:
            for artifact in fact.get("artifacts", ()):
                artifact["content"] = text[:60_000]
                artifact["path"] = (
                    artifact["path"].replace(".json", ".csv") if "," in text else artifact["path"]
                )
            if "request" in fact:
                fact["request"] = fact["response"] = text[:60_000]
        checked(assignment, load(json.dumps(facts)))


@pytest.mark.parametrize("subject", ["abc", "²", "٣", "9" * 300, "-1", "1.0", ""], ids=repr)
@pytest.mark.parametrize("assignment", ["05-promotion", "10-capstone"])
def test_a_history_of_versions_that_are_none_is_passed_over(assignment: str, subject: str) -> None:
    facts = json.loads(dump(right_work(assignment)))
    strange = [
        {**change, "subject": subject} if change["kind"] == "stage" else {**change, "after": subject}
        for change in facts["changes"]
    ]
    checked(assignment, load(json.dumps({**facts, "changes": strange})))
    right = grade(load_rubric(assignment), right_work(assignment))
    both = checked(assignment, load(json.dumps({**facts, "changes": strange + facts["changes"]})))
    assert both.earned == right.earned


def test_numbers_are_finite_or_none() -> None:
    some = [1, 1.5, "2", 10**400, "1e400", "nan", float("inf"), True, None, "²", [1], "9" * 5_000]
    assert [contents.number(value) for value in some] == [1.0, 1.5, 2.0, *[None] * 9]
