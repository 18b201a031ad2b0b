"""The exporter that nbgrader's autograder reads submissions with: one object a batch."""

import copy
import json
import shutil
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
from autograder.evidence.handed_in_notebook import Unreadable
from autograder.nbgrader.course_files import NOTEBOOKS, Course, Submission
from autograder.nbgrader.generate import register, source_folder
from autograder.nbgrader.gradebook import forget_time, make_gradebook, start_at_zero
from autograder.nbgrader.handed_at import handed_at
from autograder.nbgrader.handed_in import find_handed_in
from autograder.nbgrader.intake import NotAFolder, take_in
from autograder.nbgrader.one_batch import BatchLock
from autograder.nbgrader.safe import show_control_codes
from autograder.pipeline.jobs import files_beside
from autograder.pipeline.reader import Reader
from autograder.rubrics import load_rubric
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import check_sandbox
from autograder.sandbox.warm_kernels import WarmKernels

#: What to do where the notebook may be among what was left behind.
PUT_IT_THERE = (
    "Put the notebook itself, as a file of its own, in the place of what was left behind, or ask the student "
    "to hand in again."
)


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
    leave_out = Unicode("[]", help="Students whom this batch leaves alone, as a JSON list.").tag(config=True)

    def __init__(self, parent: Any = None, **settings: Any) -> None:
        super().__init__(parent=parent, **settings)
        if parent is None:  # nbgrader lists an exporter's settings without using it
            return
        self.converter = parent
        show_control_codes(self.log)
        self.course = Course(Path(parent.coursedir.root))
        assignment = parent.coursedir.assignment_id
        self.lock: BatchLock | None = None
        try:
            set_here = load_settings(source_folder(parent.coursedir, assignment))
            self.rubric = load_rubric(assignment, set_here)
            self.run_limits = Limits.changed(self.limits)
            self._expect_sandbox()
            self.lock = self.course.lock(assignment)
            make_gradebook(parent.coursedir)
            self.release = register(parent.coursedir, assignment, self.config)
        except (KitError, NbGraderException, RuntimeError, ValueError) as error:
            self.close()
            # nbgrader ends on an NbGraderException without saying a word
            self.log.error("%s cannot be graded: %s", assignment, error)
            raise NbGraderException(str(error)) from error
        self.conditions = Conditions(self.course.seed(assignment), set_here)
        self.submission = Submission("", assignment)
        #: Of which submission, by assignment and student, the files are taken in already.
        self.taken_in: tuple[str, str] | None = None
        self._choose()
        parent.pre_convert_hook = self.before_submission
        self._own_hook = parent.post_convert_hook
        parent.post_convert_hook = self.after_submission
        self._convert = parent.convert_notebooks
        parent.convert_notebooks = self.convert_notebooks
        self.reader = Reader(sandbox=not self.unsafe_no_sandbox)
        weakref.finalize(self, self.reader.close)
        self.reader.start()
        self.kernels: WarmKernels | None = None
        # to have the libraries imported for one kernel takes as long as to start it
        if len(parent.assignments) > 1 and not self.unsafe_no_sandbox:
            self.kernels = WarmKernels(self.run_limits)
            weakref.finalize(self, self.kernels.close)
            self.kernels.start()

    def convert_notebooks(self) -> None:
        """All of nbgrader's own work on a batch. Then others may grade: formgrader's process does not end."""
        try:
            self._convert()
        finally:
            self.reader.close()
            if self.kernels:
                self.kernels.close()
            self.close()

    def close(self) -> None:
        """Release the lock."""
        if self.lock:
            self.lock.release()

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

    def _choose(self) -> None:
        """Grade what is not graded to the end, and with ``--force`` the rest, too.

        nbgrader would take what an interrupted batch left for graded. Each is cleared when it begins, so the
        others stay as they are until then; a note makes an interrupted batch go on with them.
        """
        converter, coursedir, course = self.converter, self.converter.coursedir, self.course
        assignment, force = coursedir.assignment_id, converter.force
        excluded = [*coursedir.student_id_exclude.split(","), *json.loads(self.leave_out)]
        for one in course.submissions(assignment, coursedir.student_id):
            folder = str(one.folder)
            if folder not in converter.assignments:
                continue
            if one.student in excluded:
                del converter.assignments[folder]
            elif coursedir.notebook_id != "*":  # nbgrader decides by the notebook
                continue
            elif course.grade_again(assignment, one.student, force):
                if not force:
                    self.log.warning("%s, %s: it is graded again", assignment, one.student)
            elif course.is_graded(assignment, one.student):
                self.log.info("%s, %s: it is graded already", assignment, one.student)
                del converter.assignments[folder]
        converter.force = force or coursedir.notebook_id == "*"

    def before_submission(self, assignment: str, student: str, notebooks: list[str]) -> None:
        """nbgrader's pre-convert hook: the submission starts at zero, pending, and its files are taken in.

        nbgrader swallows a hook's exceptions and goes on; going on without this would keep an old
        grade, so a failure here ends the batch.
        """
        try:
            ids = self.converter.init_single_notebook_resources(notebooks[0])["nbgrader"]
            self.submission = Submission(ids["student"], ids["assignment"])
            self.course.begin(ids["assignment"], ids["student"])
            self.course.forget(ids["assignment"], ids["student"])
            folder = Path(notebooks[0]).parent
            time = handed_at(folder)
            if time.note:
                self.submission.at_intake.append(time.note)
            start_at_zero(self.converter.coursedir, ids["assignment"], ids["student"])
            if time.unreadable:
                forget_time(self.converter.coursedir, ids["assignment"], ids["student"])
            self._take_in(folder)
            self.course.write_verdict(self.submission, self.rubric)
        except Exception as error:
            self.log.exception("The submission could not be taken in.")
            raise SystemExit(f"The submission could not be taken in: {one_line(error)}.") from error

    def after_submission(self, **named: Any) -> None:
        """nbgrader's post-convert hook: all is written. The course's own hook, if any, is then called."""
        self.reader.forget(self.notebooks)
        shutil.rmtree(self.notebooks, ignore_errors=True)
        self.course.end(self.submission.assignment, self.submission.student)
        if self._own_hook:
            self._own_hook(**named)

    def _take_in(self, folder: Path) -> None:
        """Copy the submission's files to where it runs, and find the notebook to grade among them.

        nbgrader converts that one under the name that it knows, whichever file it is.
        """
        submission, coursedir = self.submission, self.converter.coursedir
        self.expected = folder / f"{submission.assignment}.ipynb"
        self.converter.notebooks = [str(self.expected)]
        self.notebooks = self.course.kept(submission.assignment, submission.student) / NOTEBOOKS
        shutil.rmtree(self.notebooks, ignore_errors=True)
        self.runs_in = Path(
            coursedir.format_path(coursedir.autograded_directory, submission.student, submission.assignment)
        )
        self.taken_in = submission.assignment, submission.student
        try:
            note = take_in(folder, self.runs_in, coursedir.ignore, self.notebooks)
        except NotAFolder as error:
            self._refuse(str(error), error.next_step)
            return
        if note:
            submission.at_intake.append(note)
            self.log.warning("%s: %s", submission.student, note)
        marks = {cell.metadata.nbgrader.grade_id for cell in self.release.cells if is_solution(cell)}
        handed_in = find_handed_in(self.notebooks, submission.assignment, marks, self._opened)
        submission.notes += handed_in.notes
        self.handed_in = handed_in.path
        if handed_in.path is None:
            self._refuse(handed_in.because, PUT_IT_THERE if note else handed_in.next_step)

    def _opened(self, path: Path) -> tuple[NotebookNode, list[str]]:
        return self.reader.notebook(self.notebooks, path)

    def _refuse(self, because: str, next_step: str) -> None:
        self.handed_in = None
        self.submission.ungradable, self.submission.next_step = because, next_step
        self.log.error("%s: %s.", self.submission.student, because)

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Read a notebook. Of those handed in, one that cannot be read becomes the untouched exercise,
        not to be run.
        """
        if Path(filename) != self.expected:
            return super().from_filename(filename, resources, **settings)
        path = self.handed_in
        if path != self.notebooks / self.expected.name:
            # nbgrader has just found no file there and given a zero that nobody would look at
            start_at_zero(self.converter.coursedir, self.submission.assignment, self.submission.student)
        if path and path.parent != self.notebooks:
            self._bring_files(self.runs_in / path.parent.relative_to(self.notebooks))
        resources = dict(resources or {})
        resources["metadata"] = {"name": self.expected.stem, "path": str(self.expected.parent)}
        return super().from_notebook_node(self._read(path), resources, **settings)

    def _bring_files(self, folder: Path) -> None:
        """Copy what stands beside the notebook, such as a module that it imports, to where it runs."""
        for name, content in files_beside(folder).items():
            target = self.runs_in / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)

    def _read(self, path: Path | None) -> NotebookNode:
        if path is None:
            return nbformat.from_dict(self.release)
        try:
            notebook, notes = self._opened(path)
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
