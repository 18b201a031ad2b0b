"""Whatever is sent to the workspace's server, it answers in the way that its own description says.

MLFLOW_KIT_TEST_EXAMPLES asks each path so many times instead of a few; then at random.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.served import Served

pytestmark = pytest.mark.xdist_group("serving fuzz")

EXAMPLES = int(os.environ.get("MLFLOW_KIT_TEST_EXAMPLES", "0"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FUZZ = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("fuzz"))
    served.register_flowers("Signed")
    served.register_constant("Word", "one")
    served.start()
    served.create("signed", ("Signed", "1", 100))
    yield served
    served.close()


@pytest.fixture(scope="module")
def api(served: Served) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


def aimed(case: Any, number: int) -> None:
    """Of two cases, one is about what is there: most names at random are not."""
    path = case.path_parameters or {}
    if number % 2:
        for name, real in (("served_name", "Signed-1"), ("version", "1")):
            if name in path:
                path[name] = real
        if "name" in path:
            path["name"] = "Signed" if "version" in path else "signed"
        body = case.body
        if isinstance(body, dict) and isinstance(body.get("config"), dict):
            body = body["config"]
        if isinstance(body, dict):
            entities = body.get("served_entities")
            for entity in entities if isinstance(entities, list) else ():
                if isinstance(entity, dict):
                    entity |= {"entity_name": "Word", "entity_version": "1"}


@schema.parametrize()
@FUZZ
def test_every_answer_is_as_described(case: Any, served: Served) -> None:
    aimed(case, hash(str(case.body)) if EXAMPLES else len(str(case.body)))
    response = case.call(headers=served.bearer, timeout=30)
    case.validate_response(response, checks=CHECKS)
    assert served.servers[-1].running
    if response.status_code == 204 or case.method == "DELETE":
        names = [e["name"] for e in served.call("GET", "/api/2.0/serving-endpoints").json()["endpoints"]]
        if "signed" not in names:
            served.create("signed", ("Signed", "1", 100))


@schema.parametrize()
@settings(parent=FUZZ, max_examples=EXAMPLES or 5)
def test_without_a_token_every_answer_is_a_refusal(case: Any, served: Served) -> None:
    response = case.call(timeout=30)
    case.validate_response(response, checks=CHECKS)
    assert 400 <= response.status_code < 500
