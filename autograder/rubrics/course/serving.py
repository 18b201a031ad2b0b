"""What 06-serving asks: an endpoint, calls in two forms, two errors on purpose, a new version rolled out."""

import pandas as pd

from autograder.evidence import Evidence, find_registered
from autograder.evidence.workspace_facts import Endpoint, EndpointChange, Request, ServedEntity
from autograder.rubrics import calls, claims
from autograder.rubrics.language import Outcome, Rubric, failed, not_attempted, passed
from autograder.workspace import load_flowers

ENDPOINT = "iris-endpoint"
NAME = "IrisRandomForest"
FORMS = ("dataframe_split", "dataframe_records")
#: How many calls must be answered while both versions are in traffic.
FEWEST_CALLS = 10


def features(evidence: Evidence) -> pd.DataFrame:
    """The test part under the conditions that the work was done under."""
    return load_flowers(evidence.seed, evidence.settings).X_test


def the_endpoint(evidence: Evidence) -> Endpoint | None:
    """The endpoint that is meant: the one of that name, else the only one there is."""
    named = [endpoint for endpoint in evidence.endpoints if endpoint.name == ENDPOINT]
    found = named or list(evidence.endpoints)
    return found[0] if len(found) == 1 else None


def versions(evidence: Evidence, role: str) -> set[int]:
    """The versions that the exercise registered as “current” or “newer”."""
    model = find_registered(evidence, NAME)
    return {v.version for v in model.versions if v.tags.get("role") == role} if model else set()


def history(evidence: Evidence) -> list[EndpointChange]:
    """What was in force, since the endpoint was made last: each change of what it serves."""
    endpoint = the_endpoint(evidence)
    own = [change for change in evidence.endpoint_changes if endpoint and change.endpoint == endpoint.name]
    made = [n for n, change in enumerate(own) if change.what == "created"]
    return [change for change in own[made[-1] if made else 0 :] if change.what == "updated"]


def shares(evidence: Evidence, entities: tuple[ServedEntity, ...], routes: dict[str, int]) -> tuple[int, int]:
    """The percentages of the calls that go to the version in use and to the newer one."""
    percent = {"current": 0, "newer": 0}
    for role in percent:
        for entity in entities:
            if entity.model_name == NAME and entity.version in versions(evidence, role):
                percent[role] += routes.get(entity.name, 0)
    return percent["current"], percent["newer"]


def own_calls(evidence: Evidence) -> list[Request]:
    """The answered calls of the endpoint since it was made last."""
    endpoint = the_endpoint(evidence)
    if endpoint is None:
        return []
    return [call for call in calls.answered(evidence, endpoint.name) if call.time >= endpoint.created]


