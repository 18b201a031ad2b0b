"""What an instructor may set for an assignment, in a ``settings.toml`` beside its source notebook.

nbgrader copies the file beside the students' notebook, where the checks find it. Grading reads the
source's, whatever stands beside a submission.
"""

import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autograder.base.errors import KitError

SETTINGS_FILE = "settings.toml"
#: Environment variable with the settings as JSON: how a notebook's run is told of them.
SETTINGS_VARIABLE = "MLFLOW_KIT_SETTINGS"
#: Environment variable of a run that the kit grades or rehearses: its reports are made afterwards.
GRADED_RUN_VARIABLE = "MLFLOW_KIT_GRADED_RUN"
#: A table that is drawn from has no more characters than this.
LARGEST_TABLE = 64_000
#: What the notebooks state and the rubrics ask for, by assignment, where no instructor set another value.
THRESHOLDS: dict[str, dict[str, float]] = {"05-promotion": {"log_loss": 0.24}}

Points = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class SettingsError(KitError, ValueError):
    """Raised for settings that make no sense; says in which file, what was found and what is expected."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Section):
    """How the data are drawn: from Gaussians, one a class, fitted to a table.

    ``table`` names a CSV file beside the settings whose last column is the class, the others numbers,
    and once loaded is its text; None for the assignment's own data. ``spread`` multiplies the
    covariances: the larger, the harder to predict.
    """

    table: str | None = None
    spread: Annotated[float, Field(gt=0, le=100)] = 2.0
    rows_per_class: Annotated[int, Field(ge=50, le=20_000)] = 500
    test_share: Annotated[float, Field(ge=0.1, le=0.9)] = 0.4


class Settings(_Section):
    """What an instructor set. Points are by criterion, thresholds by the names in THRESHOLDS.

    ``deadline`` is with its time zone; after it, ``late_penalty`` of the points (0 to 1) is taken off
    for each day begun.
    """

    points: dict[str, Points] = {}
    thresholds: dict[str, Number] = {}
    data: DataSettings = DataSettings()
    deadline: datetime | None = None
    late_penalty: Annotated[float, Field(ge=0, le=1)] = 0.0

    def threshold(self, assignment: str, name: str) -> float:
        """The threshold ``name`` of an assignment. Raises KeyError for one it does not have."""
        return {**THRESHOLDS.get(assignment, {}), **self.thresholds}[name]


#: What holds where no instructor set anything.
USUAL = Settings()


class Conditions(NamedTuple):
    """What a notebook is run under: the seed of its data, and the instructor's settings."""

    seed: int
    settings: Settings = USUAL


def load_settings(folder: Path) -> Settings:
    """The settings in a folder's settings.toml; the usual ones without that file.

    Raises SettingsError.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return USUAL
    try:
        settings = Settings(**tomllib.loads(path.read_text(encoding="utf-8")))
        if settings.data.table is not None:
            settings = _with_table(settings, folder / settings.data.table)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML file: {error}.") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first(error)}") from error
    if settings.deadline and settings.deadline.tzinfo is None:
        raise SettingsError(
            f"{path}: the deadline {settings.deadline} has no time zone; expected for example "
            "2027-01-31T23:59:00+01:00."
        )
    return settings


def _with_table(settings: Settings, path: Path) -> Settings:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The table {path} of the settings cannot be read: {error}.") from error
    if len(text) > LARGEST_TABLE:
        raise SettingsError(
            f"The table {path} of the settings has {len(text)} characters; expected {LARGEST_TABLE} at most. "
            "Only each class's means and covariances are taken from it, so a sample of its rows is enough."
        )
    data = settings.data.model_copy(update={"table": text})
    return settings.model_copy(update={"data": data})


def current_settings() -> Settings:
    """The settings that this process works under: those of the grader or of the opened exercise."""
    text = os.environ.get(SETTINGS_VARIABLE)
    try:
        return Settings.model_validate_json(text) if text else USUAL
    except ValidationError as error:
        raise SettingsError(f"The environment variable {SETTINGS_VARIABLE}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    names = ".".join(str(part) for part in found["loc"])
    known = ", ".join(Settings.model_fields)
    return f"{names}: {found['msg']} (found {found['input']!r}). The settings are: {known}."
