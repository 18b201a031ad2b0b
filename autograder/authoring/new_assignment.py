"""A new assignment that works: its rubric, notebook, known submissions and chapter, to be filled."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.base.errors import KitError

RUBRIC = '''"""What {name} asks."""

from autograder.data import load_flowers
from autograder.evidence import Evidence
from autograder.rubrics.language import Outcome, Rubric, not_attempted, passed

rubric = Rubric(
    assignment="{name}",
    title="{title}",
    chapter="chapters/{module}",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
first = rubric.task("first", "The first task", section="the-first-section")


@first.criterion("There is a run with a metric", 1, ("C1",))
def {module}_metric_logged(evidence: Evidence) -> Outcome:
    found = [run for run in evidence.runs if run.metrics]
    if found:
        return passed(f"“{{found[0].name}}” has a metric.")
    return not_attempted("No run has a metric.", "Log one with mlflow.log_metric.")
'''
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {title}

**After this chapter** you can …

**You need** … **Time:** … minutes.

## The first section

```{{code-cell}} ipython3
print("code that is executed when the book is built")
```

## Now you

The exercise **{name}**:
{{download}}`download {name}.ipynb <../../exercises/{name}/{name}.ipynb>`.

## In three lines

- …
"""
TASK = """## Task 1 · The first task

What to do, in ten minutes at most.

<details><summary>Hint</summary>

What helps, without giving the answer away.

</details>
"""
SOLUTION = """### BEGIN SOLUTION
import mlflow

with mlflow.start_run(run_name="an-example"):
    mlflow.log_metric("accuracy", 1.0)
### END SOLUTION"""
SAMPLES = {
    "solution": 'about = "The solution."\npoints = 1\n',
    "untouched": 'about = "The exercise as it was handed out."\nbase = "exercise"\npoints = 0\n\n'
    '[loses]\n{module}-metric-logged = "not attempted"\n',
    "right-with-another-metric": 'about = "Another metric."\npoints = 1\n\n'
    "[cells.solve-first]\nreplace = [['\"accuracy\"', '\"log_loss\"']]\n",
}


class CannotBegin(KitError):
    """Raised for a name that is none, or that is taken; says what was found and expected."""


def begin_assignment(root: Path, name: str, title: str) -> list[Path]:
    """Write a working assignment in all its places under ``root``; the files, as they were made.

    Nothing that exists is overwritten. Raises CannotBegin. The exercise, and the page on what is graded, are
    then to be generated, see README.
    """
    if not re.fullmatch(r"\d\d-[a-z]+(-[a-z]+)*", name):
        raise CannotBegin(
            f"{name!r} is no name for an assignment; expected two digits and words, such as 03-comparing."
        )
    module = name[3:].replace("-", "_")
    texts = {
        root / "autograder" / "rubrics" / "by_assignment" / f"{module}.py": RUBRIC,
        root / "book" / "chapters" / f"{module}.md": CHAPTER,
    } | {root / "tests" / "submissions" / name / f"{sample}.toml": text for sample, text in SAMPLES.items()}
    notebook = root / "solutions" / name / f"{name}.ipynb"
    taken = [path for path in (*texts, notebook) if path.exists()]
    if taken:
        raise CannotBegin(f"{taken[0].relative_to(root)} exists already; choose another name, or remove it.")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = text if path.suffix == ".toml" else text.format(name=name, title=title, module=module)
        hyphens = module.replace("_", "-")
        path.write_text(written.replace("{module}", hyphens), encoding="utf-8")
    notebook.parent.mkdir(parents=True)
    nbformat.write(_notebook(name, title), notebook)
    contents = root / "book" / "_toc.yml"
    contents.write_text(
        contents.read_text("utf-8").rstrip() + f"\n      - file: chapters/{module}\n", "utf-8"
    )
    return [*texts, notebook, contents]


def _notebook(name: str, title: str) -> NotebookNode:
    intro = (
        f"# {title}\n\n**After this exercise you will be able to** …\n\n**Before you start** …\n\n"
        "**Time:** about … minutes. **Points:** 1."
    )
    setup = f'from autograder.notebook import open_exercise\n\nexercise = open_exercise("{name}")'
    cells = [
        new_markdown_cell(intro, id="intro", metadata=_marks("intro")),
        new_code_cell(setup, id="setup", metadata=_marks("setup")),
        new_markdown_cell(TASK, id="task-first", metadata=_marks("task-first")),
        new_code_cell(
            SOLUTION, id="solve-first", metadata=_marks("solve-first", locked=False, solution=True)
        ),
        new_code_cell(
            'exercise.check("first")', id="check-first", metadata=_marks("first", grade=True, points=1)
        ),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _marks(grade_id: str, **changes: object) -> dict[str, object]:
    """nbgrader's metadata of a cell."""
    usual: dict[str, object] = {"grade": False, "locked": True, "solution": False, "task": False}
    return {"nbgrader": {**usual, "grade_id": grade_id, "schema_version": 3, **changes}}
