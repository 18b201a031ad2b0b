"""How an endpoint does: calls, errors and latency, from its request log."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.databricks import journal
from autograder.databricks.mover import why_not_moved

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EndpointMetrics:
    """The calls of an endpoint, the oldest first: columns of the request log, with the status and, in
    milliseconds, the duration of each. Shows itself as a table and a plot in a notebook. ``problem``
    says what is wrong with the request log.
    """

    endpoint: str
    calls: "pd.DataFrame"
    problem: str | None = None

    def by_version(self) -> "pd.DataFrame":
        """One row a served version: calls, share of errors (0 to 1), percentiles of milliseconds.

        Calls that were refused before a version was chosen are counted under “none”.
        """
        import pandas as pd

        rows = [{"version": "all", **_numbers(self.calls)}]
        if len(self.calls):
            versions = self.calls["model_version"].fillna("none")
            rows += [{"version": str(v), **_numbers(part)} for v, part in self.calls.groupby(versions)]
        return pd.DataFrame(rows).set_index("version")

    def plot(self) -> "Figure":
        """Each call's duration over time, by version, and how many ended with which status."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[3, 1])
        good = self.calls[self.calls["status_code"] < 400]
        for version, part in good.groupby(good["model_version"].fillna("none")):
            left.plot(
                part["request_time"], part["execution_duration_ms"], "o", ms=4, label=f"version {version}"
            )
        bad = self.calls[self.calls["status_code"] >= 400]
        if len(bad):
            left.plot(bad["request_time"], bad["execution_duration_ms"], "x", color="#b00020", label="error")
        left.set(title=f"Calls of {self.endpoint}", xlabel="time (UTC)", ylabel="milliseconds")
        left.set_ylim(bottom=0)
        left.tick_params(axis="x", labelrotation=30)
        if len(self.calls):
            left.legend(fontsize="small")
        counts = self.calls["status_code"].value_counts().sort_index()
        bars = right.bar([str(code) for code in counts.index], counts.to_numpy())
        right.bar_label(bars)
        right.margins(y=0.15)
        right.set(title="Answers", xlabel="status", ylabel="calls")
        return figure

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from base64 import b64encode
        from io import BytesIO

        picture = BytesIO()
        self.plot().savefig(picture, format="png", dpi=110)
        shown = self.by_version().round({"error_rate": 3, "p50_ms": 1, "p95_ms": 1})
        data = b64encode(picture.getvalue()).decode()
        alternative = f"Calls of {self.endpoint}: {len(self.calls)}, see the table"
        said = f"The request log is not complete. {self.problem}" if self.problem else ""
        table = shown.reset_index().to_html(index=False)
        html = f'{table}<img alt="{alternative}" src="data:image/png;base64,{data}">'
        if said:
            html = f"<p><b>{escape(said)}</b></p>{html}"
        text = "\n".join(filter(None, (said, repr(shown))))
        return {"text/plain": text, "image/png": picture.getvalue(), "text/html": html}


def _numbers(calls: "pd.DataFrame") -> dict[str, float]:
    if not len(calls):
        return {"calls": 0, "error_rate": float("nan"), "p50_ms": float("nan"), "p95_ms": float("nan")}
    duration = calls["execution_duration_ms"]
    return {
        "calls": len(calls),
        "error_rate": float((calls["status_code"] >= 400).mean()),
        "p50_ms": float(duration.quantile(0.5)),
        "p95_ms": float(duration.quantile(0.95)),
    }


def measure(folder: Path, endpoint: str) -> EndpointMetrics:
    """The metrics of an endpoint of the workspace in ``folder``, from its request log."""
    import pandas as pd

    needed = ["request_time", "status_code", "execution_duration_ms", "request_metadata", "requester"]
    problem = why_not_moved(folder)
    try:
        table = journal.read(folder, needed)
    except Exception as error:  # what is where the table should be, or whatever the library says of it
        table, problem = journal.read_waiting(folder).select(needed), str(error)
    rows = [{**row, **dict(row.pop("request_metadata"))} for row in table.to_pylist()]
    columns = ["request_time", "status_code", "execution_duration_ms", "model_version", "requester"]
    calls = pd.DataFrame([row for row in rows if row["endpoint_name"] == endpoint])
    return EndpointMetrics(endpoint, calls.reindex(columns=columns), problem)


def as_prometheus(measured: EndpointMetrics) -> str:
    """The metrics as text that Prometheus reads, as Databricks exports them."""
    name = measured.endpoint
    numbers = measured.by_version().loc["all"]
    lines = [f"# {' '.join(measured.problem.split())}"] if measured.problem else []
    lines.append("# TYPE request_count_total counter")
    counts = measured.calls["status_code"].value_counts().sort_index()
    lines += [
        f'request_count_total{{endpoint_name="{name}",status="{code}"}} {count}'
        for code, count in counts.items()
    ]
    if numbers["calls"]:
        lines.append("# TYPE request_latency_ms gauge")
        lines += [
            f'request_latency_ms{{endpoint_name="{name}",quantile="0.{q}"}} {numbers[f"p{q}_ms"]:.3f}'
            for q in (50, 95)
        ]
    return "\n".join(lines) + "\n"
