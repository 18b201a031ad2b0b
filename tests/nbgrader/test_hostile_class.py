"""A class in which some break the limits: theirs end with a verdict, the others' are untouched."""

from pathlib import Path

import pytest

from autograder.authoring.samples import CellEdit, Sample
from autograder.reports import Verdict
from tests.conftest import ASSIGNMENT, SAMPLES, make_course, run

pytestmark = pytest.mark.xdist_group("hostile")

#: What stands in the place of the third task, and the words of the verdict. The tasks before it are solved.
ATTACKS = {
    "loops": ("while True: pass", "a cell took longer than 12 seconds"),
    "exits": ("import os\nos._exit(0)", "the kernel died"),
    "floods": ("while True: print('x' * 10_000)", "printed and displayed more than"),
    "hoards": (
        "import os, time\nfor _ in range(8):\n    if not os.fork():\n        kept = b'x' * (300 << 20)\n"
        "        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)",
        "of memory, where 1.5 GiB are allowed",
    ),
    "litters": ("for n in range(10**6):\n    open(f'file{n}', 'w').close()", "files, where 3000 are allowed"),
}
LIMITS = {"cell": 12, "memory": 1536 << 20, "files": 3_000, "output": 2_000_000}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """The verdicts of the attackers, of one right answer that comes before them and one that comes after."""
    edits = {name: {"solve-log-model": CellEdit(source=source)} for name, (source, _) in ATTACKS.items()}
    samples = {name: Sample(name=name, about="", cells=cells, points=9) for name, cells in edits.items()}
    samples |= {"a-neighbour": SAMPLES["solution"], "z-neighbour": SAMPLES["right-with-cloudpickle"]}
    folder: Path = make_course(tmp_path_factory.mktemp("hostile") / "course", samples)
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write(f"\nc.SubmissionExporter.limits = {LIMITS}\n")
    done = run("nbgrader", "autograde", ASSIGNMENT, folder=folder)
    assert done.returncode == 0, done.stdout[-5000:]

    from autograder.nbgrader.course_files import Course

    return {verdict.student: verdict for verdict in Course(folder).verdicts(ASSIGNMENT)}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_its_own_verdict_and_keeps_what_was_done_before(
    verdicts: dict[str, Verdict], name: str
) -> None:
    assert ATTACKS[name][1] in verdicts[name].because
    assert verdicts[name].tasks["experiment"] == (2, 2)
    assert verdicts[name].tasks["first-run"] == (7, 7)
    assert verdicts[name].earned == 9


def test_the_neighbours_are_graded_as_if_nothing_had_been_there(verdicts: dict[str, Verdict]) -> None:
    assert len(verdicts) == len(ATTACKS) + 2
    for name in ("a-neighbour", "z-neighbour"):
        assert verdicts[name].earned == 25
        assert verdicts[name].because == ""
