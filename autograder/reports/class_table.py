"""What became of each submission of a class, and the table that shows it."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter
from rich.table import Table
from rich.text import Text

from autograder.reports.text import plain, points


class VerdictKind(StrEnum):
    """What can become of a submission in a batch."""

    GRADED = "graded"
    PARTLY = "partly graded"
    UNGRADED = "could not be graded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one row that a submission gets. ``because`` and ``next_step`` are for the instructor."""

    student: str
    assignment: str
    kind: VerdictKind
    earned: float
    maximum: float
    because: str = ""
    next_step: str = ""
    tasks: dict[str, tuple[float, float]] = field(default_factory=dict)


_verdict = TypeAdapter(Verdict)


def dump_verdict(verdict: Verdict) -> str:
    """The verdict as JSON."""
    return _verdict.dump_json(verdict, indent=1).decode()


def load_verdict(text: str | bytes) -> Verdict:
    """The verdict from JSON; raises pydantic.ValidationError when it is none."""
    return _verdict.validate_json(text)


COLOURS = {
    VerdictKind.GRADED: "green",
    VerdictKind.PARTLY: "yellow",
    VerdictKind.UNGRADED: "red",
}


def class_table(assignment: str, verdicts: list[Verdict]) -> Table:
    """The results of a class, one row a submission, for a terminal."""
    table = Table(title=f"{assignment}: {len(verdicts)} submissions", title_justify="left")
    tasks = list(dict.fromkeys(task for verdict in verdicts for task in verdict.tasks))
    table.add_column("student", no_wrap=True)
    for task in tasks:
        table.add_column(task, justify="right")
    table.add_column("points", justify="right")
    table.add_column("verdict")
    for verdict in verdicts:
        shares = [verdict.tasks.get(task) for task in tasks]
        note = " ".join(part for part in (verdict.because, verdict.next_step) if part)
        what = Text(verdict.kind, COLOURS[verdict.kind])
        if note:
            what.append(f": {plain(note)}", "default")
        table.add_row(
            Text(plain(verdict.student)),
            *(points(share[0]) if share else "–" for share in shares),
            f"{points(verdict.earned)}/{points(verdict.maximum)}",
            what,
        )
    return table
