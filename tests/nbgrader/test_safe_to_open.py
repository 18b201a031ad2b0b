"""What a student wrote does nothing in the browser or terminal of those who read it."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.nbgrader.recognise import grade_id
from autograder.nbgrader.safe import ShowControlCodes
from tests.book.test_book import CHROMIUM_ARGUMENTS
from tests.conftest import ASSIGNMENT, CHROMIUM, make_course, needs_browser, run
from tests.nbgrader.test_formgrader import serving

pytestmark = pytest.mark.xdist_group("notebook")

ASKED = "http://127.0.0.1:9/asked"
OWNED = f"window.pwned=1;alert(1);fetch('{ASKED}')"
MARKDOWN = [
    f"a reader sees this <script>{OWNED}</script>",
    f'<img src="{ASKED}" onerror="{OWNED}">',
    f"![picture]({ASKED}.png)",
    f'<svg onload="{OWNED}"><circle r="9"/></svg>',
    f'[press here](javascript:{OWNED}) <a class="trap" href=" java&#10;script:{OWNED}">or here</a>',
    f"<iframe src=\"{ASKED}\" srcdoc='<script>parent.{OWNED}</script>'></iframe>",
    f'<meta http-equiv="refresh" content="0;url={ASKED}">',
    f"<style>@import url({ASKED}); body {{background: url({ASKED})}}</style>"
    f'<p style="background:url({ASKED})">styled</p>',
    f'<form action="{ASKED}"><input autofocus onfocus="{OWNED}"><button>go</button></form>',
    f'<math><mtext></math><img src=x onerror="{OWNED}">'
    f'<link rel=stylesheet href="{ASKED}"><base href="{ASKED}">',
    "![attached](attachment:evil.svg) 1 < 2 and **bold** words",
]
CODE = f"""
from IPython.display import HTML, SVG, Javascript, Markdown, display, publish_display_data
owned = {OWNED!r}
asked = {ASKED!r}
display(HTML(f"<b>a table</b><script>{{owned}}</script><img src={{asked}} onerror={{owned!r}}>"))
publish_display_data({{"text/html": f"<script>{{owned}}</script>"}}, {{"text/html": {{"isolated": True}}}})
publish_display_data({{"text/markdown": f"<script>{{owned}}</script>"}})
publish_display_data({{"image/svg+xml": f"<svg onload={{owned!r}}/>"}})
publish_display_data({{"application/javascript": owned}})
publish_display_data({{"image/png": "AAAA"}}, {{"image/png": {{"width": "1 onerror=" + owned}}}})
print(f"\\x1b[31mred\\x1b[0m<script>{{owned}}</script>")
"""
RAISES = f'raise ValueError("<script>{OWNED}</script>\\x1b[2J\\n<img src=x onerror={OWNED}>")'
NAMES = f"""
mlflow.set_experiment("flower-species")
name = "<script>{OWNED}</script><img src=x onerror='{OWNED}'>\\x1b[31m\\nsecond line"
for _ in range(2):
    with mlflow.start_run(run_name=name):
        mlflow.set_tag("best", name)
        mlflow.log_params({{"n_estimators": 120, "max_depth": 2}})
"""


def attacking(exercise: NotebookNode) -> NotebookNode:
    notebook = copy.deepcopy(exercise)
    for cell in notebook.cells:
        if grade_id(cell) == "solve-experiment":
            cell.source = NAMES
    texts = [new_markdown_cell(text) for text in MARKDOWN]
    evil = "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"
    texts[-1]["attachments"] = {"evil.svg": {'image/svg+xml"onerror="alert(1)': evil}}
    notebook.cells += [*texts, new_code_cell(CODE), new_code_cell(RAISES)]
    return notebook


@pytest.fixture(scope="module")
def graded(exercise: NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A course in which the attacks were graded and have their feedback, and the log of that."""
    folder = make_course(tmp_path_factory.mktemp("attacks") / "course", {})
    place = folder / "submitted" / "eve" / ASSIGNMENT
    place.mkdir(parents=True)
    nbformat.write(attacking(exercise), place / f"{ASSIGNMENT}.ipynb")
    (place / "with\x1b[31m\nnames.txt").write_text("a file")
    (folder / "submitted" / "<img src=x onerror=alert(1)>" / ASSIGNMENT).mkdir(parents=True)
    log = ""
    for command in (("autograde",), ("generate_feedback",)):
        done = run("nbgrader", *command, ASSIGNMENT, folder=folder)
        assert done.returncode == 0, done.stdout
        log += done.stdout if "autograde" in command else ""
    return folder, log


