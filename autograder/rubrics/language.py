"""The language of rubrics: a rubric has tasks, a task has criteria, a criterion has an outcome."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

import pandas as pd

from autograder.base.text import short
from autograder.data.settings import THRESHOLDS, Settings, SettingsError
from autograder.evidence import Evidence, Run

#: Characters of a message, at most. Foreign text in it is cut before, so that the sentence stays whole.
LONGEST_MESSAGE = 500


class Status(StrEnum):
    """The five things that can become of a criterion."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ATTEMPTED = "not attempted"
    NOT_GRADED = "could not be graded"
    AWAITING = "awaiting a person"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a criterion, for the student: what was found, what was expected, the next step.

    Each is one plain line of at most LONGEST_MESSAGE characters: what is longer is cut.
    """

    status: Status
    found: str
    expected: str = ""
    next_step: str = ""

    def __post_init__(self) -> None:
        for name in ("found", "expected", "next_step"):
            object.__setattr__(self, name, short(getattr(self, name), LONGEST_MESSAGE))


def passed(found: str) -> Outcome:
    """The criterion holds; ``found`` says what shows it."""
    return Outcome(Status.PASSED, found)


def failed(found: str, expected: str, next_step: str) -> Outcome:
    """The criterion does not hold."""
    return Outcome(Status.FAILED, found, expected, next_step)


def not_graded(found: str, next_step: str) -> Outcome:
    """What would be needed to judge is not there, and that is not the student's doing."""
    return Outcome(Status.NOT_GRADED, found, "", next_step)


def not_attempted(found: str, next_step: str) -> Outcome:
    """There is nothing to judge yet; ``next_step`` says what it waits for."""
    return Outcome(Status.NOT_ATTEMPTED, found, "", next_step)


def awaiting(found: str) -> Outcome:
    """A person has to judge this."""
    return Outcome(Status.AWAITING, found)


#: A check takes the evidence and, in a task that is about one run, that run.
Check = Callable[..., Outcome]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One checkable sentence, worth points.

    ``covers`` are the ids of the guide's topics, ``chapter`` the page of the book, and the section on
    it, that teaches it. ``needs`` are ids of criteria without which this one cannot be evaluated at
    all: unless they passed, it is reported as not attempted. ``by_hand`` tells that a person judges it.
    """

    id: str
    sentence: str
    points: float
    check: Check
    chapter: str
    covers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    by_hand: bool = False


@dataclass(slots=True)
class Task:
    """A numbered piece of an assignment; ``id`` is the grade_id of its check cell.

    ``about`` finds the run that all of the task's criteria speak of; while there is none, they are
    not attempted. ``chapter`` teaches it, see :class:`Criterion`.
    """

    id: str
    title: str
    chapter: str
    about: Callable[[Evidence], Run | None] | None = None
    criteria: list[Criterion] = field(default_factory=list)

    @property
    def points(self) -> float:
        """The sum of its criteria's points: what its check cell is worth."""
        return sum(criterion.points for criterion in self.criteria)

    def criterion(
        self,
        sentence: str,
        points: float,
        covers: tuple[str, ...] = (),
        needs: tuple[str, ...] = (),
        section: str = "",
    ) -> Callable[[Check], Check]:
        """Make a criterion of the function below, whose name with hyphens is the criterion's id.

        ``section`` is the part of the task's chapter that teaches it, by the anchor of its heading.
        """

        def add(check: Check) -> Check:
            criterion_id = check.__name__.replace("_", "-")
            asked = self._about_its_run(check) if self.about else check
            chapter = f"{self.chapter.partition('#')[0]}#{section}" if section else self.chapter
            self.criteria.append(Criterion(criterion_id, sentence, points, asked, chapter, covers, needs))
            return check

        return add

    def by_hand(self, id: str, sentence: str, points: float, covers: tuple[str, ...] = ()) -> None:
        """Add a criterion that a person judges, in formgrader: what the student wrote is not looked at."""
        check = partial(_wait, "A person reads what you wrote.")
        self.criteria.append(Criterion(id, sentence, points, check, self.chapter, covers, by_hand=True))

    def _about_its_run(self, check: Check) -> Check:
        find = self.about
        assert find is not None

        def asked(evidence: Evidence) -> Outcome:
            run = find(evidence)
            if run is None:
                found = "No run in the store is yet what this task asks for."
                found = found if evidence.runs else "There is no run in the store."
                return not_attempted(found, "Start a run and log into it.")
            return check(evidence, run)

        return asked


def _wait(found: str, evidence: Evidence) -> Outcome:
    return awaiting(found)


@dataclass(slots=True)
class Rubric:
    """What an assignment asks. ``chapter`` is the page of the book that teaches it.

    ``features`` draws, for a seed and settings, the rows that every logged model is asked
    about.
    """

    assignment: str
    title: str
    chapter: str
    features: Callable[[int, Settings], pd.DataFrame]
    tasks: list[Task] = field(default_factory=list)

    def task(
        self, id: str, title: str, about: Callable[[Evidence], Run | None] | None = None, section: str = ""
    ) -> Task:
        """Add a task, with the run it is about if it is about one.

        ``section`` is the part of the rubric's chapter that teaches it, by the anchor of its heading.
        """
        chapter = f"{self.chapter}#{section}" if section else self.chapter
        self.tasks.append(Task(id, title, chapter, about))
        return self.tasks[-1]

    def with_settings(self, settings: Settings) -> "Rubric":
        """A copy with the points that an instructor set.

        Raises SettingsError when they are of criteria, or thresholds, that there are not.
        """
        thresholds = THRESHOLDS.get(self.assignment, {})
        _expect(self.assignment, "criterion", settings.points, [one.id for _, one in self.criteria])
        _expect(self.assignment, "threshold", settings.thresholds, thresholds)
        points = settings.points
        tasks = [
            replace(task, criteria=[replace(c, points=points.get(c.id, c.points)) for c in task.criteria])
            for task in self.tasks
        ]
        return replace(self, tasks=tasks)

    @property
    def points(self) -> float:
        """The sum of its tasks' points."""
        return sum(task.points for task in self.tasks)

    @property
    def criteria(self) -> list[tuple[Task, Criterion]]:
        """Every criterion with its task, in order."""
        return [(task, criterion) for task in self.tasks for criterion in task.criteria]


def _expect(assignment: str, what: str, found: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in found:
        if name not in known:
            expected = f"expected one of: {', '.join(known)}" if known else "it has none"
            raise SettingsError(f"The settings of {assignment} name the {what} {name!r}; {expected}.")
