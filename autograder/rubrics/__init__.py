"""One module an assignment: what is asked, for how many points, what to say when it is missing."""

from autograder.rubrics.hints import hints
from autograder.rubrics.language import Criterion, Outcome, Rubric, Status, Task
from autograder.rubrics.registry import UnknownAssignment, assignments, load_rubric

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
