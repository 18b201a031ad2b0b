"""For those who make the course: whether it is consistent, what of the guide it checks, a new assignment."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from autograder.authoring.samples import Sample, load_samples
from autograder.course.grade_class import tools_environment
from autograder.rubrics import Rubric, assignments, load_rubric

#: The guide's topics that exercises check, by their ids.
TOPICS = {
    "W4": "Log from day one",
    "W5": "One experiment per project",
    "C1": "Tracking: parameters, metrics, artifacts",
    "C2": "The registry: versions, descriptions, aliases, stages",
    "C3": "Serving: endpoints, access, traffic",
    "C4": "The artifact store",
    "S2": "Step 2: the first tracked run",
    "S3": "Step 3: register the best model",
    "S4": "Step 4: evaluate, promote, roll back",
    "S5": "Step 5: enable serving",
    "S6": "Step 6: predict over REST",
    "S7": "Step 7: iterate and compare",
    "L1": "Logging pattern: extra artifacts",
    "L2": "Logging pattern: a model's environment",
    "L3": "Logging pattern: autologging",
    "P1": "Practice: log everything",
    "P2": "Practice: meaningful run names",
    "P4": "Practice: promote through stages",
    "P5": "Practice: describe models",
    "P7": "Practice: store evaluation plots",
    "N1": "Next step: compare variants of a new experiment",
    "N2": "Next step: register the best with a description",
    "N3": "Next step: serve and test over REST",
    "N4": "Next step: promote, and back",
}
#: Topics of the guide that no exercise checks yet, or of which none checks this part.
NOT_YET = {
    "C1": "the version of the code that a run came from",
    "C3": "monitoring of what an endpoint is sent and answers",
    "C5": "features and data: Delta versions, a feature store",
    "S7": "the view of the MLflow UI that compares runs side by side",
    "P3": "record the version of the data",
    "P6": "tag runs for grouping",
    "T1–T5": "troubleshooting",
}
#: All topics of the guide, by their ids. Each is taught by a chapter that says so: ``% covers: W0 W1``.
TAUGHT = tuple(
    f"{letter}{number}"
    for letter, numbers in {
        "W": range(7),
        "C": range(1, 6),
        "S": range(1, 8),
        "L": range(1, 4),
        "P": range(1, 8),
        "T": range(1, 6),
        "F": range(1, 3),
        "D": range(1, 2),
        "R": range(1, 5),
        "N": range(1, 5),
    }.items()
    for number in numbers
)
#: Samples that every assignment has, by name, and of how many ways to do it right it has one.
EXPECTED = ("solution", "untouched", "half-done")
RIGHT_ANSWERS = 4
TABLE = Path("book/chapters/graded.md")


def problems(root: Path) -> Iterator[str]:
    """What is not consistent in the course at ``root``: a line each, nothing where all is well."""
    known = assignments()
    yield from (f"the assignment {name} exists twice" for name in sorted(known) if known.count(name) > 1)
    for name in known:
        yield from (f"{name}: {problem}" for problem in _of_assignment(root, load_rubric(name)))
    covered = {id for name in known for _, criterion in load_rubric(name).criteria for id in criterion.covers}
    yield from (f"no criterion covers {id} ({TOPICS[id]})" for id in TOPICS if id not in covered)
    yield from (f"a criterion covers {id}, which is no topic" for id in sorted(covered - set(TOPICS)))
    taught = taught_in(root)
    yield from (f"no chapter covers {id}" for id in TAUGHT if id not in taught)
    yield from (f"{taught[id][0]} covers {id}, which is no topic" for id in taught if id not in TAUGHT)
    if not (root / TABLE).is_file() or (root / TABLE).read_text(encoding="utf-8") != graded_page(root):
        yield f"{TABLE} is not what the rubrics say: run `mlflow-kit dev table`"
    yield from _not_regenerated(root)


def taught_in(root: Path) -> dict[str, list[str]]:
    """The chapters that teach a topic of the guide, such as ``chapters/why``, by the topic's id."""
    contents = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    pages = [contents["root"], *(page["file"] for part in contents["parts"] for page in part["chapters"])]
    taught: dict[str, list[str]] = {}
    for page in pages:
        path = root / "book" / f"{page}.md"
        said = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in re.findall(r"^% covers: (.+)$", said, re.MULTILINE):
            for id in line.split():
                taught.setdefault(id, []).append(page)
    return taught


def graded_page(root: Path) -> str:
    """The book's page on what is graded, what of the guide has no exercise yet, and where all is taught.

    Made from the rubrics, and from what the chapters say that they cover.
    """
    lines = [
        "# What is graded",
        "",
        "Made from the rubrics: the guide's topics, the chapters that teach them, and what exercises check.",
        "",
        "| Id | Topic | Chapter | Checked in | Sentence |",
        "| --- | --- | --- | --- | --- |",
    ]
    asked = [
        (id, rubric, task.title, criterion)
        for rubric in map(load_rubric, assignments())
        for task, criterion in rubric.criteria
        for id in criterion.covers
    ]
    for id, topic in TOPICS.items():
        for n, (_, rubric, title, criterion) in enumerate(row for row in asked if row[0] == id):
            page = criterion.chapter.partition("#")[0].removeprefix("chapters/")
            lines.append(
                f"| {'' if n else id} | {'' if n else topic} | [](./{page}.md) "
                f"| {rubric.assignment}: {title} | {criterion.sentence} |"
            )
    lines += ["", "## No exercise yet", ""]
    lines += [f"- {id}: {what}" for id, what in NOT_YET.items()]
    lines += ["", "## Where each topic is taught", "", "| Topic | Chapters |", "| --- | --- |"]
    taught = taught_in(root)
    for id in TAUGHT:
        links = [f"{{doc}}`/{page}`" for page in taught.get(id, ())]
        lines.append(f"| {id} | {', '.join(links)} |")
    return "\n".join(lines) + "\n"


