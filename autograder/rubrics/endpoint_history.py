"""What endpoints served, and when: their history, also of those that were deleted."""

from collections.abc import Callable

from autograder.evidence import Evidence
from autograder.evidence.workspace_facts import Endpoint, EndpointChange


def deleted(evidence: Evidence) -> list[Endpoint]:
    """The endpoints that are there no more, each as it was when it was deleted last."""
    there = {endpoint.name for endpoint in evidence.endpoints}
    last: dict[str, Endpoint] = {}
    made: dict[str, EndpointChange] = {}
    for change in evidence.endpoint_changes:
        if change.what == "created":
            made[change.endpoint] = change
        if change.what == "deleted" and change.endpoint not in there:
            first = made.get(change.endpoint, change)
            last[change.endpoint] = Endpoint(
                name=change.endpoint,
                creator=first.by,
                created=first.time,
                ready="NOT_READY",
                update="NOT_UPDATING",
                entities=change.entities,
                routes=change.routes,
            )
    return list(last.values())


def lives(evidence: Evidence, name: str) -> list[list[EndpointChange]]:
    """For each time that an endpoint was made, what was in force: the changes of what it served."""
    found: list[list[EndpointChange]] = []
    for change in evidence.endpoint_changes:
        if change.endpoint == name and (change.what == "created" or not found):
            found.append([])
        if change.endpoint == name and change.what == "updated":
            found[-1].append(change)
    return found


def periods(
    evidence: Evidence, name: str, wanted: Callable[[EndpointChange], bool]
) -> list[tuple[int, int | None]]:
    """From when to when something ``wanted`` was in force; None as the end where it still is."""
    ends = [c for c in evidence.endpoint_changes if c.endpoint == name and c.what in ("updated", "deleted")]
    return [
        (change.time, ends[n + 1].time if n + 1 < len(ends) else None)
        for n, change in enumerate(ends)
        if change.what == "updated" and wanted(change)
    ]
