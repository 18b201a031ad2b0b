"""What is asked, for how many points, what to say when it is missing.

The rubrics are in ``by_assignment``, one module each; the rest is the language they are written in and
the questions that they share.
"""

from autograder.rubrics.hints import hints
from autograder.rubrics.language import Criterion, Outcome, Rubric, Status, Task
from autograder.rubrics.load import UnknownAssignment, assignments, load_rubric

__all__ = [
    "Criterion",
    "Outcome",
    "Rubric",
    "Status",
    "Task",
    "UnknownAssignment",
    "assignments",
    "hints",
    "load_rubric",
]