def never_lost_alone(rubric: Rubric, samples: Mapping[str, Sample]) -> list[str]:
    """The criteria, each with those that need it, that no sample loses without losing any other."""
    by_hand = {criterion.id for _, criterion in rubric.criteria if criterion.by_hand}
    lost = [set(sample.loses) - by_hand for sample in samples.values()]
    missing = []
    for _, criterion in rubric.criteria:
        falls = {criterion.id}
        for _, other in rubric.criteria:  # needs always point back, so one pass finds all that fall with it
            if falls & set(other.needs):
                falls.add(other.id)
        if not criterion.by_hand and falls not in lost:
            missing.append(", ".join(sorted(falls)))
    return missing


def missing_samples(samples: Mapping[str, Sample]) -> Iterator[str]:
    """Which of the samples that every assignment has are not there: a line each."""
    yield from (f"the sample {name!r} is missing" for name in EXPECTED if name not in samples)
    right = sum(name.startswith("right-") for name in samples)
    if right < RIGHT_ANSWERS:
        yield (
            f"right answers written differently (samples whose names begin with right-): {right}; "
            f"expected {RIGHT_ANSWERS}"
        )


def _of_assignment(root: Path, rubric: Rubric) -> Iterator[str]:
    name = rubric.assignment
    for kind in ("solutions", "exercises"):
        path = root / kind / name / f"{name}.ipynb"
        if not path.is_file():
            yield f"{path.relative_to(root)} is not there"
            continue
        cells = nbformat.read(path, as_version=4).cells
        yield from (f"{kind}: the cell {cell.id} has outputs" for cell in cells if cell.get("outputs"))
        yield from (f"{kind}: {problem}" for problem in _of_notebook(rubric, cells))
    chapters = {criterion.chapter for _, criterion in rubric.criteria}
    yield from (problem for chapter in sorted(chapters) if (problem := _no_chapter(root, chapter)))
    samples = load_samples(root / "tests" / "submissions" / name)
    yield from (f"no sample submission loses exactly {falls}" for falls in never_lost_alone(rubric, samples))
    yield from missing_samples(samples)


def _of_notebook(rubric: Rubric, cells: list[NotebookNode]) -> Iterator[str]:
    by_id = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in cells}
    for task in rubric.tasks:
        if not task.criteria:
            yield f"the task {task.id} has no criterion"
        check, text = by_id.get(task.id), by_id.get(f"task-{task.id}")
        if check is None or text is None:
            yield f"the task {task.id} needs the cells task-{task.id} and {task.id}"
            continue
        if check.metadata.nbgrader.get("points") != task.points:
            found = check.metadata.nbgrader.get("points")
            yield f"{task.id} has {found} points in the notebook, {task.points:g} in the rubric"
        if "<summary>Hint</summary>" not in text.source:
            yield f"the task {task.id} has no folded hint"


def _no_chapter(root: Path, chapter: str) -> str | None:
    page, _, section = chapter.partition("#")
    path = root / "book" / f"{page}.md"
    if not path.is_file():
        return f"the chapter {page} is not there"
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w]+", "-", heading.lower()).strip("-") for heading in headings}
    return None if not section or section in anchors else f"{page} has no section “{section}”"


def _not_regenerated(root: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kit-author-") as folder:
        course = Path(folder)
        shutil.copy(root / "nbgrader_config.py", course)
        ignored = shutil.ignore_patterns("mlflow.db*", "mlruns", ".ipynb_checkpoints", "workspace")
        shutil.copytree(root / "solutions", course / "solutions", ignore=ignored)
        command = [sys.executable, "-m", "nbgrader", "generate_assignment", "*"]
        done = subprocess.run(
            command,
            cwd=course,
            env=tools_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        for name in assignments():
            made, committed = (at / "exercises" / name / f"{name}.ipynb" for at in (course, root))
            if not made.is_file():
                yield f"{name}: generating it fails: {_why_not_generated(name, done.stderr)}"
            elif not committed.is_file() or made.read_bytes() != committed.read_bytes():
                yield f"{name}: exercises/ is not what solutions/ make: run `make exercises`"


def _why_not_generated(assignment: str, said: str) -> str:
    """The last line of the traceback that nbgrader printed for an assignment, else of all it printed."""
    failed = re.escape(f"{assignment}\n")
    traceback = re.search(rf"error processing assignment: .*{failed}.*\n((?: .*\n)+)", said)
    lines = (traceback[1] if traceback else said).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