rubric = Rubric(
    assignment="06-serving",
    title="Serve a model and call it",
    chapter="chapters/serving",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
endpoint_task = rubric.task("endpoint", "Make an endpoint", section="make-an-endpoint")
call_task = rubric.task("call", "Call it with a token, in two forms", section="call-it")
errors_task = rubric.task("errors", "Meet two errors on purpose", section="when-it-says-no")
rollout_task = rubric.task("rollout", "Take the new version into traffic", section="a-new-version")


@endpoint_task.criterion(f"There is an endpoint `{ENDPOINT}`, and it is ready", 3, ("S5", "C3"))
def endpoint_made(evidence: Evidence) -> Outcome:
    endpoint = next((one for one in evidence.endpoints if one.name == ENDPOINT), None)
    if endpoint is None and evidence.endpoints:
        return failed(
            f"The workspace has only {claims.listed(one.name for one in evidence.endpoints)}.",
            f"an endpoint `{ENDPOINT}`, spelled just like that",
            "Make the endpoint under that name.",
        )
    if endpoint is None:
        return not_attempted("The workspace has no endpoint.", "Make one with client.create_endpoint.")
    if endpoint.ready != "READY":
        return failed(
            f"“{ENDPOINT}” is {endpoint.ready}.",
            "an endpoint that is READY",
            "Look at what it says under `state` and in its served entities; a model that cannot be loaded is "
            "named there. Then wait until it is ready before the notebook goes on.",
        )
    return passed(f"“{ENDPOINT}” is READY.")


@endpoint_task.criterion("It served the version in use first, and only that", 2, ("S5",))
def began_with_current(evidence: Evidence) -> Outcome:
    changes = history(evidence)
    if not changes:
        return not_attempted("No endpoint has served anything yet.", "Make one and wait until it is ready.")
    first = changes[0]
    if shares(evidence, first.entities, first.routes)[0] == 100:
        return passed("At first all calls went to the version in use.")
    return failed(
        f"At first it served {_told(first)}.",
        f"all calls to the version `current` of {NAME}",
        "Take the number from current.version when you make the endpoint.",
    )


@call_task.criterion("There is a token with the permission CAN_QUERY and a comment", 1, ("C3", "S6"))
def token_made(evidence: Evidence) -> Outcome:
    own = [token for token in evidence.tokens if token.permission == "CAN_QUERY"]
    if any(token.comment.strip() for token in own):
        return passed("There is a token that may query and nothing else, and says what it is for.")
    if own:
        return failed(
            "The token that may only query has no comment.",
            "a comment from which a colleague knows which program has the token",
            "Pass create_token a comment.",
        )
    return not_attempted(
        "There is no token with the permission CAN_QUERY.", "Make one with exercise.workspace.create_token."
    )


@call_task.criterion("Flowers sent as `dataframe_split` were answered as the model answers", 4, ("S6", "C3"))
def called_by_split(evidence: Evidence) -> Outcome:
    return _was_called(evidence, own_calls(evidence), "dataframe_split")


@call_task.criterion(
    "Flowers sent as `dataframe_records` were answered as the model answers", 4, ("S6", "C3")
)
def called_by_records(evidence: Evidence) -> Outcome:
    return _was_called(evidence, own_calls(evidence), "dataframe_records")


@errors_task.criterion("A call without a token met 401", 1, ("C3", "S6"))
def met_401(evidence: Evidence) -> Outcome:
    return _met(evidence, 401, "Leave the header Authorization out of one call.")


@errors_task.criterion("A call with wrong columns met 400", 1, ("S6",))
def met_400(evidence: Evidence) -> Outcome:
    return _met(evidence, 400, "Send the flowers once with the columns called f1, f2, f3, f4.")


@errors_task.criterion("The code of the 401 was read from its answer", 2, ("S6",), needs=("met-401",))
def read_401(evidence: Evidence) -> Outcome:
    return _was_read(evidence, 401)


@errors_task.criterion("The code of the 400 was read from its answer", 2, ("S6",), needs=("met-400",))
def read_400(evidence: Evidence) -> Outcome:
    return _was_read(evidence, 400)


@rollout_task.criterion("90 percent went to the version in use, 10 to the newer one", 3, ("C3", "S5"))
def ninety_ten(evidence: Evidence) -> Outcome:
    changes = history(evidence)
    if _beginning_of(evidence, (90, 10)) is not None:
        return passed("For a time the newer version had 10 percent of the calls.")
    if len(changes) < 2:
        return not_attempted(
            "What the endpoint serves was never changed.", "Give the newer version 10 percent of the calls."
        )
    return failed(
        f"After the first, it served {'; then '.join(_told(change) for change in changes[1:])}.",
        "90 percent to `current` and 10 to `newer`, before the newer one gets all",
        "Serve both versions, with a route for each by the name of its entity.",
    )


@rollout_task.criterion(f"{FEWEST_CALLS} calls were answered meanwhile", 1, ("C3",), needs=("ninety-ten",))
def called_meanwhile(evidence: Evidence) -> Outcome:
    begun = _beginning_of(evidence, (90, 10))
    ended = min((c.time for c in history(evidence) if begun is not None and c.time > begun), default=None)
    meanwhile = [
        call
        for call in own_calls(evidence)
        if begun is not None and begun <= call.time and (ended is None or call.time <= ended)
    ]
    if len(meanwhile) >= FEWEST_CALLS:
        return passed(f"{len(meanwhile)} calls were answered while both versions were in traffic.")
    return failed(
        f"{len(meanwhile)} calls were answered while both versions were in traffic.",
        f"{FEWEST_CALLS} calls or more",
        "Call the endpoint in a loop after it is ready with both, and before you change it again.",
    )


@rollout_task.criterion("In the end all calls go to the newer version", 3, ("C3", "S5"))
def all_on_newer(evidence: Evidence) -> Outcome:
    endpoint = the_endpoint(evidence)
    if endpoint is None or not endpoint.entities:
        return not_attempted("There is no endpoint that serves anything.", "Make the endpoint first.")
    in_use, new = shares(evidence, endpoint.entities, endpoint.routes)
    if new == 100:
        return passed("All calls go to the newer version.")
    if in_use == 100:
        return not_attempted("All calls go to the version in use.", "Let the newer version take over.")
    return failed(
        f"{in_use} percent of the calls go to the version in use, {new} to the newer one.",
        "100 percent to `newer`",
        "Update the config once more, and wait until it is ready.",
    )


@rollout_task.criterion(
    "The newer version then answered the five flowers", 3, ("S6",), needs=("all-on-newer",)
)
def answered_by_newer(evidence: Evidence) -> Outcome:
    last = history(evidence)[-1].time
    mine = [call for call in own_calls(evidence) if call.version in versions(evidence, "newer")]
    return _was_called(evidence, [call for call in mine if call.time >= last], *FORMS)


def _beginning_of(evidence: Evidence, percent: tuple[int, int]) -> int | None:
    times = [c.time for c in history(evidence) if shares(evidence, c.entities, c.routes) == percent]
    return times[-1] if times else None


def _told(change: EndpointChange) -> str:
    served = [f"version {e.version} with {change.routes.get(e.name, 0)} percent" for e in change.entities]
    return " and ".join(served) or "nothing"


def _was_called(evidence: Evidence, answered: list[Request], *forms: str) -> Outcome:
    """Whether one of these calls brought the flowers in one of the forms, and the answer is the model's."""
    return calls.were_answered(evidence, answered, forms, features(evidence), "flowers")


def _errors(evidence: Evidence, status: int) -> list[Request]:
    return [call for call in evidence.requests if call.status == status]


def _met(evidence: Evidence, status: int, step: str) -> Outcome:
    found = _errors(evidence, status)
    if found:
        return passed(f"The log has a call that got {status}: {calls.message(found[-1])}")
    others = sorted({call.status for call in evidence.requests if call.status >= 400})
    met = f" It has {claims.listed(str(other) for other in others)}." if others else ""
    return not_attempted(f"The log has no call that got {status}.{met}", step)


def _was_read(evidence: Evidence, status: int) -> Outcome:
    name = f"error_{status}"
    runs = [run for run in evidence.runs if name in run.params]
    if not runs:
        return not_attempted(
            f"No run has a parameter `{name}`.", "Log the error_code of the answer in the run errors-met."
        )
    logged = max(runs, key=lambda run: run.start_time).params[name]
    codes = {calls.error_code(call) for call in _errors(evidence, status)} - {""}
    if logged.strip() in codes:
        return passed(f"The run says “{logged}”, as the answer did.")
    said = f"The answers with {status} said {claims.listed(sorted(codes))}." if codes else "No call got it."
    return failed(
        f"The run says {name} = “{logged}”. {said}",
        f"the `error_code` in the answer of a call that got {status}",
        'Take it from the answer in code: answer.json()["error_code"].',
    )
