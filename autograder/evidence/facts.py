"""The facts: frozen dataclasses that go to JSON and back without loss.

Terms are MLflow's. Times are milliseconds since 1970-01-01 UTC, sizes are bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a logged model answered when it was loaded again and given the features of the test part.

    ``labels`` has one entry a row, as text. ``probabilities`` has one row a row of the features and
    one column a class in ``classes``; None when the model gives none. ``params`` are the
    estimator's own, by their scikit-learn names, as text. ``error`` says in one line why the model
    could not be scored; then the rest is empty.
    """

    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    probabilities: tuple[tuple[float, ...], ...] | None = None
    estimator: str = ""
    params: dict[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model (MLflow 3). ``folder`` is where its files are on this machine, if they are."""

    model_id: str
    name: str
    experiment_id: str
    run_id: str | None
    status: str
    created: int
    folder: str | None
    flavors: tuple[str, ...] = ()
    serialization_format: str | None = None
    files: dict[str, int] = field(default_factory=dict)
    scoring: Scoring | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run with its latest metrics. ``model_ids`` are the logged models that are its own.

    ``name_generated`` tells that MLflow made the name up, because the student gave none.
    """

    run_id: str
    name: str
    experiment_id: str
    status: str
    start_time: int
    end_time: int | None
    name_generated: bool = False
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    model_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment. MLflow makes "Default" (id 0) itself."""

    experiment_id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One executed code cell; ``error`` is its exception in one line, or None."""

    index: int
    grade_id: str | None
    ran: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class NotebookFacts:
    """The executed notebook: its code cells in order, and why the run ended early, if it did."""

    cells: tuple[CellFacts, ...] = ()
    stopped: str | None = None

    @property
    def errors(self) -> tuple[CellFacts, ...]:
        """The cells that raised."""
        return tuple(cell for cell in self.cells if cell.error)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found in one place. ``problem`` says in one line why there is nothing to read.

    ``seed`` is the seed of the data that the work was done under, as recorded by the grader or,
    failing that, in the store.
    """

    seed: int
    experiments: tuple[Experiment, ...] = ()
    runs: tuple[Run, ...] = ()
    models: tuple[LoggedModel, ...] = ()
    notebook: NotebookFacts | None = None
    problem: str | None = None

    def with_scores(self, score: Callable[[LoggedModel], Scoring]) -> "Evidence":
        """A copy in which every finished model carries its score.

        ``score`` is called once a model whose status is READY; whether it needs a process of its
        own to be safe is its business.
        """
        scored = tuple(
            replace(model, scoring=score(model)) if model.status == "READY" else model
            for model in self.models
        )
        return replace(self, models=scored)


_evidence = TypeAdapter(Evidence)


def dump(evidence: Evidence) -> str:
    """The facts as JSON."""
    return _evidence.dump_json(evidence).decode()


def load(text: str | bytes) -> Evidence:
    """The facts from JSON; raises pydantic.ValidationError when they are not."""
    return _evidence.validate_json(text)
