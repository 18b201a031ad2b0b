"""What became of each submission of a class, and the table that shows it."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter
from rich.console import Group
from rich.table import Table
from rich.text import Text

from autograder.base.text import plain, short
from autograder.reports.as_text import points

#: Characters of a reason, at most.
LONGEST_REASON = 1_500


class VerdictKind(StrEnum):
    """What can become of a submission in a batch."""

    GRADED = "graded"
    PARTLY = "partly graded"
    UNGRADED = "could not be graded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one row that a submission gets. ``because`` and ``next_step`` are for the instructor.

    Both are plain, and cut: what a submission's own work says is in them.
    """

    student: str
    assignment: str
    kind: VerdictKind
    earned: float
    maximum: float
    because: str = ""
    next_step: str = ""
    tasks: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "because", short(self.because, LONGEST_REASON))
        object.__setattr__(self, "next_step", short(self.next_step, LONGEST_REASON))


_verdict = TypeAdapter(Verdict)


def dump_verdict(verdict: Verdict) -> str:
    """The verdict as JSON."""
    return _verdict.dump_json(verdict, indent=1).decode()


def load_verdict(text: str | bytes) -> Verdict:
    """The verdict from JSON; raises pydantic.ValidationError when it is none."""
    return _verdict.validate_json(text)


COLOURS = {VerdictKind.GRADED: "green", VerdictKind.PARTLY: "yellow", VerdictKind.UNGRADED: "red"}


def class_table(assignment: str, verdicts: list[Verdict]) -> Group:
    """The results of a class for a terminal: one row a submission, then what there is to say of some."""
    tasks = list(dict.fromkeys(task for verdict in verdicts for task in verdict.tasks))
    table = Table(title=f"{assignment}: {len(verdicts)} submissions", title_justify="left")
    table.add_column("student", overflow="fold")
    for number, _ in enumerate(tasks, start=1):
        table.add_column(f"T{number}", justify="right", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for verdict in verdicts:
        shares = [verdict.tasks.get(task) for task in tasks]
        graded = verdict.kind is not VerdictKind.UNGRADED
        table.add_row(
            Text(plain(verdict.student)),
            *(points(share[0]) if share and graded else "–" for share in shares),
            f"{points(verdict.earned)} of {points(verdict.maximum)}" if graded else "pending",
            Text(verdict.kind, COLOURS[verdict.kind]),
        )
    legend = ", ".join(f"T{number} {task}" for number, task in enumerate(tasks, start=1))
    return Group(
        table, Text(f"Tasks: {legend}", "dim"), *(_note(verdict) for verdict in verdicts if verdict.because)
    )


def _note(verdict: Verdict) -> Text:
    because = plain(verdict.because).rstrip(".")
    note = Text(plain(verdict.student), COLOURS[verdict.kind])
    return note.append(
        f": {because}{'' if because.endswith('?') else '.'} {plain(verdict.next_step)}".rstrip(), "default"
    )
