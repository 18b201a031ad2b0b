"""Run the notebook, grade what it left, and write the report into the notebook and the gradebook."""

import shutil
from pathlib import Path
from textwrap import shorten
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import find_all_files, is_grade, is_solution

from autograder import evidence, grading
from autograder.base.text import one_line, size
from autograder.evidence import Evidence, StoreError
from autograder.grading import Report, grade, ungraded
from autograder.nbgrader.config import EVIDENCE_FILES
from autograder.nbgrader.course_files import Submission
from autograder.pipeline.collect import collect
from autograder.reports import report_html, report_text
from autograder.sandbox import run_notebook


class ExecuteAndGrade(NbGraderPreprocessor):
    """Runs the submission from an empty store, without its check cells, and grades the evidence.

    Each check cell then gets two outputs, whatever the run may have put there: the report on its task
    as ``display_data``, and the points as ``execute_result``.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        submission: Submission = self.parent.submission
        checks = [cell for cell in nb.cells if is_check(cell)]
        sources = [cell.source for cell in checks]
        for cell in checks:
            cell.source = ""
        try:
            report = self._report(nb, Path(resources["metadata"]["path"]))
        except Exception as error:
            self.log.exception("%s, %s: grading failed", submission.assignment, submission.student)
            submission.ungradable = f"grading it failed ({one_line(f'{type(error).__name__}: {error}', 120)})"
            submission.next_step = "This is a fault of the kit, not of the student: please report it."
            report = self._ungraded()
        finally:
            for cell, source in zip(checks, sources, strict=True):
                cell.source = source
                cell.outputs = []
        for cell in checks:
            write_report(cell, report)
        self._keep(report)
        submission.report = report
        return nb, resources

    def _report(self, nb: NotebookNode, handed_in: Path) -> Report:
        exporter, submission = self.parent, self.parent.submission
        if submission.ungradable:
            return self._ungraded()
        folder = exporter.course.empty_evidence(submission.assignment, submission.student)
        files = files_beside(handed_in)
        limits = exporter.run_limits
        beside, allowed = sum(path.stat().st_size for path in files), limits.disk // 2
        if beside > allowed:
            taken = f"take {size(beside)}, where {size(allowed)} are allowed"
            submission.ungradable = f"the files beside the notebook {taken}"
            submission.next_step = "Ask the student to hand in again, without what the notebook can make."
            return self._ungraded()
        for path in files:
            target = folder / path.relative_to(handed_in)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        execution = run_notebook(nb, folder, exporter.conditions, limits, not exporter.unsafe_no_sandbox)
        submission.notes += [f"left aside of what it made: {refused}" for refused in execution.refused]
        # beside the student's folder, never in it: what stands there under this name may be a trap
        nbformat.write(execution.notebook, folder.parent / "executed.ipynb")
        features = exporter.rubric.features(*exporter.conditions)
        try:
            facts = collect(execution, exporter.conditions, features, exporter.reader)
        except StoreError as error:
            submission.ungradable = str(error)
            submission.next_step = "Look at the notebook with the student: it left a store of its own."
            return self._ungraded()
        (folder.parent / "evidence.json").write_text(evidence.dump(facts), encoding="utf-8")
        submission.notes += _notes(facts)
        return grade(exporter.rubric, facts)

    def _ungraded(self) -> Report:
        submission = self.parent.submission
        reason = f"This submission could not be graded: {submission.ungradable}"
        reason += "" if reason.endswith((".", "?")) else "."
        return ungraded(self.parent.rubric, self.parent.conditions.seed, reason, submission.next_step)

    def _keep(self, report: Report) -> None:
        submission = self.parent.submission
        folder = self.parent.course.kept(submission.assignment, submission.student)
        (folder / "report.json").write_text(grading.dump(report), encoding="utf-8")


class SaveReport(SaveAutoGrades):
    """Saves the report's points. A check cell without a report gets 0 and waits for a person."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        nb, resources = super().preprocess(nb, resources)
        exporter = self.parent
        verdict = exporter.course.write_verdict(exporter.submission, exporter.rubric)
        self.log.info(
            "%s, %s: %s, %g of %g points. %s",
            verdict.assignment,
            verdict.student,
            verdict.kind,
            verdict.earned,
            verdict.maximum,
            verdict.because,
        )
        return nb, resources

    def _add_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        if is_solution(cell):  # a written answer, graded by hand
            super()._add_score(cell, resources)
            return
        report: Report | None = self.parent.submission.report
        grade_id = cell.metadata["nbgrader"]["grade_id"]
        part = report.of_task(grade_id) if report and grade_id in report.tasks else None
        saved = self.gradebook.find_grade(grade_id, self.notebook_id, self.assignment_id, self.student_id)
        saved.auto_score = part.earned if part else 0.0
        saved.needs_manual_grade = part is None or part.pending or saved.manual_score is not None
        self.gradebook.db.commit()


def _notes(facts: Evidence) -> list[str]:
    """What the instructor should know about a run that could be graded all the same."""
    notebook = facts.notebook
    notes = [facts.problem.rstrip(".")] if facts.problem else []
    if notebook and notebook.stopped:
        notes.append(f"the run ended early because {notebook.stopped}; what was done before it counts")
    raised = [cell.error for cell in notebook.errors if cell.error] if notebook else []
    raised = [error for error in raised if not error.startswith("NotImplementedError")]
    if raised and not facts.problem:
        cells = "a cell" if len(raised) == 1 else f"{len(raised)} cells"
        first = shorten(raised[0], 90, placeholder=" …")
        notes.append(f"{cells} raised {first}; the rest was run, and feedback shows where")
    return notes + [finding.rstrip(".") for finding in facts.findings]


def is_check(cell: NotebookNode) -> bool:
    """Whether a cell is a check cell: graded, not the student's to write, and code."""
    return bool(cell.cell_type == "code" and is_grade(cell) and not is_solution(cell))


def write_report(cell: NotebookNode, report: Report) -> None:
    """Make the report on a check cell's task its outputs; without one it has none."""
    grade_id = cell.metadata["nbgrader"]["grade_id"]
    if grade_id not in report.tasks:
        return
    part = report.of_task(grade_id)
    shown = {"text/html": report_html(part), "text/plain": report_text(part)}
    cell.outputs = [
        new_output("display_data", shown),
        new_output("execute_result", {"text/plain": str(float(part.earned))}, execution_count=None),
    ]


def files_beside(handed_in: Path) -> list[Path]:
    """What was handed in besides notebooks and stores, such as a module that the notebook imports."""
    found = [Path(name) for name in find_all_files(str(handed_in), [*EVIDENCE_FILES, "*.ipynb"])]
    return [
        path
        for path in found
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(handed_in).parts[0].partition(".")[0] != "autograder"  # would hide the kit
    ]
