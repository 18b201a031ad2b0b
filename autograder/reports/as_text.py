"""A report as plain text, for terminals and for frontends that show no HTML."""

import textwrap

from autograder.base.names import PUBLIC_SEED
from autograder.base.text import plain
from autograder.grading import CriterionResult, Report
from autograder.rubrics import Status

SYMBOLS = {
    Status.PASSED: "✔",
    Status.FAILED: "✘",
    Status.NOT_ATTEMPTED: "○",
    Status.NOT_GRADED: "?",
    Status.AWAITING: "…",
}
WIDTH = 88


def points(number: float) -> str:
    """Points as people write them: no decimals where there are none."""
    return f"{number:g}"


def bar(report: Report, cells: int = 20) -> str:
    """The share of points earned, as a bar of ``cells`` characters; full only for full marks."""
    filled = int(cells * report.earned / report.maximum) if report.maximum else 0
    return "█" * filled + "░" * (cells - filled)


def report_text(report: Report) -> str:
    """The report, one criterion a paragraph, wrapped at 88 columns."""
    lines = [heading(report)]
    for remark in remarks(report):
        lines += textwrap.wrap(remark, WIDTH)
    for task, title in report.tasks.items():
        part = report.of_task(task)
        lines += ["", f"{title}  ({points(part.earned)} of {points(part.maximum)} points)"]
        for result in part.results:
            lines += _paragraph(result)
    return "\n".join(lines)


def heading(report: Report) -> str:
    """The first line of a report: its bar and its points."""
    pending = "  (some of it is still to be looked at by a person)" if report.pending else ""
    return f"{bar(report)}  {points(report.earned)} of {points(report.maximum)} points{pending}"


def remarks(report: Report) -> list[str]:
    """What to say of the report as a whole: whose data these are, what was noticed, what refused."""
    lines = []
    if report.seed != PUBLIC_SEED:
        lines.append(
            "These figures come from other data than the public ones, drawn in the same way: they differ "
            "a little from those you saw."
        )
    lines += [f"Noticed: {plain(hint)}" for hint in report.hints]
    return lines + [f"Found in the store: {plain(finding)}" for finding in report.findings]


def details(result: CriterionResult) -> list[tuple[str, str]]:
    """What to say about a criterion besides its sentence: (label, text) pairs, only those that help."""
    outcome = result.outcome
    judged = outcome.status in (Status.PASSED, Status.FAILED)
    page, _, section = result.chapter.partition("#")
    read = f"{page}.html{'#' * bool(section)}{section} in the book" if result.chapter else ""
    pairs = [
        ("Found" if judged else "So far", outcome.found),
        ("Expected", outcome.expected),
        ("Next", outcome.next_step),
        ("Read", read if outcome.status is Status.FAILED else ""),
    ]
    return [(label, plain(text)) for label, text in pairs if text]


def _paragraph(result: CriterionResult) -> list[str]:
    earned = f"{points(result.earned)}/{points(result.points)}"
    lines = [f"  {SYMBOLS[result.outcome.status]} {result.sentence}  ({result.outcome.status}, {earned})"]
    for label, text in details(result):
        indent = " " * 6
        lines += textwrap.wrap(
            f"{label}: {text}", WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
        )
    return lines
