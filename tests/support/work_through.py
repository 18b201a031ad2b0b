"""Work through exercises as a student does: in JupyterLab, in a browser, typing into the cells.

``python -m tests.support.work_through [ASSIGNMENT...]``. Each task's check is run on the untouched task, on a
known mistake and on the solution; then the kernel is restarted and everything run once more. A picture
of each check is kept. Needs Debian's chromium. Status 1 when a check did not show what it should.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat import NotebookNode

from autograder.authoring.samples import Sample
from autograder.rubrics import Status, assignments, load_rubric
from autograder.rubrics.language import Task
from tests.book.test_book import CHROMIUM_ARGUMENTS
from tests.conftest import ALL_SAMPLES, CHROMIUM, ROOT
from tests.support.jupyter import TOKEN, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: Milliseconds that one step may take.
PATIENCE = 60_000
#: Students do not have the instructor's extension; a first start's news would cover the page.
LEFT_OUT = {"@jupyter/nbgrader": True, "@jupyterlab/apputils-extension:announcements": True}


#: Mistakes to make where those that lose least leave something that tasks after them stumble over:
#: a version that differs, a run that stays with its name or claim, rows in a table.
CHOSEN = {
    ("01-tracking", "log-model"): "logs-a-model-that-was-never-fitted",
    ("01-tracking", "compare"): "logs-one-variant-only",
    ("02-logging-patterns", "files"): "logs-one-recall",
    ("04-registry", "register"): "spells-the-name-differently",
}
#: What a student runs before the second try, as the server's answer to it says.
TAKEN_BACK = {
    ("06-serving", "endpoint"): "client.delete_endpoint(ENDPOINT)",
    ("10-capstone", "serve"): "serving.delete_endpoint(ENDPOINT)",
}
#: What MLflow says of autologging, which saves models in a format of its own choice.
KNOWN_NOISE = ("Saving scikit-learn models in the pickle or cloudpickle format",)


class Lab:
    """JupyterLab in a browser, on one exercise."""

    def __init__(self, page: "Page", address: str, exercise: NotebookNode, name: str, pictures: Path) -> None:
        self.page, self.pictures, self.taken = page, pictures, 0
        self.places = {cell.metadata.nbgrader.grade_id: n for n, cell in enumerate(exercise.cells)}
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}/lab/tree/{name}.ipynb?token={TOKEN}")
        page.locator("#jp-main-statusbar").get_by_text(re.compile(r"Python 3 .*\| Idle")).wait_for()

    def cell(self, grade_id: str) -> "Locator":
        """A cell of the notebook on the page."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.places[grade_id])

    def type(self, grade_id: str, source: str) -> None:
        """Replace what is in a cell. Raises RuntimeError when the cell then holds something else."""
        editor = self.cell(grade_id).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        if editor.inner_text().split() != source.split():
            raise RuntimeError(f"{grade_id} holds {editor.inner_text()!r}; expected {source!r}")

    def run(self, grade_id: str) -> str:
        """Run a cell with Shift+Enter; what it shows below itself."""
        cell = self.cell(grade_id)
        prompt = cell.locator(".jp-InputArea-prompt")
        before = prompt.inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function(
            "([at, before]) => { const now = document.querySelectorAll('.jp-Notebook .jp-Cell')[at]"
            ".querySelector('.jp-InputArea-prompt').innerText;"
            " return now !== before && /\\d/.test(now); }",
            arg=[self.places[grade_id], before],
        )
        self.wait_until_idle()
        return self.shown(grade_id)

    def shown(self, grade_id: str) -> str:
        """What stands below a cell."""
        return self.cell(grade_id).locator(".jp-Cell-outputArea").inner_text()

    def wait_until_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').first.wait_for()

    def picture(self, grade_id: str, of: str) -> None:
        """Take a picture of what the window shows of a check: its code cell, then its report."""
        self.taken += 1
        self.cell(grade_id).locator(".jp-Cell-outputWrapper").scroll_into_view_if_needed()
        self.page.screenshot(path=self.pictures / f"{self.taken:02}-{grade_id}-{of}.png")

    def restart_and_run_all(self, last: str) -> None:
        """Kernel menu, “Restart Kernel and Run All Cells…”, until the cell ``last`` was run again."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("Restart Kernel and Run All Cells")).click()
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()
        prompt = self.cell(last).locator(".jp-InputArea-prompt")
        prompt.filter(has_text="*").wait_for()
        prompt.filter(has_text=re.compile(r"\d")).wait_for(timeout=3 * PATIENCE)
        self.wait_until_idle()

    def darken(self) -> None:
        """The system turns dark, and JupyterLab with it."""
        self.page.emulate_media(color_scheme="dark")
        self.page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached")


def known_mistake(assignment: str, task: Task) -> tuple[Sample, str] | None:
    """A known mistake and the text of this task's cell in it; of several the one that loses least."""
    place, own = f"solve-{task.id}", {criterion.id for criterion in task.criteria}

    def order(sample: Sample) -> tuple[bool, bool, int, int, str]:
        chosen = sample.name == CHOSEN.get((assignment, task.id))
        found_wrong = any(sample.loses[id] is Status.FAILED for id in own & set(sample.loses))
        return not chosen, not found_wrong, len(set(sample.loses) - own), len(sample.cells), sample.name

    samples = [
        sample
        for sample in ALL_SAMPLES[assignment].values()
        if place in sample.cells and own & set(sample.loses) and not sample.only_nbgrader
    ]
    if not samples:
        return None
    sample = min(samples, key=order)
    kinds = ("solutions", "exercises")
    solution, exercise = (nbformat.read(path_of(kind, assignment), as_version=4) for kind in kinds)
    return sample, source_of(nbformat.reads(sample.content(solution, exercise), as_version=4), place)


