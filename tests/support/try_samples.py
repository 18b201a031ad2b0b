"""Try known submissions without nbgrader and the box:

    python -m tests.support.try_samples 01-tracking [NAME …]

For writing samples. The tests grade every one of them with stock nbgrader, in the box.
"""

import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder.authoring.samples import load_samples
from autograder.pipeline.rehearsal import rehearse
from autograder.reports import report_text
from autograder.rubrics import Status
from tests.conftest import ROOT


def main(assignment: str, *names: str) -> None:
    """Print, for each sample, what differs from its outcome; with names, the whole report as well."""
    samples = load_samples(ROOT / "tests" / "submissions" / assignment)
    notebook = f"{assignment}/{assignment}.ipynb"
    solution, exercise = (
        nbformat.read(ROOT / kind / notebook, as_version=4) for kind in ("solutions", "exercises")
    )
    for name in names or samples:
        sample, began = samples[name], time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{assignment}.ipynb"
            path.write_text(sample.content(solution, exercise), encoding="utf-8")
            report = rehearse(assignment, path)
        lost = {r.id: r.outcome.status for r in report.results if r.outcome.status is not Status.PASSED}
        texts = {
            r.id: f"{r.outcome.found} {r.outcome.expected} {r.outcome.next_step}" for r in report.results
        }
        unsaid = [(id, w) for id, words in sample.says.items() for w in words if w not in texts[id]]
        same = lost == sample.loses and report.earned == sample.points and not unsaid
        print(
            f"{'as it must be' if same else 'DIFFERS'}  {name}  {time.monotonic() - began:.1f} s", flush=True
        )
        if not same:
            wrong = dict(sorted(set(lost.items()) ^ set(sample.loses.items())))
            print(
                f"    earned {report.earned:g}, not {sample.points:g}; differs in {wrong}; not said {unsaid}"
            )
        if names:
            print(report_text(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
