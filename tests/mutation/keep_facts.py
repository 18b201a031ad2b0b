"""Grade every known submission once with stock nbgrader, and keep the facts that each left.

Facts are a build product. With them a rubric is tried on the whole class
in seconds, without running a notebook.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from autograder.nbgrader.course_files import SECRET_VARIABLE
from tests.conftest import ASSIGNMENT, SAMPLES, make_course, run
from tests.mutation.facts import FACTS


def keep_facts() -> None:
    """Replace what is in ``build/facts``. Takes some minutes."""
    with tempfile.TemporaryDirectory(prefix="kit-facts-") as folder:
        course = make_course(Path(folder) / "course", SAMPLES)
        secret = {SECRET_VARIABLE: "the same data each time"}
        done = run("nbgrader", "autograde", ASSIGNMENT, folder=course, timeout=3600, **secret)
        if done.returncode:
            sys.exit(done.stdout)
        shutil.rmtree(FACTS, ignore_errors=True)
        FACTS.mkdir(parents=True)
        for path in sorted((course / "kept" / ASSIGNMENT).glob("*/evidence.json")):
            shutil.copyfile(path, FACTS / f"{path.parent.name}.json")


if __name__ == "__main__":
    keep_facts()
