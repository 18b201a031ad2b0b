"""Run the notebook, grade what it left, and write the report into the notebook and the gradebook."""

from pathlib import Path
from textwrap import shorten
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import is_grade, is_solution

from autograder import evidence, grading
from autograder.base.text import one_line
from autograder.evidence import Evidence
from autograder.grading import Report, ungraded
from autograder.nbgrader.course_files import Submission
from autograder.pipeline.jobs import FilesTooLarge, execute, files_beside, job_of, not_graded, report_on
from autograder.reports import report_html, report_text


class ExecuteAndGrade(NbGraderPreprocessor):
    """Has the submission executed and graded, and writes the report into its check cells.

    Each check cell gets two outputs, whatever the run may have put there: the report on its task
    as ``display_data``, and the points as ``execute_result``.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        submission: Submission = self.parent.submission
        try:
            report = self._report(nb, Path(resources["metadata"]["path"]))
        except Exception as error:
            self.log.exception("%s, %s: grading failed", submission.assignment, submission.student)
            submission.ungradable = f"grading it failed ({one_line(f'{type(error).__name__}: {error}', 120)})"
            submission.next_step = "This is a fault of the kit, not of the student: please report it."
            report = self._ungraded()
        for cell in nb.cells:
            if is_check(cell):
                cell.outputs = []
                write_report(cell, report)
        self._keep(report)
        submission.report = report
        return nb, resources

    def _report(self, nb: NotebookNode, handed_in: Path) -> Report:
        exporter, submission = self.parent, self.parent.submission
        if submission.ungradable:
            return self._ungraded()
        folder = exporter.course.empty_evidence(submission.assignment, submission.student)
        limits = exporter.run_limits
        try:
            files = files_beside(handed_in, limits.disk // 2)
        except FilesTooLarge as error:
            submission.ungradable = str(error)
            submission.next_step = "Ask the student to hand in again, without what the notebook can make."
            return self._ungraded()
        job = job_of(exporter.rubric, nb, exporter.conditions, files, limits)
        kept = execute(job, folder, exporter.reader, exporter.kernels)
        submission.notes += [f"left aside of what it made: {refused}" for refused in kept.refused]
        # beside the student's folder, never in it: what stands there under this name may be a trap
        (folder.parent / "executed.ipynb").write_text(kept.notebook, encoding="utf-8")
        for cell, executed in zip(nb.cells, nbformat.reads(kept.notebook, as_version=4).cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
        if kept.evidence is None:
            submission.ungradable, submission.next_step = kept.problem, kept.next_step
            return self._ungraded()
        (folder.parent / "evidence.json").write_text(evidence.dump(kept.evidence), encoding="utf-8")
        submission.notes += _notes(kept.evidence)
        return report_on(exporter.rubric, kept, exporter.conditions.seed)

    def _ungraded(self) -> Report:
        submission = self.parent.submission
        reason = not_graded(submission.ungradable)
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
