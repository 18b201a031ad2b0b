"""What 06-serving asks: an endpoint, calls in two forms, two errors on purpose, a new version rolled out."""

from autograder.base.remember import remembered
from autograder.base.text import quoted, short
from autograder.data import load_flowers
from autograder.evidence import Evidence, find_registered
from autograder.evidence.workspace_facts import Endpoint, EndpointChange, Request, ServedEntity
from autograder.rubrics import claims
from autograder.rubrics import served_calls as calls
from autograder.rubrics.claims import flowers as features
from autograder.rubrics.language import Outcome, Rubric, failed, not_attempted, passed

ENDPOINT = "iris-endpoint"
NAME = "IrisRandomForest"
FORMS = ("dataframe_split", "dataframe_records")
#: How many calls must be answered while both versions are in traffic.
FEWEST_CALLS = 10
#: The percentages of the version in use and of the newer one while both are in traffic, and in the end.
TOGETHER, ALONE = (90, 10), (0, 100)


@remembered
def the_endpoint(evidence: Evidence) -> Endpoint | None:
    """The endpoint that is meant: the one of that name, else the only one; also as it was when deleted."""
    gone = calls.deleted(evidence)
    named = [endpoint for endpoint in (*evidence.endpoints, *gone) if endpoint.name == ENDPOINT]
    found = named or list(evidence.endpoints) or gone
    return found[0] if len(found) == 1 else None


@remembered
def versions(evidence: Evidence, role: str) -> set[int]:
    """The versions that the exercise registered as “current” or “newer”."""
    model = find_registered(evidence, NAME)
    return {v.version for v in model.versions if v.tags.get("role") == role} if model else set()


@remembered
def histories(evidence: Evidence) -> list[list[EndpointChange]]:
    """What the endpoint served, one after the other, for each time that it was made and served anything."""
    endpoint = the_endpoint(evidence)
    return [life for life in calls.lives(evidence, endpoint.name) if life] if endpoint else []


def shares(evidence: Evidence, entities: tuple[ServedEntity, ...], routes: dict[str, int]) -> tuple[int, int]:
    """The percentages of the calls that go to the version in use and to the newer one."""
    percent = {"current": 0, "newer": 0}
    for role in percent:
        for entity in entities:
            if entity.model_name == NAME and entity.version in versions(evidence, role):
                percent[role] += routes.get(entity.name, 0)
    return percent["current"], percent["newer"]


@remembered
def own_calls(evidence: Evidence, percent: tuple[int, int] | None = None) -> list[Request]:
    """The answered calls of the endpoint: all, or those made while the calls were shared like this."""
    endpoint = the_endpoint(evidence)
    if endpoint is None:
        return []
    answered = list(calls.answered(evidence, endpoint.name))
    if percent is None:
        return answered
    times = calls.periods(
        evidence, endpoint.name, lambda change: shares(evidence, change.entities, change.routes) == percent
    )
    return [
        call
        for call in answered
        if any(begun <= call.time and (ended is None or call.time <= ended) for begun, ended in times)
    ]


@remembered
def refused_calls(evidence: Evidence, status: int) -> list[Request]:
    """The calls of the endpoint that got this status."""
    endpoint = the_endpoint(evidence)
    names = {ENDPOINT, endpoint.name if endpoint else ENDPOINT}
    return [call for call in evidence.requests if call.status == status and call.endpoint in names]


def with_other_columns(evidence: Evidence, found: list[Request]) -> list[Request]:
    """Those calls that brought columns, and not all of the model's among them."""
    wanted = set(features(evidence).columns)
    return [call for call in found if (sent := calls.columns_sent(call)) and not wanted <= sent]


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
    if endpoint is None and any(one.name == ENDPOINT for one in calls.deleted(evidence)):
        return failed(
            f"“{ENDPOINT}” was made, and deleted again.",
            "an endpoint that is READY when the notebook ends",
            "Leave the endpoint there, or make it again.",
        )
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
            f"“{ENDPOINT}” is {short(endpoint.ready)}.",
            "an endpoint that is READY",
            "Look at what it says under `state` and in its served entities; a model that cannot be loaded is "
            "named there. Then wait until it is ready before the notebook goes on.",
        )
    return passed(f"“{ENDPOINT}” is READY.")


@endpoint_task.criterion("It served the version in use first, and only that", 2, ("S5",))
def began_with_current(evidence: Evidence) -> Outcome:
    firsts = [changes[0] for changes in histories(evidence)]
    if not firsts:
        return not_attempted("No endpoint has served anything yet.", "Make one and wait until it is ready.")
    if any(shares(evidence, first.entities, first.routes)[0] == 100 for first in firsts):
        return passed("At first all calls went to the version in use.")
    return failed(
        f"At first it served {_told(firsts[-1])}.",
        f"all calls to the version `current` of {NAME}",
        "Take the number from current.version when you make the endpoint.",
    )


