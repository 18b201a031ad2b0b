"""Which of the models that an endpoint serves answers a call."""

import json
import random
import re
from functools import lru_cache
from typing import Any

from autograder.databricks.loaded_models import Found
from autograder.databricks.refusals import Refused
from autograder.databricks.shapes import EndpointConfig

Document = dict[str, Any]


def default_name(found: Found) -> str:
    """The name of a served entity that was given none, in letters that a URL and a header can carry."""
    model = re.sub(r"[^A-Za-z0-9_-]", "_", found.name.rpartition(".")[2]).lstrip("_-")[:50] or "model"
    return f"{model}-{found.version}"


def found_of(entity: Document) -> Found:
    """The model version that a served entity names."""
    return Found(
        entity["entity_name"], entity["entity_version"], entity["source"], entity.get("location", "")
    )


@lru_cache(maxsize=64)
def parsed(body: str) -> Document:
    """An endpoint's document, not to be changed; the same text is read once."""
    document: Document = json.loads(body)
    return document


def pick(document: Document) -> Document:
    """The served entity that answers the next call, by the traffic's percentages. Raises Refused."""
    name = document["name"]
    if document["state"]["ready"] != "READY":
        failed = [
            e
            for e in document.get("config", {}).get("served_entities", ())
            if e["state"]["deployment"] == "DEPLOYMENT_FAILED"
        ]
        if failed:
            raise Refused(
                400,
                "BAD_REQUEST",
                f"The endpoint “{name}” has no model. {failed[0]['state']['deployment_state_message']}",
            )
        raise _loading(document)
    routes = document["config"]["traffic_config"]["routes"]
    chosen = (
        routes[0]
        if len(routes) == 1
        else random.choices(routes, [r["traffic_percentage"] for r in routes])[0]
    )
    return served(document, chosen["served_model_name"])


def served(document: Document, name: str) -> Document:
    """The served entity of that name. Raises Refused, naming those there are, and for one still loading."""
    entities: dict[str, Document] = {
        entity["name"]: entity for entity in document.get("config", {}).get("served_entities", [])
    }
    if name not in entities:
        pending = document.get("pending_config", {}).get("served_entities", ())
        if document["state"]["config_update"] == "IN_PROGRESS" and name in (each["name"] for each in pending):
            raise _loading(document)
        raise Refused.missing(
            f"The endpoint “{document['name']}” serves nothing called “{name}”; it serves: "
            f"{', '.join(entities) or 'nothing yet'}."
        )
    return entities[name]


def _loading(document: Document) -> Refused:
    """What is said of an endpoint, or an entity, whose models are being loaded."""
    return Refused.unavailable(
        f"The endpoint “{document['name']}” is not ready yet: its models are being loaded. Wait until its "
        "state.ready is READY and its state.config_update NOT_UPDATING."
    )


def routes_of(asked: EndpointConfig, names: list[str]) -> list[Document]:
    """Who gets how much of the calls. Raises Refused unless all go to somebody who is served."""
    if asked.traffic_config is None:
        if len(names) > 1:
            raise Refused.invalid(
                f"The configuration serves {len(names)} entities and has no traffic_config; expected "
                "routes whose "
                f"traffic_percentage sum to 100, for: {', '.join(names)}."
            )
        return [{"served_model_name": names[0], "traffic_percentage": 100}]
    routes = asked.traffic_config.routes
    for route in routes:
        if route.served_model_name not in names:
            raise Refused.invalid(
                f"traffic_config names “{route.served_model_name}”, which is not served; served are: "
                f"{', '.join(names)}."
            )
    total = sum(route.traffic_percentage for route in routes)
    if total != 100:
        shares = " + ".join(str(route.traffic_percentage) for route in routes)
        raise Refused.invalid(f"traffic_percentage must sum to 100; found {shares} = {total}.")
    return [route.model_dump() for route in routes]
