"""The figures of an endpoint with sixty calls, for a picture: the same calls every time."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from autograder.databricks import journal
from autograder.databricks.metrics import EndpointMetrics, measure
from autograder.databricks.state import State

ENDPOINT = "iris-endpoint"
CALLS = 60
#: From this call on a tenth of the calls goes to version 2.
NEWER_FROM = 20
WRONG_CALL = 33
BEGAN = datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp()


def measured(folder: Path) -> EndpointMetrics:
    """Write the calls into the request log of the workspace in ``folder``; the endpoint's figures."""
    random = np.random.default_rng(3)
    connection = State(folder).connect()
    connection.execute("BEGIN")
    for n in range(CALLS):
        version = 2 if n >= NEWER_FROM and n % 10 == 0 else 1
        status, answer = (400, b"{}") if n == WRONG_CALL else (200, b'{"predictions": ["setosa"]}')
        call = journal.record(
            endpoint=ENDPOINT,
            status=status,
            began=BEGAN + 10 * n,
            seconds=float(random.gamma(8, 0.0008 if version == 1 else 0.0014)),
            request=b"{}",
            response=answer,
            requester="student",
            entity={
                "name": "current" if version == 1 else "newer",
                "entity_name": "IrisRandomForest",
                "entity_version": str(version),
                "source": f"models:/IrisRandomForest/{version}",
            },
        )
        journal.write(connection, call)
    connection.execute("COMMIT")
    connection.close()
    return measure(folder, ENDPOINT)