@call_task.criterion(
    "There is a token with the permission CAN_QUERY and a comment, and it is used", 1, ("C3", "S6")
)
def token_made(evidence: Evidence) -> Outcome:
    own = [token for token in evidence.tokens if token.permission == "CAN_QUERY"]
    meant = {token.id for token in own if token.comment.strip()}
    used = {call.token for call in own_calls(evidence) if call.token}
    if meant and (meant & used or not used):  # without answered calls it is they that are missing
        return passed("There is a token that may query and nothing else, and says what it is for.")
    if meant:
        return failed(
            "There is a token that may query and nothing else, but the calls that were answered had another.",
            "calls with the token that was made for them",
            "Put the text that create_token returned into the header Authorization.",
        )
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
    step = "Leave the header Authorization out of one call."
    return _met(evidence, 401, refused_calls(evidence, 401), step)


@errors_task.criterion("A call with wrong columns met 400", 1, ("S6",))
def met_400(evidence: Evidence) -> Outcome:
    every = refused_calls(evidence, 400)
    found = with_other_columns(evidence, every)
    if every and not found:
        return failed(
            f"What got 400 was no table with other columns: {calls.message(every[-1])}",
            "a call that brings flowers, with columns that are not the model's",
            "Send the five flowers once with the columns called f1, f2, f3, f4.",
        )
    step = "Send the flowers once with the columns called f1, f2, f3, f4."
    return _met(evidence, 400, found, step)


@errors_task.criterion("The code of the 401 was read from its answer", 2, ("S6",), needs=("met-401",))
def read_401(evidence: Evidence) -> Outcome:
    return _was_read(evidence, 401, refused_calls(evidence, 401))


@errors_task.criterion("The code of the 400 was read from its answer", 2, ("S6",), needs=("met-400",))
def read_400(evidence: Evidence) -> Outcome:
    return _was_read(evidence, 400, with_other_columns(evidence, refused_calls(evidence, 400)))


@rollout_task.criterion("90 percent went to the version in use, 10 to the newer one", 3, ("C3", "S5"))
def ninety_ten(evidence: Evidence) -> Outcome:
    changes = [change for life in histories(evidence) for change in life]
    if any(shares(evidence, change.entities, change.routes) == TOGETHER for change in changes):
        return passed("For a time the newer version had 10 percent of the calls.")
    if len(changes) < 2:
        return not_attempted(
            "What the endpoint serves was never changed.", "Give the newer version 10 percent of the calls."
        )
    return failed(
        f"After the first, it served {'; then '.join(_told(change) for change in changes[1:6])}.",
        "90 percent to `current` and 10 to `newer`, before the newer one gets all",
        "Serve both versions, with a route for each by the name of its entity.",
    )


@rollout_task.criterion(f"{FEWEST_CALLS} calls were answered meanwhile", 1, ("C3",), needs=("ninety-ten",))
def called_meanwhile(evidence: Evidence) -> Outcome:
    meanwhile = own_calls(evidence, TOGETHER)
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
    mine = [call for call in own_calls(evidence, ALONE) if call.version in versions(evidence, "newer")]
    return _was_called(evidence, mine, *FORMS)


def _told(change: EndpointChange) -> str:
    served = [f"version {e.version} with {change.routes.get(e.name, 0)} percent" for e in change.entities]
    return " and ".join(served) or "nothing"


def _was_called(evidence: Evidence, answered: list[Request], *forms: str) -> Outcome:
    """Whether one of these calls brought the flowers in one of the forms, and the answer is the model's."""
    return calls.were_answered(evidence, answered, forms, features(evidence), "flowers")


def _met(evidence: Evidence, status: int, found: list[Request], step: str) -> Outcome:
    if found:
        return passed(f"The log has a call that got {status}: {calls.message(found[-1])}")
    others = sorted({call.status for call in evidence.requests if call.status >= 400})
    met = f" It has {claims.listed(str(other) for other in others)}." if others else ""
    return not_attempted(f"The log has no call that got {status}.{met}", step)


def _was_read(evidence: Evidence, status: int, met: list[Request]) -> Outcome:
    name = f"error_{status}"
    runs = [run for run in evidence.runs if name in run.params]
    if not runs:
        return not_attempted(
            f"No run has a parameter `{name}`.", "Log the error_code of the answer in the run errors-met."
        )
    logged = max(runs, key=lambda run: run.start_time).params[name]
    if logged.strip() in {calls.error_code(call) for call in met} - {""}:
        return passed(f"The run says {quoted(logged)}, as the answer did.")
    return failed(
        f"The run says {name} = {quoted(logged)}, which is not what the answer said.",
        f"the `error_code` in the answer of a call that got {status}",
        'Take it from the answer in code: answer.json()["error_code"].',
    )
