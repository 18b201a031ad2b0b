"""The report: the outcome of every criterion of one piece of work."""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from autograder.rubrics import Outcome, Status


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """A criterion and its outcome. ``earned`` is all of ``points`` or nothing.

    ``chapter`` is where the book teaches it, see :class:`autograder.rubrics.Criterion`.
    """

    task: str
    id: str
    sentence: str
    points: float
    outcome: Outcome
    chapter: str = ""

    @property
    def earned(self) -> float:
        """The criterion's points if it passed, else 0."""
        return self.points if self.outcome.status is Status.PASSED else 0.0

    @property
    def pending(self) -> bool:
        """Whether a person has to look before the points are final."""
        return self.outcome.status in (Status.NOT_GRADED, Status.AWAITING)


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes of one submission, or of one task of it.

    ``findings`` say in a line each what in the store was refused, ``hints`` name the stumbling blocks
    that were recognised; they cost nothing by themselves.
    """

    assignment: str
    title: str
    seed: int
    results: tuple[CriterionResult, ...]
    tasks: dict[str, str]
    findings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def earned(self) -> float:
        """Points earned."""
        return sum(result.earned for result in self.results)

    @property
    def maximum(self) -> float:
        """Points that could be earned."""
        return sum(result.points for result in self.results)

    @property
    def pending(self) -> bool:
        """Whether a person has to look at a criterion before the points are final."""
        return any(result.pending for result in self.results)

    def of_task(self, task: str) -> "Report":
        """The part of the report about one task. Raises KeyError, naming the tasks, for another."""
        if task not in self.tasks:
            raise KeyError(f"There is no task {task!r} here; the tasks are: {', '.join(self.tasks)}.")
        results = tuple(result for result in self.results if result.task == task)
        return replace(self, results=results, tasks={task: self.tasks[task]})


_report = TypeAdapter(Report)


def dump(report: Report) -> str:
    """The report as JSON."""
    return _report.dump_json(report, indent=1).decode()


def load(text: str | bytes) -> Report:
    """The report from JSON; raises pydantic.ValidationError when it is none."""
    return _report.validate_json(text)
