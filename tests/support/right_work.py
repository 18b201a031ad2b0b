"""The facts that right work leaves: each solution is run once, and its facts are kept under ``build``."""

import functools
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat

from autograder.data.settings import Conditions
from autograder.evidence import Evidence, LoggedModel, Run, Scoring, UnusableFacts, dump, limited, load
from autograder.pipeline.jobs import execute, job_of
from autograder.pipeline.reader import Reader
from autograder.rubrics import load_rubric

ROOT = Path(__file__).resolve().parents[2]
SEED = 3


@functools.cache
def right_work(assignment: str) -> Evidence:
    """The facts of the solution of an assignment, under the seed 3."""
    source = ROOT / "solutions" / assignment / f"{assignment}.ipynb"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    kept = ROOT / "build" / "right-work" / f"{assignment}-{digest}.json"
    if kept.is_file():
        try:
            return load(kept.read_bytes())
        except UnusableFacts:  # kept by another version of the kit
            kept.unlink()
    conditions = Conditions(SEED)
    with tempfile.TemporaryDirectory() as folder, Reader(sandbox=False) as reader:
        job = job_of(load_rubric(assignment), nbformat.read(source, as_version=4), conditions)
        facts = execute(job, Path(folder), reader).evidence
    assert facts
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(dump(facts), encoding="utf-8")
    return facts


def repeated(work: Evidence, times: int) -> Evidence:
    """The same work done ``times`` times over in one store: as much of it as facts may hold."""
    runs: list[Run] = []
    models: list[LoggedModel] = []
    for n in range(times):
        ids = {model.model_id: f"{model.model_id}-{n}" for model in work.models}
        models += [
            replace(
                model,
                model_id=ids[model.model_id],
                run_id=model.run_id and f"{model.run_id}-{n}",
                params={**model.params, "n": str(n)},
                declared=replace(
                    model.declared,
                    model_id=model.declared.model_id and ids.get(model.declared.model_id),
                    run_id=model.declared.run_id and f"{model.declared.run_id}-{n}",
                ),
                scoring=model.scoring
                and replace(model.scoring, params={**model.scoring.params, "max_leaf_nodes": str(n + 2)}),
            )
            for model in work.models
        ]
        runs += [
            replace(
                run,
                run_id=f"{run.run_id}-{n}",
                start_time=run.start_time + n,
                model_ids=tuple(ids[model_id] for model_id in run.model_ids if model_id in ids),
            )
            for run in work.runs
        ]
    registered = [
        replace(
            model,
            versions=tuple(
                replace(
                    version,
                    version=version.version + n * len(model.versions),
                    run_id=version.run_id and f"{version.run_id}-{n}",
                    model_id=version.model_id and f"{version.model_id}-{n}",
                )
                for n in range(times)
                for version in model.versions
            ),
        )
        for model in work.registered
    ]
    calls = tuple(
        replace(call, request_id=f"{call.request_id}-{n}") for n in range(times) for call in work.requests
    )
    scorings = {model.model_id: model.scoring or Scoring(error="not asked") for model in models}
    facts = limited(
        replace(
            work,
            runs=tuple(runs),
            models=tuple(replace(model, scoring=None) for model in models),
            registered=tuple(registered),
            requests=calls,
            changes=None if work.changes is None else work.changes * times,
            endpoint_changes=work.endpoint_changes * times,
        )
    )
    return facts.with_scores(lambda model: scorings[model.model_id])
