"""Ask about what submissions made, in a box: nothing foreign is opened in this process."""

import logging
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Self

from nbformat import NotebookNode
from pydantic import TypeAdapter, ValidationError

from autograder.base.child import Child, ChildFailed, Message
from autograder.base.text import short
from autograder.databricks.database import NoStore, StoreError
from autograder.evidence.exchange import LARGEST_FACTS, load
from autograder.evidence.facts import Evidence, LoggedModel, Scoring
from autograder.evidence.handed_in_notebook import Unreadable, notebook_of
from autograder.sandbox.kernel_environment import kernel_environment
from autograder.sandbox.server_in_box import ServerInBox
from autograder.sandbox.warm_kernels import WARM_VARIABLE

ANSWERS = "autograder.evidence.answers"
#: The parts of the kit that the answers need. The seeded data, and with them the labels, are not there.
PARTS = (
    "__init__.py",
    "base",
    "data/__init__.py",
    "data/settings.py",
    "databricks",
    "evidence",
    "sandbox",
    "workspace/__init__.py",
    "workspace/prepared.py",
    "workspace/remote.py",
)
#: Seconds in which the libraries must be imported; in which a notebook and a store must be read and a model
#: answer.
START, NOTEBOOK, STORE, MODEL = 120.0, 20.0, 90.0, 60.0
#: Bytes of an answer about a notebook, in which each character may take six.
LARGEST_NOTEBOOK = 32 << 20
#: Bytes of an answer about a store, in which JSON is quoted once more, and about a model.
LARGEST_STORE, LARGEST_SCORING = 2 * LARGEST_FACTS, 4 << 20
#: Characters of what an answer says about a problem.
LONGEST_PROBLEM = 300

_scoring = TypeAdapter(Scoring)
_log = logging.getLogger(__name__)


class Reader:
    """Opens what submissions made; use it as a context manager.

    One process has the libraries imported, in a box that holds nothing of any submission. Each question is
    answered in a child of its own, in a box within that box, which has the one folder that is asked about.
    Where boxes cannot be nested each folder gets a box of its own. Without ``sandbox`` children have limits
    only, and can do what the user can.
    """

    def __init__(self, sandbox: bool = True) -> None:
        self.sandbox = sandbox
        self.nested = sandbox and os.environ.get(WARM_VARIABLE, "1") != "0"
        self._running: ServerInBox | _Plain | None = None
        #: The one folder that it may be asked about, where boxes cannot be nested.
        self._only: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, which imports its libraries while others work; the first question does, too."""
        if self._running is None and (self.nested or not self.sandbox):
            self._running = _boxed(nested=True) if self.nested else _plain()

    def close(self) -> None:
        """End the process and its box."""
        if self._running:
            self._running.close()
            self._running = self._only = None

    def notebook(self, folder: Path, path: Path) -> tuple[NotebookNode, list[str]]:
        """The notebook that was handed in at ``path`` in ``folder``, and notes on it. Raises Unreadable."""
        question = {"question": "notebook", "path": path.relative_to(folder).as_posix()}
        try:
            answer = self._ask(folder, question, NOTEBOOK, LARGEST_NOTEBOOK)
        except ChildFailed as error:
            raise Unreadable(f"its file could not be read: {error}") from None
        return notebook_of(answer)

    def store(self, folder: Path, seed: int) -> Evidence:
        """The facts of the store in ``folder``, which must hold no links. No model is asked.

        Raises StoreError, NoStore where there is none, UnusableFacts for what is beyond all limits.
        """
        try:
            answer = self._ask(folder, {"question": "store", "seed": seed}, STORE, LARGEST_STORE)
        except ChildFailed as error:
            raise StoreError(f"The store could not be read: {error}.") from None
        if "facts" not in answer:
            kind = NoStore if answer.get("missing") else StoreError
            raise kind(short(str(answer.get("problem")), LONGEST_PROBLEM))
        facts = load(str(answer["facts"]))
        # where the files are in the box says nothing here
        models = tuple(replace(model, folder=_here(model, folder)) for model in facts.models)
        return replace(facts, models=models)

    def score(self, folder: Path, model: LoggedModel, features: Message, seconds: float = MODEL) -> Scoring:
        """What a model in ``folder`` answers for ``features``, a data frame as a dictionary ("split").

        That it cannot be asked is an answer, too.
        """
        if model.folder is None:
            return Scoring(error="its files are not beside the store")
        path = Path(model.folder).relative_to(folder).as_posix()
        question = {"question": "model", "path": path, "features": features, "without_kit": True}
        try:
            answer = self._ask(folder, question, min(seconds, MODEL), LARGEST_SCORING)
            scoring = _scoring.validate_python(answer.get("scoring"), strict=False)
        except ChildFailed as error:
            return Scoring(error=f"loading it and asking it failed: {error}")
        except (ValidationError, RecursionError):
            return Scoring(error="the process that loaded it gave an answer that is no prediction")
        return replace(scoring, error=scoring.error and short(scoring.error, LONGEST_PROBLEM))

    def forget(self, folder: Path) -> None:
        """Take the copy of a folder away that was made to show it in the box."""
        if self._running:
            self._running.hide(folder)

    def _ask(self, folder: Path, question: Message, seconds: float, most: int) -> Message:
        """An answer, as JSON; raises ChildFailed where there is none, with what became of the child."""
        running = self._running
        if running is None or running.child.process.poll() is not None or self._only not in (None, folder):
            self.close()
            self.start()
        if self._running is None:
            self._running, self._only = _boxed(nested=False), folder
        running = self._running
        asked = {**question, "folder": running.show(folder), "seconds": seconds, "most": most}
        try:
            # the child that answers is ended by the one that forked it, which only in need is ended here
            answer = running.child.ask(asked, seconds + START, most)
        except ChildFailed as error:
            why = (running.box and running.box.why) or str(error)
            self.close()
            raise ChildFailed(why) from None
        if "no nest" in answer:
            _log.warning("No box within a box (%s): each submission gets its own.", answer["no nest"])
            self.nested = False
            self.close()
            return self._ask(folder, question, seconds, most)
        if "failed" in answer:
            raise ChildFailed(short(str(answer["failed"]), LONGEST_PROBLEM))
        return answer


class _Plain:
    """The process that answers, without a box: it sees folders where they are."""

    box = None

    def __init__(self, child: Child) -> None:
        self.child = child

    def show(self, folder: Path) -> str:
        return str(folder)

    def hide(self, folder: Path) -> None:
        """Nothing was shown."""

    def close(self) -> None:
        self.child.process.kill()  # it keeps nothing that would be lost
        self.child.close()


def _plain() -> _Plain:
    home = Path(tempfile.gettempdir())
    environment = kernel_environment(home) | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return _Plain(Child.start("autograder.sandbox.fork_server", ANSWERS, "0", environment=environment))


def _boxed(nested: bool) -> ServerInBox:
    program = ["autograder.sandbox.fork_server", ANSWERS, *["nested"] * nested]
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return ServerInBox(program, PARTS, environment, nested=nested)


def _here(model: LoggedModel, folder: Path) -> str | None:
    """Where a model's files are in ``folder``; the answer says where they are below it."""
    path = PurePosixPath(model.folder) if model.folder is not None else None
    if path is None or path.is_absolute() or ".." in path.parts:
        return None
    return str(folder / path)
