"""The book builds strictly, without network, and reads in a browser: light, dark and on a phone."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from autograder.rubrics import assignments, load_rubric
from tests.conftest import ASSIGNMENT, CHROMIUM, ROOT, needs_browser, run

pytestmark = pytest.mark.xdist_group("book")

TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = ["index.html", *(f"{c['file']}.html" for part in TOC["parts"] for c in part["chapters"])]
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a page that asks another host is told at once that there is none
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book's sources and the exercises it links, in a place of their own."""
    root = tmp_path_factory.mktemp("kit")
    shutil.copytree(
        ROOT / "book", root / "book", ignore=shutil.ignore_patterns("_build", ".jupyter_cache", "__pycache__")
    )
    shutil.copytree(
        ROOT / "exercises", root / "exercises", ignore=shutil.ignore_patterns("mlflow.db*", "mlruns")
    )
    return root


@pytest.fixture(scope="session")
def built(sources: Path) -> Path:
    """The built book."""
    done = run("mlflow-kit", "book", "--root", str(sources), folder=sources)
    if "Kernel died before replying" in done.stdout:
        # Jupyter chooses a kernel's ports before the kernel binds them; another process can be faster
        done = run("mlflow-kit", "book", "--root", str(sources), folder=sources)
    assert done.returncode == 0, done.stdout[-5000:]
    return sources / "book" / "_build" / "html"


@pytest.fixture(scope="session")
def address(built: Path) -> Iterator[str]:
    """Where the built book is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@needs_browser
@pytest.mark.parametrize("look", [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
@pytest.mark.parametrize("served", ["http", "file"])
def test_every_page_reads_alone(
    built: Path, address: str, tmp_path: Path, look: tuple[int, str], served: str
) -> None:
    from playwright.sync_api import sync_playwright

    width, scheme = look
    base = address if served == "http" else built.as_uri() + "/"
    foreign: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=str(CHROMIUM),
            args=CHROMIUM_ARGUMENTS,
            viewport={"width": width, "height": 844},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        for name in PAGES:
            page = browser.new_page()
            page.on(
                "request",
                lambda r: None if r.url.startswith((base, "data:", "blob:")) else foreign.append(r.url),
            )
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
            page.goto(base + name, wait_until="load")
            page.wait_for_timeout(500)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0 && i.alt)"), name
            page.close()
        browser.close()
    assert not foreign
    assert not errors


def test_the_pages_show_what_their_code_printed(built: Path) -> None:
    text = (built / "chapters" / "tracking.html").read_text(encoding="utf-8")
    assert "accuracy 1.00" in text
    assert "The run is now: FAILED" in text
    assert "another run is now RUNNING" in text
    assert "forest-depth-8" in text
    assert text.count("<img") >= 4


@pytest.mark.parametrize("assignment", assignments())
def test_every_criterion_is_taught_where_it_says(built: Path, assignment: str) -> None:
    for _, criterion in load_rubric(assignment).criteria:
        page, _, section = criterion.chapter.partition("#")
        assert f'<section id="{section}">' in (built / f"{page}.html").read_text(encoding="utf-8")


def test_the_download_is_the_exercise(built: Path) -> None:
    (download,) = built.glob(f"_downloads/*/{ASSIGNMENT}.ipynb")
    assert download.read_bytes() == (ROOT / "exercises" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").read_bytes()


def test_building_again_executes_nothing(built: Path, sources: Path) -> None:
    done = run("mlflow-kit", "book", "--root", str(sources), folder=sources)
    assert done.returncode == 0
    assert "Executing notebook" not in done.stdout


def test_a_chapter_that_fails_stops_the_build_and_is_named(
    built: Path, sources: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "kit"
    shutil.copytree(sources, broken, ignore=shutil.ignore_patterns("_build"))
    chapter = broken / "book" / "chapters" / "why.md"
    chapter.write_text(chapter.read_text().replace("import mlflow\n", "import mlflow\n1 / 0\n"))
    done = run("mlflow-kit", "book", "--root", str(broken), folder=broken)
    assert done.returncode != 0
    assert "why.md" in done.stdout
    assert "ZeroDivisionError" in done.stdout
