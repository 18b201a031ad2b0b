"""A report as HTML that reads in Jupyter, in feedback pages and after strict sanitising.

Only ``div``, ``b``, ``code`` and ``span`` are used, which nbconvert's sanitising leaves alone; it
takes the inline styles away, so nothing is said by colour only.
"""

import html
import re

from autograder.base.text import plain
from autograder.grading import CriterionResult, Report
from autograder.reports.as_text import SYMBOLS, details, heading, points, remarks
from autograder.rubrics import Status

COLOURS = {
    Status.PASSED: "#2e7d32",
    Status.FAILED: "#c62828",
    Status.NOT_ATTEMPTED: "#6b7280",
    Status.NOT_GRADED: "#b26a00",
    Status.AWAITING: "#b26a00",
}
#: Bootstrap's classes, which feedback pages style.
CLASSES = {
    Status.PASSED: "alert alert-success",
    Status.FAILED: "alert alert-danger",
    Status.NOT_ATTEMPTED: "alert alert-info",
    Status.NOT_GRADED: "alert alert-warning",
    Status.AWAITING: "alert alert-warning",
}


def report_html(report: Report) -> str:
    """The report as one ``div``. Every text in it is escaped."""
    parts = [f"<div><b>{_text(heading(report))}</b></div>"]
    parts += [f"<div>{_text(remark)}</div>" for remark in remarks(report)]
    for task, title in report.tasks.items():
        part = report.of_task(task)
        if len(report.tasks) > 1:
            marks = f"{points(part.earned)} of {points(part.maximum)} points"
            parts.append(f'<div style="margin-top:1em"><b>{_text(title)}</b> ({marks})</div>')
        parts += [_criterion(result) for result in part.results]
    return f'<div class="mlflow-kit-report" style="max-width:60em">{"".join(parts)}</div>'


def _criterion(result: CriterionResult) -> str:
    status = result.outcome.status
    marks = f"{status}, {points(result.earned)}/{points(result.points)}"
    lines = "".join(
        f"<div>{label}: {_text(text)}</div>" if label != "Next" else f"<div><b>Next:</b> {_text(text)}</div>"
        for label, text in details(result)
    )
    style = f"margin:.4em 0;padding:.3em .8em;border-left:4px solid {COLOURS[status]};background:none"
    return (
        f'<div class="{CLASSES[status]}" style="{style};color:inherit">'
        f"<div><b>{SYMBOLS[status]} {_text(result.sentence)}</b> <span>({marks})</span></div>{lines}</div>"
    )


def _text(text: str) -> str:
    """Escaped text; what stands between backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(plain(text)))
