"""What the README and the book's chapters tell instructors and authors to type, and what they promise."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from autograder.base.text import size
from autograder.cli import app
from autograder.course.demo import CLASS
from autograder.data.settings import load_settings
from autograder.rubrics import assignments, load_rubric
from autograder.sandbox.limits import USUAL
from tests.conftest import ROOT, SAMPLES

README = (ROOT / "README.md").read_text("utf-8")
INSTRUCTORS = (ROOT / "book" / "chapters" / "instructors.md").read_text("utf-8")
both = pytest.mark.parametrize("page", [README, INSTRUCTORS], ids=["README", "instructors"])


def typed(page: str, program: str) -> Iterator[list[str]]:
    """The words after ``program`` wherever a page has it in a block of commands or between backquotes."""
    for line in re.findall(rf"(?:^\$ |`){program} ([^`#\n]*)", page, re.MULTILINE):
        yield line.split()


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"mlflow-kit has no {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@both
def test_the_kit_s_commands_and_their_options_exist(page: str) -> None:
    lines = list(typed(page, "mlflow-kit"))
    assert len(lines) > 5
    for words in lines:
        command, rest = command_of(words)
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known, words


@both
def test_what_make_is_asked_for_exists(page: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    asked = [words[0] for words in typed(page, "make")]
    assert asked
    assert set(asked) <= set(targets)


def test_the_plain_commands_are_those_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (check,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    steps = [line.strip() for line in check.splitlines()]
    assert "deptry autograder exercises" in steps
    shown = re.findall(r"^\$ ([^#\n]*)", README, re.MULTILINE)
    assert [step.strip() for line in shown for step in line.split("&&") if step.strip() in steps] == steps


@both
def test_the_settings_that_are_shown_are_accepted(page: str, tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "settings.toml").write_text(shown, "utf-8")
    (tmp_path / "beetles.csv").write_text("size,kind\n1,a\n2,a\n3,b\n4,b\n", "utf-8")
    rubric = load_rubric("05-promotion", load_settings(tmp_path))
    points = {criterion.id: criterion.points for _, criterion in rubric.criteria}
    assert points["newer-evaluated"] == 4


def test_the_points_of_each_assignment_are_the_rubrics() -> None:
    told = re.findall(r"^\| `(\d\d-[\w-]+)` \| .* \| (\d+)(?:, (\d+) by hand)? \|$", README, re.MULTILINE)
    for assignment, points, by_hand in told:
        rubric = load_rubric(assignment)
        assert rubric.points == float(points)
        assert sum(c.points for _, c in rubric.criteria if c.by_hand) == float(by_hand or 0)
    assert [assignment for assignment, *_ in told] == list(assignments())


def test_the_limits_of_the_sandbox_are_those_that_hold() -> None:
    (told,) = re.findall(r"^\| limits: (.*?) \|", README, re.MULTILINE)
    numbers = (
        f"{USUAL.cell / 60:g} minutes a cell, {USUAL.wall / 60:g} a notebook",
        f"{USUAL.memory >> 30} GiB of memory, {USUAL.process_memory >> 30} for one process",
        f"{USUAL.processes} processes",
        f"{size(USUAL.disk)} and {USUAL.files:,} files",
        f"{size(USUAL.output)} of output",
    )
    assert told == "; ".join(numbers)


def test_the_demo_s_class_is_the_one_that_is_promised() -> None:
    assert "a class of eleven samples" in INSTRUCTORS
    assert len(CLASS) == 11
    assert set(CLASS) <= set(SAMPLES)


def test_a_runtime_on_databricks_is_given_the_versions_that_the_kit_has() -> None:
    page = (ROOT / "book" / "chapters" / "databricks.md").read_text("utf-8")
    (told,) = re.findall(r"^%pip install (mlflow==.*)$", page, re.MULTILINE)
    with (ROOT / "pyproject.toml").open("rb") as file:
        pinned = tomllib.load(file)["project"]["dependencies"]
    assert set(told.split()) <= set(pinned)


def test_the_hours_that_are_promised_are_those_that_chapters_and_exercises_state() -> None:
    def minutes(*paths: Path) -> float:
        return sum(
            float(re.findall(r"\*\*Time:\*\* (?:about )?(\d+)", path.read_text("utf-8"))[0]) for path in paths
        )

    index = (ROOT / "book" / "index.md").read_text("utf-8")
    assert "exercises of the core path take about five hours, its chapters three to four more" in index
    assert "about five hours in all" in README
    assert minutes(*(ROOT / "exercises" / name / f"{name}.ipynb" for name in assignments())) == 5 * 60
    core = ("why", "components", "tracking", "iterate", "registry")
    core += ("promotion", "serving", "patterns", "capstone")
    assert 3 * 60 <= minutes(*(ROOT / "book" / "chapters" / f"{name}.md" for name in core)) <= 4 * 60
