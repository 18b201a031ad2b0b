"""The facts: frozen dataclasses that go to JSON and back without loss.

Terms are MLflow's. Times are milliseconds since 1970-01-01 UTC, sizes are bytes. Every number is
finite: what was logged as a number and is none stands under its name only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from autograder.base.text import plain
from autograder.data.settings import USUAL, Settings
from autograder.databricks.database import StoreError
from autograder.evidence.bounds import (
    LONGEST_CONTENT,
    MOST_CHANGES,
    MOST_EXPERIMENTS,
    MOST_FINDINGS,
    MOST_METRICS,
    MOST_MODELS,
    MOST_POINTS,
    MOST_REGISTERED,
    MOST_REQUESTS,
    MOST_RUNS,
    Colour,
    Finite,
    Folder,
    Line,
    Metrics,
    Name,
    Number,
    Params,
    Path,
    Row,
    Tags,
    Text,
    Word,
    bounded,
    entries,
    most,
)
from autograder.evidence.registry_facts import Change, RegisteredModel
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

    labels: Annotated[tuple[Name, ...], most(100_000)] = ()
    classes: Annotated[tuple[Name, ...], most(200)] = ()
    probabilities: Annotated[tuple[Row, ...], most(100_000)] | None = None
    estimator: Word = ""
    final_estimator: Name = ""
    inputs: Annotated[tuple[Name, ...], most(500)] = ()
    params: Annotated[dict[Name, Text], entries(500)] = field(default_factory=dict, hash=False)
    error: Line | None = None


_scoring = TypeAdapter(Scoring)
#: What all models together may answer, as JSON, in bytes; and what is said of a model beyond that.
LARGEST_SCORES = 32 << 20
TOO_LONG = "there are too many models, or their answers are too long: newer models were asked instead"


Grids = Annotated[dict[Number, Annotated[tuple[Colour, ...], most(400)]], entries(20)]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that could be decoded: its size in pixels; ``blank`` when it is all one colour.

    ``grids`` has, for each number n for which the picture looks like n by n fields of one colour
    each, these n² colours as #rrggbb, row by row, when they are not all the same.
    """

    width: Number
    height: Number
    blank: bool
    grids: Grids = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run. ``kind`` is picture, table, json, text, model or other, by its content.

    ``content`` is the text of a small table or JSON file, None for other files.
    """

    path: Path
    size: Number
    kind: Word
    picture: Picture | None = None
    content: Annotated[str, Field(max_length=LONGEST_CONTENT)] | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model's MLmodel file says of it; ``requirements`` are the lines of requirements.txt.

    ``inputs`` are the names of the signature's input columns, None without a signature; unnamed
    (tensor) inputs make it empty.
    """

    flavors: Annotated[tuple[Name, ...], most(20)] = ()
    serialization_format: Name | None = None
    model_id: Name | None = None
    run_id: Name | None = None
    size: Number | None = None
    inputs: Annotated[tuple[Name, ...], most(500)] | None = None
    has_outputs: bool = False
    has_input_example: bool = False
    requirements: Annotated[tuple[Name, ...], most(200)] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model. ``folder`` is where its files are on this machine, if they are; ``files`` maps
    their relative paths to their sizes. A model of MLflow 2, kept inside a run, has the id
    ``runs:/RUN_ID/path``.
    """

    model_id: Path
    name: Path
    experiment_id: Name
    run_id: Name | None
    status: Word
    created: Number
    folder: Folder | None
    params: Params = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    declared: ModelFile = field(default_factory=ModelFile)
    files: Annotated[dict[Path, Number], entries(500)] = field(default_factory=dict)
    scoring: Scoring | None = None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value of a metric."""

    step: Number
    time: Number
    value: Finite


Points = Annotated[tuple[MetricPoint, ...], most(MOST_POINTS)]
History = Annotated[dict[Name, Points], entries(MOST_METRICS)]


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run names as its input. MLflow's digest looks at the first 10,000 rows."""

    name: Name
    digest: Name
    source_type: Name
    source: Text
    context: Name | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run. ``metrics`` are the latest values, ``history`` all of them in the order they were logged.

    ``not_numbers`` names metrics that were logged as NaN or infinity. ``model_ids`` are the logged
    models that are its own. ``name_generated`` tells that MLflow made the name up, because the
    student gave none. ``parent_run_id`` is set for a nested run.
    """

    run_id: Name
    name: Name
    experiment_id: Name
    status: Word
    start_time: Number
    end_time: Number | None
    name_generated: bool = False
    params: Params = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    not_numbers: Annotated[tuple[Name, ...], most(MOST_METRICS)] = ()
    history: Annotated[
        dict[Name, Annotated[tuple[MetricPoint, ...], most(MOST_POINTS)]], entries(MOST_METRICS)
    ] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    model_ids: Annotated[tuple[Path, ...], most(100)] = ()
    parent_run_id: Name | None = None
    datasets: Annotated[tuple[DatasetInput, ...], most(20)] = ()
    artifacts: Annotated[tuple[Artifact, ...], most(200)] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment. MLflow makes "Default" (id 0) itself."""

    experiment_id: Name
    name: Name
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One executed code cell; ``error`` is its exception in one line, ``seconds`` how long it ran."""

    index: Number
    grade_id: Name | None
    ran: bool
    error: Line | None
    seconds: Finite | None = None


@dataclass(frozen=True, slots=True)
class NotebookFacts:
    """The executed notebook: its code cells in order, and why the run ended early, if it did."""

    cells: Annotated[tuple[CellFacts, ...], most(5_000)] = ()
    stopped: Line | None = None

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

    seed: Number
    settings: Settings = USUAL
    experiments: Annotated[tuple[Experiment, ...], most(MOST_EXPERIMENTS)] = ()
    runs: Annotated[tuple[Run, ...], most(MOST_RUNS)] = ()
    models: Annotated[tuple[LoggedModel, ...], most(MOST_MODELS)] = ()
    registered: Annotated[tuple[RegisteredModel, ...], most(MOST_REGISTERED)] = ()
    changes: Annotated[tuple[Change, ...], most(MOST_CHANGES)] | None = None
    notebook: NotebookFacts | None = None
    endpoints: Annotated[tuple[Endpoint, ...], most(100)] = ()
    endpoint_changes: Annotated[tuple[EndpointChange, ...], most(500)] = ()
    requests: Annotated[tuple[Request, ...], most(MOST_REQUESTS)] = ()
    tables: Annotated[tuple[TableFacts, ...], most(100)] = ()
    tokens: Annotated[tuple[AccessToken, ...], most(500)] = ()
    findings: Annotated[tuple[Line, ...], most(MOST_FINDINGS)] = ()
    problem: Annotated[str, Field(max_length=600)] | None = None

    def with_scores(self, score: Callable[[LoggedModel], Scoring]) -> "Evidence":
        """A copy in which every finished model carries its score.

        ``score`` is called once a model whose status is READY; whether it needs a process of its
        own to be safe is its business. What it answers is cut to the limits of facts. Answers that are
        together longer than LARGEST_SCORES are left out, of the oldest models first.
        """
        left, scored = LARGEST_SCORES, []
        for model in reversed(self.models):
            if model.status != "READY":
                scored.append(model)
                continue
            scoring, _ = bounded(score(model))
            left -= len(_scoring.dump_json(scoring))
            scored.append(replace(model, scoring=scoring if left >= 0 else Scoring(error=TOO_LONG)))
        return replace(self, models=tuple(scored[::-1]))

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
