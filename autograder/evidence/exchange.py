"""Facts as JSON, which goes from the process that read them to the one that grades: bounded and validated."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autograder.databricks.database import StoreError
from autograder.evidence.bounds import at_most, bounded, told, within
from autograder.evidence.facts import LARGEST_SCORES, Evidence

#: Bytes of JSON that facts of a kind may come to, the newest first.
BUDGETS = {
    "experiments": 256 << 10,
    "runs": 8 << 20,
    "models": 4 << 20,
    "registered": 2 << 20,
    "changes": 1 << 20,
    "endpoints": 1 << 20,
    "endpoint_changes": 1 << 20,
    "requests": 8 << 20,
    "tables": 3 << 20,
    "tokens": 256 << 10,
}
#: Facts that were read, before models were asked, are never larger than this as JSON, in bytes: the
#: budgets, and what the notebook's cells, settings and findings take.
LARGEST_FACTS = 32 << 20
#: Facts with the answers of the models. Larger ones are not loaded.
LARGEST = LARGEST_FACTS + LARGEST_SCORES

_evidence = TypeAdapter(Evidence)


class UnusableFacts(StoreError):
    """Raised by :func:`load` for what is no JSON of facts, or goes beyond their limits."""


def dump(evidence: Evidence) -> str:
    """The facts as JSON."""
    return _evidence.dump_json(evidence).decode()


def load(text: str | bytes) -> Evidence:
    """The facts from JSON, in time that grows with its length. Raises UnusableFacts when they are not."""
    if len(text) > LARGEST:
        raise UnusableFacts(
            f"The facts that were read have {len(text) >> 20} MiB; expected no more than {LARGEST >> 20}. "
            "Start again in an empty folder, and log less."
        )
    try:
        return _evidence.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:60] for part in first["loc"][:6])
        raise UnusableFacts(
            f"The store holds what MLflow does not write: {where}: {first['msg'][:200]}. Start again in an "
            "empty folder."
        ) from None


def limited(evidence: Evidence) -> Evidence:
    """Facts within their limits and budgets, with findings of what was left out; to do before scoring."""
    cut, left = bounded(replace(evidence, findings=at_most(evidence.findings)))
    for name, largest in BUDGETS.items():
        facts = getattr(cut, name) or ()
        kept = within(reversed(facts), len(facts), largest)[::-1]
        if len(kept) < len(facts):
            left[name] += len(facts) - len(kept)
            changed: Any = {name: kept}
            cut = replace(cut, **changed)
    return replace(cut, findings=at_most([*told(left), *cut.findings]))
