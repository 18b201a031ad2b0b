"""What an ``nbgrader_config.py`` sets so that stock nbgrader grades by evidence."""

from typing import Any

from autograder.base.names import EVIDENCE_FILES, NOT_TAKEN_IN

SANITIZE = [
    "nbgrader.preprocessors.ClearOutput",
    "autograder.nbgrader.repair.RepairCells",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
AUTOGRADE = [
    "autograder.nbgrader.record.ExecuteAndGrade",
    "autograder.nbgrader.safe.ShowPlainly",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "autograder.nbgrader.record.SaveReport",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
GENERATE = [
    "autograder.nbgrader.generate.CheckPoints",
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.ClearSolutions",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]


def configure(c: Any, every_folder: bool = True) -> None:
    """Set the kit's course layout and plug-ins on a traitlets config object ``c``.

    With ``every_folder`` a submission whose notebook is not where nbgrader looks for one is graded, or
    gets a verdict, too. Without, nbgrader's own search is left as it is.
    """
    from autograder.nbgrader.replaced import replace_functions

    replace_functions(every_folder)
    c.CourseDirectory.source_directory = "solutions"
    c.CourseDirectory.release_directory = "exercises"
    c.CourseDirectory.ignore = [*NOT_TAKEN_IN, *EVIDENCE_FILES]
    c.GenerateAssignment.preprocessors = GENERATE
    c.AssignLatePenalties.plugin_class = "autograder.nbgrader.late.DailyPenalty"
    c.ExportApp.plugin_class = "autograder.nbgrader.late.GradesExport"
    c.Autograde.exporter_class = "autograder.nbgrader.exporter.SubmissionExporter"
    c.Autograde.sanitize_preprocessors = SANITIZE
    c.Autograde.autograde_preprocessors = AUTOGRADE
    # what students wrote is shown in feedback and formgrader, never run in the reader's browser
    c.HTMLExporter.sanitize_html = True
    c.HTMLExporter.preprocessors = ["autograder.nbgrader.page.LimitFormatting"]
    c.HTMLExporter.filters = {
        "markdown2html": "autograder.nbgrader.page.markdown_to_safe_html",
        "highlight_code": "autograder.nbgrader.page.code_to_html",
        "strip_files_prefix": "autograder.nbgrader.page.unchanged",
    }
    c.GenerateFeedback.exporter_class = "autograder.nbgrader.page.FeedbackExporter"
