"""The book builds strictly, without network, and reads in a browser: light, dark and on a phone."""

import functools
import gzip
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from autograder.rubrics import assignments, load_rubric
from tests.conftest import CHROMIUM, ROOT, needs_browser, run

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Response

pytestmark = pytest.mark.xdist_group("book")

TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = ["index.html", *(f"{c['file']}.html" for part in TOC["parts"] for c in part["chapters"])]
#: Bytes of a page without its pictures, as a server sends it, and of a picture.
LARGEST_PAGE = 350_000
LARGEST_PICTURE = 120_000
INLINE_PICTURE = re.compile(rb"data:image/png;base64,[\w+/=]+")
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


@contextmanager
def browser(profile: Path, width: int = 1280, scheme: str = "light") -> "Iterator[BrowserContext]":
    """A real browser, of a reader with a screen so wide who likes a scheme."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=str(CHROMIUM),
            args=CHROMIUM_ARGUMENTS,
            viewport={"width": width, "height": 844},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        yield context
        context.close()


def visit(page: "Page", address: str) -> None:
    """Open a page and wait until its scripts have repaired what they repair."""
    page.goto(address, wait_until="load")
    page.wait_for_timeout(400)


@needs_browser
@pytest.mark.parametrize(
    "look", [("http", 1280, "light"), ("http", 1280, "dark"), ("http", 390, "light"), ("file", 390, "dark")]
)
def test_every_page_reads_alone_and_bars_nobody(
    built: Path, address: str, tmp_path: Path, look: tuple[str, int, str]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    served, width, scheme = look
    base = address if served == "http" else built.as_uri() + "/"
    foreign: list[str] = []
    wrong: list[str] = []
    with browser(tmp_path / "profile", width, scheme) as context:
        for name in [*PAGES, "search.html", *(["404.html"] if served == "http" else [])]:
            page = context.new_page()
            page.on(
                "request",
                lambda r: None if r.url.startswith((base, "data:", "blob:")) else foreign.append(r.url),
            )
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "console", lambda m: wrong.append(f"{m.text} {m.location}") if m.type == "error" else None
            )
            visit(page, base + name)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name} scrolls sideways")
            if page.evaluate("document.documentElement.dataset.theme") != scheme:
                wrong.append(f"{name} is not {scheme}")
            if not page.evaluate("[...document.images].every(i => i.naturalWidth > 0 && i.alt)"):
                wrong.append(f"{name} has a picture that is missing, or without words")
            # all rules, and details of what violates them only: half the time
            options = {"preload": False, "resultTypes": ["violations"]}
            for violation in Axe().run(page, options=options).response["violations"]:
                node = violation["nodes"][0]
                wrong.append(
                    f"{name}: {violation['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
                )
            page.close()
    assert not foreign, foreign[:5]
    assert not wrong, "\n".join(wrong)


@needs_browser
def test_search_finds_and_the_copy_button_copies(address: str, tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(f"{address}search.html?q=alias")
        found = page.locator("#search-results li a").first
        found.wait_for(timeout=20_000)
        links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        assert any("chapters/promotion" in link for link in links)
        found.click()
        page.wait_for_load_state("load")
        assert "alias" in page.inner_text("article").lower()
        visit(page, f"{address}chapters/tracking.html")
        cell = page.locator("div.cell_input div.highlight").nth(1)
        cell.hover()
        cell.locator("button.copybtn").click()
        page.wait_for_timeout(200)
        assert page.evaluate("navigator.clipboard.readText()").strip() == cell.inner_text().strip()


@needs_browser
def test_pages_and_pictures_are_light(built: Path, address: str, tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as context:
        for name in PAGES:
            page = context.new_page()
            loaded: dict[str, int] = {}

            def weigh(response: "Response", loaded: dict[str, int] = loaded) -> None:
                if response.ok and response.request.resource_type != "image":
                    body = INLINE_PICTURE.sub(b"", response.body())
                    loaded[response.url] = min(len(gzip.compress(body)), len(body))

            page.on("response", weigh)
            visit(page, address + name)
            assert sum(loaded.values()) < LARGEST_PAGE, (name, loaded)
            page.close()
    for picture in (built / "_images").iterdir():
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name


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


@pytest.mark.parametrize("assignment", assignments())
def test_the_download_is_the_exercise(built: Path, assignment: str) -> None:
    (download,) = built.glob(f"_downloads/*/{assignment}.ipynb")
    assert download.read_bytes() == (ROOT / "exercises" / assignment / f"{assignment}.ipynb").read_bytes()


def test_the_versions_that_the_book_prints_are_the_lock_s(built: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for package in ("mlflow", "scikit-learn"):
        assert f"\n{package}=={version(package)} " in lock
    text = re.sub(r"<[^>]+>", "", (built / "chapters" / "tracking.html").read_text(encoding="utf-8"))
    assert f"MLflow {version('mlflow')} · scikit-learn {version('scikit-learn')}" in text


def test_every_chapter_has_its_parts(built: Path) -> None:
    for part in TOC["parts"]:
        for name in [chapter["file"] for chapter in part["chapters"]]:
            text = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
            if name in ("chapters/graded", "chapters/resources"):
                continue
            for wanted in ("**After this chapter**", "**You need**", "**Time:**", "## Check yourself"):
                assert wanted in text, f"{name} lacks “{wanted}”"
            assert ":::{dropdown}" in text, f"{name} has no folded answer"
            *_, end = text.partition("## In three lines")
            assert len(re.findall(r"^- ", end, re.MULTILINE)) == 3, f"{name} does not end in three lines"
            page = (built / f"{name}.html").read_text(encoding="utf-8")
            assert "<img" in page.partition("<article")[2], f"{name} has no picture"


def test_building_again_executes_nothing(built: Path, sources: Path) -> None:
    done = run("mlflow-kit", "book", "--root", str(sources), folder=sources)
    assert done.returncode == 0
    assert "Executing notebook" not in done.stdout


BROKEN = {
    "code that fails": ("import mlflow\n", "import mlflow\n1 / 0\n", "ZeroDivisionError"),
    "code that is too wide": ("import mlflow\n", f"import mlflow\n# {'x' * 80}\n", "why.md:"),
    "code that is not run": ("## What you get\n", "## What you get\n\n```python\n1\n```\n", "not run"),
    "a picture that is missing": ("images/parts.svg", "images/parts-of-it.svg", "parts-of-it.svg"),
    "a link that leads nowhere": ("## What you get\n", "## What you get\n\n[](nowhere.md)\n", "nowhere"),
}


@pytest.fixture(scope="session")
def small(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book with one chapter."""
    folder = tmp_path_factory.mktemp("small") / "kit"
    shutil.copytree(sources, folder, ignore=shutil.ignore_patterns("_build"))
    contents = folder / "book" / "_toc.yml"
    contents.write_text("format: jb-book\nroot: chapters/why\n")
    text = (folder / "book" / "chapters" / "why.md").read_text(encoding="utf-8")
    links = re.sub(r"\[\]\((?!\.\./)[\w./]+\)|\{doc\}`[\w/]+`", "another chapter", text)
    (folder / "book" / "chapters" / "why.md").write_text(links, encoding="utf-8")
    return folder


@pytest.mark.parametrize("what", BROKEN)
def test_a_chapter_that_is_broken_stops_the_build_and_is_named(small: Path, what: str) -> None:
    old, new, words = BROKEN[what]
    chapter = small / "book" / "chapters" / "why.md"
    sound = chapter.read_text(encoding="utf-8")
    assert old in sound
    chapter.write_text(sound.replace(old, new), encoding="utf-8")
    try:
        done = run("mlflow-kit", "book", "--root", str(small), folder=small)
    finally:
        chapter.write_text(sound, encoding="utf-8")
    assert done.returncode != 0, done.stdout[-3000:]
    assert "why.md" in done.stdout
    assert words in done.stdout


def test_a_page_of_the_contents_without_a_file_is_named(small: Path) -> None:
    contents = small / "book" / "_toc.yml"
    sound = contents.read_text()
    contents.write_text(f"{sound}chapters:\n  - file: chapters/nowhere\n")
    done = run("mlflow-kit", "book", "--root", str(small), folder=small)
    contents.write_text(sound)
    assert done.returncode != 0
    assert "chapters/nowhere" in done.stdout
