"""The bodies of requests, as Databricks' REST API has them.

https://docs.databricks.com/api/workspace/servingendpoints/create and its neighbours. Fields that only
mean something on Databricks, such as a workload's size, are kept and shown, and change nothing here.
"""

import math
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from autograder.databricks.tokens import MOST_SECONDS

#: How deep the values of a served entity may be nested.
DEPTH = 10

#: Names of endpoints and served entities: letters, digits, ``-`` and ``_``, 63 at most.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]


#: What Databricks knows besides; kept or left out here, and not taken for a slip of the pen.
ELSEWHERE = frozenset(
    {
        "ai_gateway",
        "auto_capture_config",
        "autoscope_enabled",
        "budget_policy_id",
        "burst_scaling_enabled",
        "creation_timestamp",
        "creator",
        "description",
        "email_notifications",
        "environment_vars",
        "external_model",
        "foundation_model",
        "id",
        "inference_table_config",
        "instance_profile_arn",
        "max_provisioned_concurrency",
        "max_provisioned_throughput",
        "min_provisioned_concurrency",
        "min_provisioned_throughput",
        "model_name",
        "model_version",
        "name",
        "provisioned_model_units",
        "rate_limits",
        "route_optimized",
        "scopes",
        "served_entity_name",
        "served_model_name",
        "source",
        "state",
        "telemetry_config",
        "workload_type",
    }
)


class Body(BaseModel):
    """A body, or a part of one, that has only keys which mean something and can be answered as JSON."""

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = {*cls.model_fields, *ELSEWHERE}
        for key in given:
            if key not in known:
                near = get_close_matches(str(key), list(cls.model_fields), 1)
                raise PydanticCustomError(
                    "unknown_key",
                    "there is no key “{key}”; {meant}the keys are {keys}",
                    {
                        "key": printable(str(key))[:100],
                        "meant": f"was “{near[0]}” meant? " if near else "",
                        "keys": ", ".join(cls.model_fields),
                    },
                )
        if cls.model_config.get("extra") == "allow" and not _plain(given):
            raise PydanticCustomError("not_plain", f"its values are more than {DEPTH} deep, or no text")
        return given


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether a value can be written as JSON again."""
    if isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return depth < DEPTH and all(_plain(part, depth + 1) for part in parts)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, str) or printable(value) == value


def printable(text: str) -> str:
    """Text with a question mark for each half of a character, which no answer could carry."""
    return text.encode("utf-8", "replace").decode()


class Tag(Body):
    """A tag of an endpoint."""

    key: Text
    value: Annotated[str, StringConstraints(max_length=1000)] | None = None


class ServedEntity(Body):
    """A version of a registered model that an endpoint serves; ``name`` is by default made of both."""

    model_config = ConfigDict(extra="allow")

    name: Name | None = None
    entity_name: Text
    entity_version: Annotated[str, Field(max_length=20)]
    workload_size: str = "Small"
    scale_to_zero_enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _older_names(cls, given: Any) -> Any:
        """``served_models`` had ``model_name`` and ``model_version``; a number is taken for its text."""
        if not isinstance(given, dict):
            return given
        given = dict(given)
        for older, name in (("model_name", "entity_name"), ("model_version", "entity_version")):
            if older in given and name not in given:
                given[name] = given.pop(older)
        if isinstance(given.get("entity_version"), int) and not isinstance(given["entity_version"], bool):
            given["entity_version"] = str(given["entity_version"])
        return given


class Route(Body):
    """How much of the calls goes to a served entity, in percent."""

    served_model_name: Name
    traffic_percentage: Annotated[int, Field(ge=0, le=100)]

    @model_validator(mode="before")
    @classmethod
    def _newer_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "served_model_name" not in given and "served_entity_name" in given:
            given = {**given, "served_model_name": given["served_entity_name"]}
        return given


class Traffic(Body):
    """How an endpoint's calls are split; the percentages sum to 100."""

    routes: Annotated[list[Route], Field(min_length=1, max_length=10)]


class EndpointConfig(Body):
    """What an endpoint serves. ``served_models`` is the older name of ``served_entities``."""

    served_entities: Annotated[list[ServedEntity], Field(max_length=10)] = []
    served_models: Annotated[list[ServedEntity], Field(max_length=10)] = []
    traffic_config: Traffic | None = None


class CreateEndpoint(Body):
    """A new endpoint."""

    name: Name
    config: EndpointConfig
    tags: list[Tag] = []
    route_optimized: bool = False


class ChangeTags(Body):
    """Tags to set and tags to take away."""

    add_tags: list[Tag] = []
    delete_tags: list[Text] = []


class CreateToken(Body):
    """A new token: https://docs.databricks.com/api/workspace/tokens/create.

    ``permission`` (CAN_QUERY or CAN_MANAGE) is this workspace's own; on Databricks a token has its user's.
    """

    comment: Annotated[str, StringConstraints(max_length=1000)] = ""
    lifetime_seconds: Annotated[int, Field(gt=0, le=MOST_SECONDS)] | None = None
    permission: Annotated[str, Field(pattern=r"^CAN_(QUERY|MANAGE)$")] = "CAN_MANAGE"


class RevokeToken(Body):
    """A token to end."""

    token_id: Text


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error_code: str
    message: str
