"""The exporter that nbgrader's autograder reads submissions with: one object a batch."""

import copy
import weakref
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters.base import NbGraderException
from nbgrader.utils import is_solution
from traitlets import Bool, Dict, Unicode

from autograder.base.errors import KitError
from autograder.base.text import one_line
from autograder.data.settings import Conditions, load_settings
from autograder.nbgrader.course_files import Course, Submission
from autograder.nbgrader.generate import register, source_folder
from autograder.nbgrader.gradebook import make_gradebook, start_at_zero
from autograder.nbgrader.handed_in import find_handed_in
from autograder.nbgrader.reading import Unreadable, read_notebook
from autograder.nbgrader.safe import show_control_codes
from autograder.pipeline.jobs import files_beside
from autograder.pipeline.reader import Reader
from autograder.rubrics import load_rubric
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import check_sandbox


class SubmissionExporter(NotebookExporter):
    """Registers the assignment when the batch starts, starts each submission at zero, and reads
    notebooks so that one which cannot be read becomes a placeholder instead of an exception.

    nbgrader makes it once a batch, with its ``Autograde`` converter as parent; the kit's
    preprocessors find the course, the warm reader and the submission at hand on it.
    """

    unsafe_no_sandbox = Bool(
        False, help="Run submissions without the sandbox, as yourself. For your own notebooks only."
    ).tag(config=True)
    limits = Dict(help="Limits of a submission's run that differ from the usual ones, by name.").tag(
        config=True
    )
    leave_out = Unicode(help="Students whom this batch leaves alone, separated by commas.").tag(config=True)

    def __init__(self, parent: Any = None, **settings: Any) -> None:
        super().__init__(parent=parent, **settings)
        if parent is None:  # nbgrader lists an exporter's settings without using it
            return
        self.converter = parent
        show_control_codes(self.log)
        self.course = Course(Path(parent.coursedir.root))
        assignment = parent.coursedir.assignment_id
        try:
            set_here = load_settings(source_folder(parent.coursedir, assignment))
            self.rubric = load_rubric(assignment, set_here)
            make_gradebook(parent.coursedir)
            self.release = register(parent.coursedir, assignment, self.config)
            self.run_limits = Limits.changed(self.limits)
            self._expect_sandbox()
        except (KitError, NbGraderException, RuntimeError, ValueError) as error:
            # nbgrader ends on an NbGraderException without saying a word
            self.log.error("%s cannot be graded: %s", assignment, error)
            raise NbGraderException(str(error)) from error
        self.conditions = Conditions(self.course.seed(assignment), set_here)
        self.submission = Submission("", assignment)
        left_out = [parent.coursedir.student_id_exclude, self.leave_out]
        parent.coursedir.student_id_exclude = ",".join(filter(None, left_out))
        self._begin_again()
        parent.pre_convert_hook = self.before_submission
        self._own_hook = parent.post_convert_hook
        parent.post_convert_hook = self.after_submission
        self.reader = Reader(sandbox=not self.unsafe_no_sandbox)
        weakref.finalize(self, self.reader.close)

    def _expect_sandbox(self) -> None:
        """Raises NoSandbox, with the way out, where submissions could not be shut in."""
        if self.unsafe_no_sandbox:
            self.log.warning("WITHOUT A SANDBOX: what is submitted runs as you, and can do what you can.")
            return
        try:
            check_sandbox()
        except NoSandbox as error:
            raise NoSandbox(
                f"{error} For notebooks of your own only: `mlflow-kit grade --unsafe-no-sandbox`."
            ) from error

    def _begin_again(self) -> None:
        """Take up what an interrupted batch left in the middle: nbgrader takes it for graded."""
        coursedir = self.converter.coursedir
        for student in self.course.handed_in(coursedir.assignment_id, coursedir.student_id):
            left_out = student in coursedir.student_id_exclude.split(",")
            if not left_out and self.course.begin_again(coursedir.assignment_id, student):
                self.log.warning("%s, %s: it is graded again", coursedir.assignment_id, student)

    def before_submission(self, assignment: str, student: str, notebooks: list[str]) -> None:
        """nbgrader's pre-convert hook: the submission starts at zero, pending.

        nbgrader swallows a hook's exceptions and goes on; going on without this would keep an old
        grade, so a failure here ends the batch.
        """
        try:
            ids = self.converter.init_single_notebook_resources(notebooks[0])["nbgrader"]
            self.submission = Submission(ids["student"], ids["assignment"])
            self.course.begin(ids["assignment"], ids["student"])
            self.course.forget(ids["assignment"], ids["student"])
            start_at_zero(self.converter.coursedir, ids["assignment"], ids["student"])
            self._find_notebook(Path(notebooks[0]).parent)
            self.course.write_verdict(self.submission, self.rubric)
        except Exception as error:
            self.log.exception("The gradebook could not be prepared.")
            raise SystemExit(f"The gradebook could not be prepared: {one_line(error)}.") from error

    def after_submission(self, **named: Any) -> None:
        """nbgrader's post-convert hook: all is written. The course's own hook, if any, is then called."""
        self.course.end(self.submission.assignment, self.submission.student)
        if self._own_hook:
            self._own_hook(**named)

    def _find_notebook(self, folder: Path) -> None:
        """Let nbgrader convert one notebook, under the name that it knows, whichever file that is."""
        submission = self.submission
        marks = {cell.metadata.nbgrader.grade_id for cell in self.release.cells if is_solution(cell)}
        self.handed_in = find_handed_in(folder, submission.assignment, marks)
        self.expected = folder / f"{submission.assignment}.ipynb"
        self.converter.notebooks = [str(self.expected)]
        submission.notes += self.handed_in.notes
        if self.handed_in.path is None:
            submission.ungradable = self.handed_in.because
            submission.next_step = self.handed_in.next_step
            self.log.error("%s: %s.", submission.student, submission.ungradable)

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Read a notebook. Of those handed in, one that cannot be read becomes the untouched exercise,
        not to be run.
        """
        if Path(filename) != self.expected:
            return super().from_filename(filename, resources, **settings)
        path = self.handed_in.path
        if path != self.expected:
            # nbgrader has just found no file there and given a zero that nobody would look at
            start_at_zero(self.converter.coursedir, self.submission.assignment, self.submission.student)
        if path and path.parent != self.expected.parent:
            self._bring_files(path.parent)
        resources = dict(resources or {})
        resources["metadata"] = {"name": self.expected.stem, "path": str(self.expected.parent)}
        return super().from_notebook_node(self._read(path), resources, **settings)

    def _bring_files(self, folder: Path) -> None:
        """Copy what stands beside the notebook, such as a module that it imports, to where it runs."""
        coursedir, submission = self.converter.coursedir, self.submission
        runs_in = Path(
            coursedir.format_path(coursedir.autograded_directory, submission.student, submission.assignment)
        )
        for name, content in files_beside(folder).items():
            target = runs_in / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)

    def _read(self, path: Path | None) -> NotebookNode:
        if path is None:
            return nbformat.from_dict(self.release)
        try:
            notebook, notes = read_notebook(path)
        except Unreadable as error:
            self.log.error("%s: %s.", self.submission.student, error)
            return self.placeholder(str(error), error.next_step)
        self.submission.notes += notes
        # the kernel and the rest of what a notebook says of itself are the course's to say
        notebook.metadata = copy.deepcopy(self.release.metadata)
        return notebook

    def placeholder(self, reason: str, next_step: str = "") -> NotebookNode:
        """The untouched exercise, with the submission marked as one that could not be graded."""
        self.submission.ungradable = reason
        self.submission.next_step = (
            next_step
            or f"Ask the student to hand in {self.submission.assignment}.ipynb again, saved from Jupyter."
        )
        return nbformat.from_dict(self.release)
