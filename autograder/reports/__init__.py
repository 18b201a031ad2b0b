"""A report as HTML, text, JSON and JUnit, and the table of a class."""

from autograder.reports.as_html import report_html
from autograder.reports.as_text import points, report_text
from autograder.reports.class_table import Verdict, VerdictKind, class_table, dump_verdict, load_verdict
from autograder.reports.machine import report_json, report_junit

__all__ = [
    "Verdict",
    "VerdictKind",
    "class_table",
    "dump_verdict",
    "load_verdict",
    "points",
    "report_html",
    "report_json",
    "report_junit",
    "report_text",
]
