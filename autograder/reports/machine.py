"""A report for programs: JSON, and JUnit's XML, which CI systems show as tests."""

import json
from xml.etree import ElementTree

from autograder.base.text import plain
from autograder.grading import CriterionResult, Report
from autograder.reports.as_text import details
from autograder.rubrics import Status


def report_json(report: Report) -> str:
    """The report as JSON: points, and for each criterion its task, sentence, status and message."""
    criteria = [
        {
            "task": result.task,
            "id": result.id,
            "sentence": result.sentence,
            "status": str(result.outcome.status),
            "points": result.points,
            "earned": result.earned,
            "found": plain(result.outcome.found),
            "expected": plain(result.outcome.expected),
            "next_step": plain(result.outcome.next_step),
            "chapter": result.chapter,
        }
        for result in report.results
    ]
    whole = {
        "assignment": report.assignment,
        "seed": report.seed,
        "points": report.maximum,
        "earned": report.earned,
        "pending": report.pending,
        "hints": [plain(hint) for hint in report.hints],
        "findings": [plain(finding) for finding in report.findings],
        "criteria": criteria,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False)


def report_junit(report: Report) -> str:
    """The report as JUnit XML: a test suite a task, a test case a criterion.

    What failed is a failure, what was not attempted or waits for a person is skipped, what could not
    be graded is an error.
    """
    root = ElementTree.Element("testsuites", name=report.assignment)
    for task in report.tasks:
        part = report.of_task(task)
        suite = ElementTree.SubElement(root, "testsuite", name=task, tests=str(len(part.results)))
        for kind in ("failure", "error", "skipped"):
            count = sum(_kind(result) == kind for result in part.results)
            suite.set({"failure": "failures", "error": "errors"}.get(kind, kind), str(count))
        for result in part.results:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{report.assignment}.{task}", name=result.id
            )
            kind = _kind(result)
            if kind:
                told = " ".join(f"{label}: {text}" for label, text in details(result))
                ElementTree.SubElement(case, kind, message=result.sentence).text = told
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _kind(result: CriterionResult) -> str:
    return {Status.PASSED: "", Status.FAILED: "failure", Status.NOT_GRADED: "error"}.get(
        result.outcome.status, "skipped"
    )
