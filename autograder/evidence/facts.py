"""The facts: frozen dataclasses that go to JSON and back without loss.

Terms are MLflow's. Times are milliseconds since 1970-01-01 UTC, sizes are bytes. Every number is
finite: what was logged as a number and is none stands under its name only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from autograder.base.text import plain
from autograder.data.settings import USUAL, Settings
from autograder.databricks.database import StoreError
from autograder.evidence.workspace_facts import AccessToken, Endpoint, EndpointChange, Request, TableFacts


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a logged model answered when it was loaded again and given the features of the test part.

    ``labels`` has one entry a row, as text. ``probabilities`` has one row a row of the features and
    one column a class in ``classes``; None when the model gives none. ``estimator`` is its class;
    ``final_estimator`` the full name of the class that makes the prediction, in a pipeline or a
    search. ``inputs`` are the columns it was trained with, where it knows them. ``params`` are the
    estimator's own, by their scikit-learn names, as text. ``error`` says in one line why the model
    could not be scored; then the rest is empty.
    """

    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    probabilities: tuple[tuple[float, ...], ...] | None = None
    estimator: str = ""
    final_estimator: str = ""
    inputs: tuple[str, ...] = ()
    params: dict[str, str] = field(default_factory=dict, hash=False)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that could be decoded: its size in pixels; ``blank`` when it is all one colour.

    ``grids`` has, for each number n for which the picture looks like n by n fields of one colour
    each, these n² colours as #rrggbb, row by row, when they are not all the same.
    """

    width: int
    height: int
    blank: bool
    grids: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run. ``kind`` is picture, table, json, text, model or other, by its content.

    ``content`` is the text of a small table or JSON file, None for other files.
    """

    path: str
    size: int
    kind: str
    picture: Picture | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model's MLmodel file says of it; ``requirements`` are the lines of requirements.txt.

    ``inputs`` are the names of the signature's input columns, None without a signature; unnamed
    (tensor) inputs make it empty.
    """

    flavors: tuple[str, ...] = ()
    serialization_format: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    size: int | None = None
    inputs: tuple[str, ...] | None = None
    has_outputs: bool = False
    has_input_example: bool = False
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model. ``folder`` is where its files are on this machine, if they are; ``files`` maps
    their relative paths to their sizes. A model of MLflow 2, kept inside a run, has the id
    ``runs:/RUN_ID/path``.
    """

    model_id: str
    name: str
    experiment_id: str
    run_id: str | None
    status: str
    created: int
    folder: str | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    declared: ModelFile = field(default_factory=ModelFile)
    files: dict[str, int] = field(default_factory=dict)
    scoring: Scoring | None = None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value of a metric."""

    step: int
    time: int
    value: float


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run names as its input. MLflow's digest looks at the first 10,000 rows."""

    name: str
    digest: str
    source_type: str
    source: str
    context: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run. ``metrics`` are the latest values, ``history`` all of them in the order they were logged.

    ``not_numbers`` names metrics that were logged as NaN or infinity. ``model_ids`` are the logged
    models that are its own. ``name_generated`` tells that MLflow made the name up, because the
    student gave none. ``parent_run_id`` is set for a nested run.
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
    not_numbers: tuple[str, ...] = ()
    history: dict[str, tuple[MetricPoint, ...]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    model_ids: tuple[str, ...] = ()
    parent_run_id: str | None = None
    datasets: tuple[DatasetInput, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment. MLflow makes "Default" (id 0) itself."""

    experiment_id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model. ``model_id`` is the logged model behind it, if it is one."""

    version: int
    created: int
    stage: str
    description: str
    source: str
    run_id: str | None
    model_id: str | None
    status: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model with its versions, oldest first. ``aliases`` maps an alias to a version."""

    name: str
    created: int
    description: str
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A stage or an alias that was set, moved or removed.

    ``kind`` is "stage" or "alias"; ``subject`` is the version whose stage it is, or the alias.
    """

    time: int
    kind: str
    name: str
    subject: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One executed code cell; ``error`` is its exception in one line, ``seconds`` how long it ran."""

    index: int
    grade_id: str | None
    ran: bool
    error: str | None
    seconds: float | None = None


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
    failing that, in the store; ``settings`` are the instructor's. ``changes`` is the history of
    stages and aliases, None where the store keeps none. ``findings`` say in a line each what was
    refused, and why. ``requests`` are all calls, the oldest first, those that were refused among
    them; ``tables`` include the request log's.
    """

    seed: int
    settings: Settings = USUAL
    experiments: tuple[Experiment, ...] = ()
    runs: tuple[Run, ...] = ()
    models: tuple[LoggedModel, ...] = ()
    registered: tuple[RegisteredModel, ...] = ()
    changes: tuple[Change, ...] | None = None
    notebook: NotebookFacts | None = None
    endpoints: tuple[Endpoint, ...] = ()
    endpoint_changes: tuple[EndpointChange, ...] = ()
    requests: tuple[Request, ...] = ()
    tables: tuple[TableFacts, ...] = ()
    tokens: tuple[AccessToken, ...] = ()
    findings: tuple[str, ...] = ()
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

    def of_experiment(self, name: str) -> "Evidence":
        """A copy with the runs and models of one experiment. Raises StoreError for another's name."""
        wanted = [experiment for experiment in self.experiments if experiment.name == name]
        if not wanted:
            known = ", ".join(f"“{plain(experiment.name)}”" for experiment in self.experiments)
            raise StoreError(f"There is no experiment “{plain(name)}”; expected one of: {known}.")
        id = wanted[0].experiment_id
        return replace(
            self,
            experiments=tuple(wanted),
            runs=tuple(run for run in self.runs if run.experiment_id == id),
            models=tuple(model for model in self.models if model.experiment_id == id),
        )


_evidence = TypeAdapter(Evidence)


def dump(evidence: Evidence) -> str:
    """The facts as JSON."""
    return _evidence.dump_json(evidence).decode()


def load(text: str | bytes) -> Evidence:
    """The facts from JSON; raises pydantic.ValidationError when they are not."""
    return _evidence.validate_json(text)
