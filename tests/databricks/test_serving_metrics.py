"""How an endpoint does: the numbers, the plot, and the text for Prometheus."""

from pathlib import Path

import numpy as np
import pytest

from autograder.databricks import journal
from autograder.databricks.metrics import EndpointMetrics, as_prometheus, measure
from autograder.databricks.state import State


def entity(version: str) -> dict[str, str]:
    return {
        "name": f"Iris-{version}",
        "entity_name": "Iris",
        "entity_version": version,
        "source": f"models:/m-{version}",
    }


@pytest.fixture
def measured(tmp_path: Path) -> EndpointMetrics:
    """Ten calls of version 1 in 1 to 10 ms, two of version 2, one refused, and one of another endpoint."""
    state = State(tmp_path)
    connection = state.connect()

    def call(endpoint: str, status: int, milliseconds: float, version: str | None) -> None:
        one = journal.record(
            endpoint=endpoint,
            status=status,
            began=1_700_000_000 + milliseconds,
            seconds=milliseconds / 1000,
            request=b"{}",
            response=b"{}",
            requester="ann",
            entity=entity(version) if version else None,
        )
        journal.write(connection, one)

    for n in range(1, 11):
        call("iris", 200, n, "1")
    journal.move(state)  # some are in the table, some in the journal
    call("iris", 200, 20, "2")
    call("iris", 400, 30, "2")
    call("iris", 401, 0.5, None)
    call("other", 500, 99, "1")
    return measure(tmp_path, "iris")


def test_calls_errors_and_percentiles_are_told_by_version(measured: EndpointMetrics) -> None:
    found = measured.by_version()
    assert found["calls"].to_dict() == {"all": 13, "1": 10, "2": 2, "none": 1}
    assert found["error_rate"].round(4).to_dict() == {"all": 0.1538, "1": 0, "2": 0.5, "none": 1}
    assert found.loc["1", "p50_ms"] == pytest.approx(5.5)
    assert found.loc["1", "p95_ms"] == pytest.approx(np.percentile(range(1, 11), 95))


def test_the_plot_shows_each_version_and_each_status(measured: EndpointMetrics) -> None:
    left, right = measured.plot().axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["version 1", "version 2", "error"]
    assert sum(len(line.get_xdata()) for line in left.lines) == 13
    assert [label.get_text() for label in right.get_xticklabels()] == ["200", "400", "401"]
    assert [bar.get_height() for bar in right.patches] == [11, 1, 1]
    shown = measured._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG")
    assert "p95_ms" in shown["text/plain"]
    assert "p95_ms" in shown["text/html"]
    assert 'alt="Calls of iris: 13' in shown["text/html"]
    assert "not complete" not in shown["text/html"]


def test_a_log_that_is_not_complete_says_so_where_it_is_shown(tmp_path: Path) -> None:
    State(tmp_path)
    (tmp_path / journal.TABLE).mkdir(parents=True)
    (tmp_path / journal.TABLE / "notes.txt").write_text("mine")
    shown = measure(tmp_path, "iris")._repr_mimebundle_()
    for form in ("text/plain", "text/html"):
        assert "The request log is not complete." in shown[form]
        assert "serving_payload is no Delta table; expected the request log" in shown[form]


def test_prometheus_reads_the_same_numbers(measured: EndpointMetrics) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    families = {f.name: f for f in text_string_to_metric_families(as_prometheus(measured))}
    counts = {sample.labels["status"]: sample.value for sample in families["request_count"].samples}
    assert counts == {"200": 11, "400": 1, "401": 1}
    assert all(sample.labels["endpoint_name"] == "iris" for f in families.values() for sample in f.samples)


def test_an_endpoint_that_nobody_called_has_no_numbers(tmp_path: Path) -> None:
    State(tmp_path)
    nothing = measure(tmp_path, "iris")
    assert nothing.by_version().loc["all", "calls"] == 0
    assert nothing.plot().axes
    assert "request_count" in as_prometheus(nothing)
