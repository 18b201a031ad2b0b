"""``execute(job) -> kept`` and ``report_on(rubric, kept) -> report``: all grading goes through these two.

A job is one submission as a value, and so is what executing it gives: nothing of a submission lives on an
object that a later step changes. A report needs neither a kernel nor a model nor a file.
"""

import copy
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import nbformat
from nbformat import NotebookNode

from autograder.base.errors import KitError
from autograder.base.names import EVIDENCE_FILES, NOT_TAKEN_IN
from autograder.base.text import size
from autograder.data.settings import Conditions
from autograder.databricks.database import NoStore, StoreError
from autograder.evidence import Evidence, LoggedModel, Scoring
from autograder.evidence.executed_notebook import read_notebook
from autograder.grading import Report, grade, ungraded
from autograder.pipeline.reader import Reader
from autograder.rubrics import Rubric
from autograder.sandbox.limits import USUAL, Limits
from autograder.sandbox.running import run_notebook
from autograder.sandbox.warm_kernels import WarmKernels

#: Seconds that asking all models of one submission may take.
BUDGET = 180.0
STORE_OF_ITS_OWN = "Look at the notebook with the student: it left a store of its own."


class FilesTooLarge(KitError):
    """Raised for a notebook beside which there is more than a run may use."""


@dataclass(frozen=True)
class Job:
    """A submission to execute: its notebook (nbformat 4, as JSON) without check cells, the files beside it
    by their relative names, the conditions, the limits, and what its models are to be asked with.

    ``features`` is a data frame as JSON, in the orientation "split".
    """

    notebook: str
    conditions: Conditions
    features: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: Limits = USUAL


@dataclass(frozen=True)
class Kept:
    """What executing a job gave: the executed notebook (as JSON), the facts with what models answered, what
    of the files it made was left behind, and the seconds of each part.

    ``problem`` says in one line why there are no facts, ``next_step`` what to do then.
    """

    notebook: str
    evidence: Evidence | None
    refused: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    next_step: str = ""


def job_of(
    rubric: Rubric,
    notebook: NotebookNode,
    conditions: Conditions,
    files: Mapping[str, bytes] | None = None,
    limits: Limits = USUAL,
) -> Job:
    """The job of a notebook, whose check cells are emptied: neither they nor the rubric are in the box."""
    checks = {task.id for task in rubric.tasks}
    emptied = copy.deepcopy(notebook)
    for cell in emptied.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade_id") in checks:
            cell.source = ""
    features = json.dumps(rubric.features(*conditions).to_dict(orient="split"))
    return Job(nbformat.writes(emptied), conditions, features, files or {}, limits)


def files_beside(folder: Path, most: int = USUAL.disk // 2) -> dict[str, bytes]:
    """What is beside a notebook, such as a module that it imports, by its relative name.

    Notebooks, stores and whatever else a run makes anew are left out, and so is what would hide the kit.
    Links are not followed. Raises FilesTooLarge where there are more than ``most`` bytes.
    """
    found: dict[str, bytes] = {}
    total = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _left_out(name))
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(folder)
            if _left_out(name) or relative.parts[0].partition(".")[0] == "autograder":
                continue
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            total += path.lstat().st_size
            if total > most:
                raise FilesTooLarge(
                    f"the files beside the notebook take more than {size(most)}",
                    "Move what the notebook can make, or does not need, to another folder.",
                )
            found[relative.as_posix()] = path.read_bytes()
    return found


def _left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in (*NOT_TAKEN_IN, *EVIDENCE_FILES, "*.ipynb"))


def execute(job: Job, folder: Path, reader: Reader, kernels: WarmKernels | None = None) -> Kept:
    """Run a job's notebook from an empty store in ``folder``, which must be empty; what it left stays there.

    The notebook runs in a box where ``reader`` has one, and that opens what it left. With ``kernels`` its
    kernel is forked from those. Raises NoSandbox
    and BoxFailed, see :func:`autograder.sandbox.running.run_notebook`.
    """
    began = time.perf_counter()
    for name, content in job.files.items():
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    notebook = nbformat.reads(job.notebook, as_version=4)
    sandbox = kernels if kernels and reader.sandbox else reader.sandbox
    execution = run_notebook(notebook, folder, job.conditions, job.limits, sandbox)
    ran = time.perf_counter()
    seed, settings = job.conditions
    told = read_notebook(execution.notebook, execution.stopped)
    problem = next_step = ""
    facts: Evidence | None
    try:
        facts = reader.store(execution.folder, seed)
        read = time.perf_counter()
        facts = _with_scores(facts, execution.folder, job.features, reader)
    except NoStore:
        raised = f" The notebook raised “{told.errors[0].error}”." if told.errors else ""
        why = f"Run from the top, the notebook left no MLflow store: was its first cell changed?{raised}"
        facts, read = Evidence(seed=seed, problem=why), time.perf_counter()
    except StoreError as error:
        facts, problem, next_step, read = None, str(error), STORE_OF_ITS_OWN, time.perf_counter()
    finally:
        reader.forget(execution.folder)
    seconds = {"run": ran - began, "read": read - ran, "score": time.perf_counter() - read}
    if facts:
        facts = replace(facts, seed=seed, settings=settings, notebook=told)
    executed = nbformat.writes(execution.notebook)
    return Kept(executed, facts, execution.refused, seconds, problem, next_step)


def report_on(rubric: Rubric, kept: Kept, seed: int) -> Report:
    """The report on what was kept of a job; where that holds no facts, one that says why."""
    if kept.evidence is None:
        return ungraded(rubric, seed, not_graded(kept.problem), kept.next_step)
    return grade(rubric, kept.evidence)


def not_graded(why: str) -> str:
    """Why a submission could not be graded, as a sentence for its report."""
    return f"This submission could not be graded: {why}{'' if why.endswith(('.', '?')) else '.'}"


def _with_scores(facts: Evidence, folder: Path, features: str, reader: Reader) -> Evidence:
    end = time.monotonic() + BUDGET
    belonging = {model_id for run in facts.runs for model_id in run.model_ids}
    table = json.loads(features)

    def score(model: LoggedModel) -> Scoring:
        if model.model_id not in belonging:
            return Scoring(error="it belongs to no run")
        if (left := end - time.monotonic()) <= 0:
            return Scoring(error=f"asking the models before it took {BUDGET:g} seconds")
        return reader.score(folder, model, table, left)

    return facts.with_scores(score)
