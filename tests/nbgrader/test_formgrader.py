"""Formgrader, in a real browser, shows the scores that the evidence earned."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.book.test_book import CHROMIUM_ARGUMENTS
from tests.conftest import ASSIGNMENT, CHROMIUM, needs_browser, run
from tests.support.jupyter import TOKEN, serving

pytestmark = pytest.mark.xdist_group("notebook")


@pytest.fixture
def formgrader(course: Callable[..., Path], tmp_path: Path) -> Iterator[str]:
    """The address of a Jupyter server on a course in which two submissions were graded."""
    folder = course("marks-the-worst-run", "is-not-json")
    done = run("nbgrader", "autograde", ASSIGNMENT, folder=folder)
    assert done.returncode == 0, done.stdout
    with serving(folder, tmp_path) as address:
        yield address


@needs_browser
def test_formgrader_shows_the_scores_and_the_report(formgrader: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=str(CHROMIUM),
            args=CHROMIUM_ARGUMENTS,
            extra_http_headers={"Authorization": f"token {TOKEN}"},
        )
        page = browser.new_page()
        page.goto(f"{formgrader}/formgrader/manage_submissions/{ASSIGNMENT}")
        row = page.locator("tr", has_text="marks-the-worst-run")
        row.wait_for(timeout=30_000)
        assert "23 / 25" in row.inner_text()
        damaged = page.locator("tr", has_text="is-not-json").inner_text()
        assert "0 / 25" in damaged
        assert "needs manual grading" in damaged

        page.goto(f"{formgrader}/formgrader/gradebook/{ASSIGNMENT}/{ASSIGNMENT}")
        link = page.locator("a", has_text="Submission #").first
        link.wait_for(timeout=30_000)
        shown = ""
        for number in range(page.locator("a", has_text="Submission #").count()):
            page.locator("a", has_text="Submission #").nth(number).click()
            page.wait_for_load_state("load")
            shown += page.content()
            page.go_back()
            link.wait_for(timeout=30_000)
        assert "lower is better" in shown
        assert "This submission could not be graded" in shown
        browser.close()
