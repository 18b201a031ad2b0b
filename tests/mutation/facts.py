"""The facts that the known submissions left, kept in ``build/facts/ASSIGNMENT/NAME.json``."""

import functools
from pathlib import Path

from autograder import evidence

FACTS = Path(__file__).resolve().parents[2] / "build" / "facts"


@functools.cache
def kept_facts() -> dict[tuple[str, str], evidence.Evidence]:
    """The facts by the assignment and the submission's name, of those that were chosen."""
    paths = sorted(FACTS.glob(f"{_chosen[-1]}/*.json"))
    return {(path.parent.name, path.stem): evidence.load(path.read_bytes()) for path in paths}


def choose(assignment: str) -> None:
    """From now on only the facts of this assignment's submissions; those of all for an empty name."""
    if assignment:
        _chosen.append(assignment)
        kept_facts.cache_clear()


_chosen = ["*"]