def path_of(kind: str, assignment: str) -> Path:
    return ROOT / kind / assignment / f"{assignment}.ipynb"


def source_of(notebook: NotebookNode, grade_id: str) -> str:
    """The source of a cell, without nbgrader's marks of a solution."""
    (cell,) = (cell for cell in notebook.cells if cell.metadata.nbgrader.grade_id == grade_id)
    return re.sub(r"### (BEGIN|END) SOLUTION\n?", "", cell.source).strip()


def work_through(assignment: str, folder: Path, pictures: Path) -> Iterator[str]:
    """Work through an exercise in ``folder``; what was not as it should be, a line each."""
    from playwright.sync_api import Error, sync_playwright

    work, private = folder / "work", folder / "private"
    settings = private / "JUPYTER_CONFIG_DIR"
    (settings / "labconfig").mkdir(parents=True)
    (settings / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": LEFT_OUT}))
    themes = settings / "lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    themes.parent.mkdir(parents=True)
    themes.write_text('{"adaptive-theme": true}')
    shutil.copytree(ROOT / "exercises" / assignment, work)
    with serving(work, private) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=str(CHROMIUM),
            args=CHROMIUM_ARGUMENTS,
            viewport={"width": 1280, "height": 900},
        )
        exercise = nbformat.read(path_of("exercises", assignment), as_version=4)
        lab = Lab(browser.new_page(), address, exercise, assignment, pictures)
        try:
            yield from all_cells(lab, assignment, exercise)
        except Error:
            lab.page.screenshot(path=pictures / "stuck.png")
            raise
        browser.close()


def all_cells(lab: Lab, assignment: str, exercise: NotebookNode) -> Iterator[str]:
    """Go through the exercise from the top; what was not as it should be."""
    solution = nbformat.read(path_of("solutions", assignment), as_version=4)
    tasks = {task.id: task for task in load_rubric(assignment).tasks}
    checks = []
    for cell in exercise.cells:
        grade_id, marks = cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader
        if cell.cell_type != "code" or marks.solution:
            continue
        if grade_id not in tasks:
            lab.run(grade_id)
            yield from noise(lab, grade_id, "given")
            continue
        yield from one_task(lab, assignment, tasks[grade_id], solution)
        checks.append(grade_id)
    lab.restart_and_run_all(checks[-1])
    lab.darken()
    for grade_id in checks:
        lab.picture(grade_id, "after-a-restart")
        yield from unless_full(lab.shown(grade_id), tasks[grade_id], "after a restart")
        yield from noise(lab, f"solve-{grade_id}", "after a restart")


def one_task(lab: Lab, assignment: str, task: Task, solution: NotebookNode) -> Iterator[str]:
    """Check the untouched task, a known mistake, and the solution."""
    place = f"solve-{task.id}"
    lab.run(place)
    shown = lab.run(task.id)
    lab.picture(task.id, "1-untouched")
    if full(task) in shown or "Next:" not in shown:
        yield f"{task.id}, untouched: {shown!r} does not say what to do"
    if mistake := known_mistake(assignment, task):
        sample, source = mistake
        lab.type(place, source)
        lab.run(place)
        shown = lab.run(task.id)
        lab.picture(task.id, f"2-{sample.name}")
        if full(task) in shown or "Next:" not in shown:
            yield f"{task.id}, {sample.name}: {shown!r} does not say what to do"
    if again := TAKEN_BACK.get((assignment, task.id)):
        lab.type(place, again)
        lab.run(place)
    lab.type(place, source_of(solution, place))
    lab.run(place)
    shown = lab.run(task.id)
    lab.picture(task.id, "3-solution")
    yield from unless_full(shown, task, "solution")
    yield from noise(lab, place, "solution")
    yield from noise(lab, task.id, "solution")


def full(task: Task) -> str:
    return f"{task.points:g} of {task.points:g} points"


def unless_full(shown: str, task: Task, when: str) -> Iterator[str]:
    if full(task) not in shown:
        yield f"{task.id}, {when}: {shown!r} is not full marks"


def noise(lab: Lab, grade_id: str, when: str) -> Iterator[str]:
    """What a cell wrote to standard error, besides what only informs."""
    found = lab.cell(grade_id).locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts()
    lines = [line for text in found for line in text.splitlines() if "WARNING" in line or "Error" in line]
    told = [line for line in lines if not any(known in line for known in KNOWN_NOISE)]
    yield from (f"{grade_id}, {when}, on standard error: {line[:300]!r}" for line in told)


def main(names: list[str]) -> int:
    """Work through the assignments and print what was found; 1 when something was."""
    pictures = Path(tempfile.mkdtemp(prefix="kit-pictures-"))
    found = 0
    for assignment in names or assignments():
        (own := pictures / assignment).mkdir()
        print(f"{assignment}, pictures in {own}", flush=True)
        with tempfile.TemporaryDirectory(prefix="kit-lab-", ignore_cleanup_errors=True) as folder:
            for problem in work_through(assignment, Path(folder), own):
                found += 1
                print(f"  {problem}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
