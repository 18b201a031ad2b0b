"""The facts of a model registry: registered models, their versions, and the history of stages and aliases."""

from dataclasses import dataclass, field
from typing import Annotated

from autograder.evidence.bounds import MOST_VERSIONS, Name, Number, Path, Tags, Text, Word, entries, most


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model. ``model_id`` is the logged model behind it, if it is one."""

    version: Number
    created: Number
    stage: Word
    description: Text
    source: Path
    run_id: Name | None
    model_id: Path | None
    status: Word
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model with its versions, oldest first. ``aliases`` maps an alias to a version."""

    name: Name
    created: Number
    description: Text
    tags: Tags = field(default_factory=dict)
    aliases: Annotated[dict[Name, Number], entries(100)] = field(default_factory=dict)
    versions: Annotated[tuple[ModelVersion, ...], most(MOST_VERSIONS)] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A stage or an alias that was set, moved or removed.

    ``kind`` is "stage" or "alias"; ``subject`` is the version whose stage it is, or the alias.
    """

    time: Number
    kind: Word
    name: Name
    subject: Name
    before: Name | None
    after: Name | None