@contextmanager
def watched(profile: Path, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and a growing list of dialogs that it opened and requests that it made."""
    from playwright.sync_api import sync_playwright

    seen: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS, **settings
        )
        page = browser.new_page()

        def dismiss(dialog: Any) -> None:
            seen.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("request", lambda request: seen.append(request.url))
        yield page, seen
        browser.close()


def press_every_trap(page: Any) -> None:
    for words in ("press here", "or here"):
        for link in page.get_by_text(words).all():
            link.click(timeout=5000)
    page.wait_for_timeout(500)


@needs_browser
def test_feedback_runs_nothing_asks_nobody_and_is_readable(graded: tuple[Path, str], tmp_path: Path) -> None:
    path = graded[0] / "feedback" / "eve" / ASSIGNMENT / f"{ASSIGNMENT}.html"
    with watched(tmp_path / "profile") as (page, seen):
        page.goto(path.as_uri())
        press_every_trap(page)
        assert page.evaluate("window.pwned") is None
        assert [url for url in seen if not url.startswith("data:image/png")] == [path.as_uri()]
        text = page.inner_text("body")
        style = page.locator(".panel").first.evaluate("element => getComputedStyle(element).borderStyle")
    assert style == "solid", "the page lost its styles"
    for words in (
        "2 of 2 points",
        "a reader sees this <script>window.pwned=1",
        "a table",
        "ValueError: <script>",
        "1 < 2 and bold words",
        "Hint",
        "onload=",
    ):
        assert words in text, words


@needs_browser
def test_formgrader_runs_nothing_and_asks_nobody(graded: tuple[Path, str], tmp_path: Path) -> None:
    with (
        serving(graded[0], tmp_path) as address,
        watched(tmp_path / "profile", extra_http_headers={"Authorization": "token secret"}) as (page, seen),
    ):
        page.goto(f"{address}/formgrader/gradebook/{ASSIGNMENT}/{ASSIGNMENT}")
        page.locator("a", has_text="Submission #").first.click(timeout=30_000)
        page.locator("input.score").first.wait_for(timeout=30_000)
        assert page.locator("input.score").count() == 4
        press_every_trap(page)
        assert page.evaluate("window.pwned") is None
        # nbgrader's template asks this one host for MathJax, whatever a student wrote
        foreign = [url for url in seen if not url.startswith((address, "data:image/png", "https://cdnjs."))]
        assert foreign == []
        assert "a reader sees this <script>window.pwned=1" in page.inner_text("body")


def test_the_log_and_the_table_of_results_show_control_codes(graded: tuple[Path, str]) -> None:
    folder, log = graded
    shown = run("mlflow-kit", "results", ASSIGNMENT, folder=folder).stdout
    assert "eve" in shown
    for text in (log, shown):
        assert "\x1b" not in text
    assert "with\\x1b[31m\\nnames.txt" in log
    assert "would not show as text. Rename the folder submitted/" in log


def test_a_traceback_in_the_log_shows_control_codes(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("control codes")
    caplog.handler.addFilter(ShowControlCodes())
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        log.exception("%s failed\nhere", "a\nb")
    assert "\x1b" not in caplog.text
    assert "a\\nb failed\nhere" in caplog.text
    assert "ValueError: \\x1b[2J" in caplog.text
