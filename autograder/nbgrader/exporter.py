"""The exporter that nbgrader's autograder reads submissions with: one object a batch."""

import weakref
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters.base import NbGraderException
from traitlets import Bool, Dict, Unicode

from autograder.evidence.text import one_line
from autograder.execution import Limits, NoSandbox, WarmReader, check_sandbox
from autograder.nbgrader.course import Course, Submission
from autograder.nbgrader.generate import register
from autograder.nbgrader.gradebook import make_gradebook, start_at_zero
from autograder.rubrics import UnknownAssignment, load_rubric

#: A larger file is not read as a notebook, in bytes.
LARGEST_NOTEBOOK = 64 << 20


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
        self.course = Course(Path(parent.coursedir.root))
        assignment = parent.coursedir.assignment_id
        try:
            self.rubric = load_rubric(assignment)
            make_gradebook(parent.coursedir)
            self.release = register(parent.coursedir, assignment, self.config)
            self.run_limits = Limits.changed(self.limits)
            self._expect_sandbox()
        except (UnknownAssignment, NbGraderException, NoSandbox, RuntimeError, ValueError) as error:
            # nbgrader ends on an NbGraderException without saying a word
            self.log.error("%s cannot be graded: %s", assignment, error)
            raise NbGraderException(str(error)) from error
        self.seed = self.course.seed(assignment)
        self.submission = Submission("", assignment)
        left_out = [parent.coursedir.student_id_exclude, self.leave_out]
        parent.coursedir.student_id_exclude = ",".join(filter(None, left_out))
        self._begin_again()
        parent.pre_convert_hook = self.before_submission
        self._own_hook = parent.post_convert_hook
        parent.post_convert_hook = self.after_submission
        self.reader = WarmReader(sandbox=not self.unsafe_no_sandbox)
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
                f"{error} For notebooks of your own only: --SubmissionExporter.unsafe_no_sandbox=True."
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
            self._expect_notebook(notebooks)
            self.course.write_verdict(self.submission, self.rubric)
        except Exception as error:
            self.log.exception("The gradebook could not be prepared.")
            raise SystemExit(f"The gradebook could not be prepared: {one_line(error)}.") from error

    def after_submission(self, **named: Any) -> None:
        """nbgrader's post-convert hook: all is written. The course's own hook, if any, is then called."""
        self.course.end(self.submission.assignment, self.submission.student)
        if self._own_hook:
            self._own_hook(**named)

    def _expect_notebook(self, notebooks: list[str]) -> None:
        expected = f"{self.submission.assignment}.ipynb"
        names = [Path(notebook).name for notebook in notebooks]
        if expected not in names:
            self.submission.ungradable = f"there is no {expected}, but {', '.join(sorted(names))}"
            self.submission.next_step = "Rename the file, or ask the student to hand in again."
            self.log.error("%s: %s.", self.submission.student, self.submission.ungradable)

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Read a notebook; a file that is none becomes the untouched exercise, not to be run."""
        path = Path(filename)
        try:
            if not path.is_file() or path.stat().st_size > LARGEST_NOTEBOOK:
                raise ValueError(f"no file of at most {LARGEST_NOTEBOOK >> 20} MiB")
            text = path.read_text(encoding="utf-8-sig")
            notebook = nbformat.reads(text, as_version=4)
            nbformat.validate(notebook)
            # half a character, which JSON can hold and a file cannot
            whole = nbformat.writes(notebook).encode("utf-8", "replace").decode("utf-8")
            notebook = nbformat.reads(whole, as_version=4)
        except Exception as error:
            reason = one_line(error, 80)
            notebook = self.placeholder(f"its file is not a notebook that can be read ({reason})")
        resources = dict(resources or {})
        resources["metadata"] = {"name": path.stem, "path": str(path.parent)}
        return super().from_notebook_node(notebook, resources, **settings)

    def placeholder(self, reason: str) -> NotebookNode:
        """The untouched exercise, with the submission marked as one that could not be graded."""
        self.submission.ungradable = reason
        self.submission.next_step = (
            f"Ask the student to hand in {self.submission.assignment}.ipynb again, saved from Jupyter."
        )
        return nbformat.from_dict(self.release)
