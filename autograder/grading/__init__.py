"""Rubric × evidence → report. Knows neither MLflow nor nbgrader."""

from autograder.grading.grade import grade, ungraded
from autograder.grading.report import CriterionResult, Report, dump, load

__all__ = ["CriterionResult", "Report", "dump", "grade", "load", "ungraded"]
