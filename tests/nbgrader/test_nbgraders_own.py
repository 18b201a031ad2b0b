"""nbgrader's own tests with the kit's plug-ins: what is not the kit's works, and nothing of it crashes.

A few of each command's. All of them: ``JUPYTER_CONFIG_PATH=FOLDER python -m pytest --pyargs
nbgrader.tests.apps.test_nbgrader_zip_collect`` and so on, with the configuration below in FOLDER.
"""

import re
import sys

import pytest

from tests.conftest import run

CONFIGURATION = """
from autograder.nbgrader import configure
c = get_config()
configure(c)
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
"""
#: nbgrader's tests are of assignments without a rubric: the kit grades none of those, and says so.
REFUSED = "cannot be graded: There is no assignment called 'ps1'; expected one of"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a part of nbgrader's tests prints."""
    folder = tmp_path_factory.mktemp("nbgrader")
    (folder / "nbgrader_config.py").write_text(CONFIGURATION)
    modules = [f"nbgrader.tests.apps.test_nbgrader_{name}" for name in COMMANDS]
    chosen = " or ".join(name for names in COMMANDS.values() for name in names)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore", "-rA", "-s"]
    command += ["--tb=short", "--pyargs", *modules, "-k", chosen]
    done = run(*command, folder=folder, JUPYTER_CONFIG_PATH=str(folder), PYTEST_ADDOPTS="")
    return done.stdout


#: By command, the tests that are run. Those of autograde and feedback grade an ordinary assignment.
COMMANDS = {
    "validate": ["test_validate_unchanged", "test_validate_changed"],
    "zip_collect": ["test_collect_invalid_notebook", "test_extract_single_notebook"],
    "autograde": ["test_grade_timestamp", "test_missing_files"],
    "generate_feedback": ["test_single_user"],
}


def outcome(said: str, test: str) -> set[str]:
    return set(re.findall(rf"^(PASSED|FAILED|ERROR) \S*::{test}\b", said, re.MULTILINE))


@pytest.mark.parametrize("test", [*COMMANDS["validate"], *COMMANDS["zip_collect"]])
def test_what_is_not_graded_works_as_without_the_kit(said: str, test: str) -> None:
    assert outcome(said, test) == {"PASSED"}, said[-3000:]


@pytest.mark.parametrize("test", [*COMMANDS["autograde"], *COMMANDS["generate_feedback"]])
def test_grading_what_has_no_rubric_is_refused_in_one_line(said: str, test: str) -> None:
    assert outcome(said, test) == {"FAILED"}, said[-3000:]
    assert REFUSED in said


def test_nothing_of_the_kit_s_crashes(said: str) -> None:
    frames = [line for line in said.splitlines() if re.search(r'File ".*autograder/', line)]
    assert frames == []
