"""What the documents for newcomers name exists: files, functions, rooms, tools."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.support import quick

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PLACES = re.findall(r"^\| .*\? \| `([\w/.]+)` \| `([\w.]+)` \|$", ARCHITECTURE, re.MULTILINE)
DOCUMENTS = [path.name for path in sorted(ROOT.glob("*.md"))]


def names_in(path: Path) -> set[str]:
    """The functions, classes, methods and constants of a module."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_what_a_newcomer_is_sent_to_is_there(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


@pytest.mark.parametrize(
    "subject", ["log-loss", "memory limit", "duplicate check cell", "token", "late penalty"]
)
def test_a_newcomer_s_question_is_answered(subject: str) -> None:
    assert any(subject in line and "? | `" in line for line in ARCHITECTURE.splitlines())
    assert len(PLACES) >= 10


def test_the_map_has_every_room_in_the_order_of_imports() -> None:
    told = re.findall(r"^\| `(\w+)(?:\.py)?` \| ", ARCHITECTURE, re.MULTILINE)
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    assert told == layers[::-1]


def test_no_two_modules_share_a_file_name() -> None:
    places = defaultdict(list)
    for path in (ROOT / "autograder").rglob("*.py"):
        places[path.name].append(path.relative_to(ROOT).as_posix())
    del places["__init__.py"]
    shared = [paths for paths in places.values() if len(paths) > 1]
    assert not shared, "name one of each pair for its subject, or give a reason in ARCHITECTURE.md"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_files_that_documents_link_and_name_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^):]+)\)", text)}
    named = set(re.findall(r"`((?:autograder|tests|book|solutions|exercises)/[\w/.-]*)`", text))
    made_up = {name for name in named if "03-comparing" in name or "NN-name" in name}
    for name in linked | named - made_up:
        assert (ROOT / name).exists(), f"{document} names {name}"


def test_the_commands_that_documents_show_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = (ROOT / document).read_text("utf-8")
        asked = re.findall(r"(?:^\$ |`)make ([a-z-]+)", text, re.MULTILINE)
        assert set(asked) <= targets, document


def test_the_citation_and_the_changelog_have_the_version_of_the_package() -> None:
    version = PROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == version
    released = re.findall(r"^## ([\d.]+) - ", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert released[0] == version


def test_the_hooks_before_a_commit_are_local_and_known_to_the_lock() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    tools = [package.partition(">")[0] for package in PROJECT["project"]["optional-dependencies"]["dev"]]
    for repository in config["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].split()[0] in tools


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "autograder" / "py.typed").exists()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["autograder"]


def test_a_quick_test_that_starts_a_process_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_guarded", ["this test"])
    with pytest.raises(AssertionError, match=r"this test counts as quick .* subprocess\.Popen"):
        subprocess.run([sys.executable, "-c", ""], check=False)


def test_slow_modules_are_modules() -> None:
    missing = [name for name in quick.SLOW if not (quick.TESTS / f"{name.partition('::')[0]}.py").is_file()]
    assert not missing
