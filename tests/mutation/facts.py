"""The facts that the known submissions left, kept in ``build/facts/ASSIGNMENT/NAME.json``."""

import functools
from pathlib import Path

from autograder import evidence

FACTS = Path(__file__).resolve().parents[2] / "build" / "facts"


@functools.cache
def kept_facts() -> dict[tuple[str, str], evidence.Evidence]:
    """The facts by the assignment and the submission's name."""
    return {
        (path.parent.name, path.stem): evidence.load(path.read_bytes())
        for path in sorted(FACTS.glob("*/*.json"))
    }
