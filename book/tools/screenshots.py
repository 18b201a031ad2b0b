"""Take the book's pictures of the MLflow UI, an endpoint's figures and feedback, from seeded stores.

    python book/tools/screenshots.py

Starts its own MLflow server on a free port of 127.0.0.1 and ends it. Same store, same pictures.
"""

import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import mlflow
from PIL import Image
from playwright.sync_api import BrowserContext, sync_playwright
from seed_calls import measured

from autograder.authoring.samples import hand_in, load_samples
from autograder.course.grade_class import tools_environment

HERE = Path(__file__).resolve().parent
KIT = HERE.parents[1]
IMAGES = HERE.parent / "images"
ASSIGNMENT = "01-tracking"
#: The submission whose feedback is shown.
SHOWN_SAMPLE = "marks-the-worst-run"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--font-render-hinting=none",
]
SHOWN_AT = datetime.datetime(2026, 1, 5, 10, tzinfo=datetime.UTC)
COLUMNS = [
    "metrics.`accuracy`",
    "metrics.`log_loss`",
    "params.`max_depth`",
    "params.`n_estimators`",
    "tags.`model_family`",
    "tags.`best`",
]
SORTED_BY_LOG_LOSS = {
    "searchFilter": "",
    "orderByKey": "metrics.`log_loss`",
    "orderByAsc": True,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": COLUMNS,
    "columnOrder": [],
    "columnWidths": {},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "runsHiddenMode": "FIRST_10_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "isAccordionReordered": False,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "autoRefreshEnabled": False,
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
#: What the UI remembers: without these it opens in another mode, with pop-ups over the page.
REMEMBERED = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.detectIssues.guidanceShown_v1": "true",
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
    "_mlflow_dark_mode_toggle_enabled": "false",
    "databricks-dark-mode-pref": "light",
    'MLflowLocalStorage-1.1-ExperimentPage-["1"]-ReactComponentState': json.dumps(SORTED_BY_LOG_LOSS),
}


#: As Jupyter shows a table.
NOTEBOOK_STYLE = """
div { width: 820px; padding: 12px; background: white; font: 15px sans-serif }
table { border-collapse: collapse; margin-bottom: 12px } th, td { padding: 4px 12px; text-align: right }
tr:nth-child(even) { background: #f5f5f5 } img { width: 100% }
"""


class Shot(NamedTuple):
    """A picture: its file's name, the page of the UI, and a text that tells that the page is there."""

    name: str
    page: str
    wait_for: str


def shots(store: Path) -> list[Shot]:
    """The pictures of the seeded store."""
    client = mlflow.MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    runs = client.search_runs(["1"], order_by=["metrics.log_loss"])
    forests = [run.info.run_id for run in runs if run.data.tags["model_family"] == "forest"]
    compared = quote(json.dumps(forests))
    return [
        Shot("mlflow-runs", "/#/experiments/1/runs", "forest-depth-5"),
        Shot("mlflow-run", f"/#/experiments/1/runs/{runs[0].info.run_id}", "About this run"),
        Shot(
            "mlflow-compare",
            f"/#/compare-runs?runs={compared}&experiments={quote(json.dumps(['1']))}",
            "Run details",
        ),
        Shot("mlflow-versions", "/#/models/IrisRandomForest", "Registered Models"),
    ]


@contextmanager
def mlflow_server(store: Path) -> Iterator[str]:
    """The address of an MLflow server on ``store``, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{store / 'mlflow.db'}"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    with subprocess.Popen(
        command, cwd=store, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait(address + "/health", server)
            yield address
        finally:
            server.terminate()


def _wait(address: str, server: subprocess.Popen[bytes], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The MLflow server at {address} did not come up in {seconds:g} seconds.")


def graded(folder: Path) -> Path:
    """The feedback of nbgrader on one known submission, in a course of its own in ``folder``."""
    for part in ("solutions", "exercises"):
        shutil.copytree(
            KIT / part / ASSIGNMENT, folder / part / ASSIGNMENT, ignore=shutil.ignore_patterns("ml*")
        )
    shutil.copy(KIT / "nbgrader_config.py", folder)
    samples = load_samples(KIT / "tests" / "submissions" / ASSIGNMENT)
    hand_in({SHOWN_SAMPLE: samples[SHOWN_SAMPLE]}, folder, ASSIGNMENT)
    for command in ("autograde", "generate_feedback"):
        told = [sys.executable, "-m", "nbgrader", command, ASSIGNMENT]
        subprocess.run(told, cwd=folder, env=tools_environment(), check=True, capture_output=True)
    return folder / "feedback" / SHOWN_SAMPLE / ASSIGNMENT / f"{ASSIGNMENT}.html"


def take_feedback(context: BrowserContext, feedback: Path) -> Path:
    """Take a picture of the first report in a feedback page on which a criterion failed."""
    page = context.new_page()
    page.goto(feedback.as_uri())
    report = page.locator(".output_html, .jp-RenderedHTML").filter(has_text="Expected").first
    path = IMAGES / "feedback.png"
    report.screenshot(path=path, animations="disabled")
    page.close()
    return lightened(path)


def take_metrics(context: BrowserContext, folder: Path) -> Path:
    """Take a picture of what a notebook shows of an endpoint's figures."""
    folder.mkdir()
    shown = measured(folder)._repr_mimebundle_()["text/html"]
    page = context.new_page()
    page.set_content(f"<style>{NOTEBOOK_STYLE}</style><div>{shown}</div>")
    path = IMAGES / "endpoint-metrics.png"
    page.locator("div").screenshot(path=path, animations="disabled")
    page.close()
    return lightened(path)


def lightened(path: Path) -> Path:
    """The picture in few colours, so that the page stays light."""
    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)
    return path


def take(context: BrowserContext, address: str, shot: Shot) -> Path:
    """Take one picture."""
    page = context.new_page()
    page.clock.set_fixed_time(SHOWN_AT)
    page.goto(address + shot.page)
    page.get_by_text(shot.wait_for).first.wait_for(timeout=30_000)
    page.wait_for_timeout(4_000)  # the UI loads on after the text is there and never becomes idle
    page.mouse.move(0, 0)
    path = IMAGES / f"{shot.name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    page.close()
    return lightened(path)


def main() -> None:
    """Seed a store, serve it, grade a submission, take every picture."""
    if not Path(CHROMIUM).exists():
        sys.exit(f"There is no browser at {CHROMIUM}; install the package chromium, or set CHROMIUM.")
    folder = Path(tempfile.mkdtemp(prefix="kit-shots-"))
    store = folder / "store"
    print("Filling the store …", flush=True)
    subprocess.run([sys.executable, str(HERE / "seed_store.py"), str(store)], check=True)
    remember = f"Object.entries({json.dumps(REMEMBERED)}).forEach(pair => localStorage.setItem(...pair))"
    with mlflow_server(store) as address, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            args=CHROMIUM_ARGUMENTS,
            viewport={"width": 1280, "height": 720},
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        context.add_init_script(remember)
        for shot in shots(store):
            _tell(take(context, address, shot))
        print("Grading a submission …", flush=True)
        (folder / "course").mkdir()
        _tell(take_metrics(context, folder / "calls"))
        _tell(take_feedback(context, graded(folder / "course")))
        context.close()
    shutil.rmtree(folder, ignore_errors=True)


def _tell(path: Path) -> None:
    print(f"{path.relative_to(HERE.parent)}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
