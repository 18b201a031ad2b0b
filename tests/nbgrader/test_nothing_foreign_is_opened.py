"""Grading opens nothing of a submission itself, and forty attacks bring nothing of the course out."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from tests.conftest import ASSIGNMENT, SAMPLES, make_course, run

pytestmark = pytest.mark.xdist_group("nothing foreign")
CANARY = "canary-4711"
ATTACKER, NEIGHBOUR = "attacker", "neighbour"
#: What a submission can bring, and what its run can leave: a file of each kind that grading knows.
BROUGHT = (
    "helper.py",
    "data.csv",
    "picture.png",
    "model.skops",
    "table.parquet",
    "notes.json",
    "other.ipynb",
)
LEFT = """
import json, os, pickle, sqlite3
import mlflow
from pathlib import Path
for name in "left.png left.json left.csv left.svg left.parquet left.pkl left.txt MLmodel".split():
    Path(name).write_text("%!PS left")
    with mlflow.start_run(run_name=name):
        mlflow.log_metric("x", 1)
        mlflow.log_artifact(name)
"""
#: Where things of the course are looked for, in Python; ``course`` is its path on this machine.
TARGETS: dict[str, str] = {
    "the secret, from here": "open('../../../.course-secret').read()",
    "the secret, by its path": "open(course + '/.course-secret').read()",
    "the secret, through /proc": "open('/proc/1/root' + course + '/.course-secret').read()",
    "the gradebook": "open(course + '/gradebook.db', 'rb').read()",
    "a neighbour": f"open(course + '/submitted/{NEIGHBOUR}/{ASSIGNMENT}/{ASSIGNMENT}.ipynb').read()",
    "the environment": "dict(__import__('os').environ)",
    "the environment of all processes": (
        "[open(f'/proc/{p}/environ').read() for p in __import__('os').listdir('/proc') if p.isdigit()]"
    ),
    "a search": (
        "[open(os.path.join(a, c)).read() for a, b, c_ in os.walk('/sandbox') for c in c_ if 'secret' in c]"
        ".append(__import__('subprocess').run(['find', '/', '-name', '.course-secret'],"
        " capture_output=True, text=True).stdout)"
    ),
}
#: How what was found is to come out: forty attacks with the places above.
WAYS: dict[str, str] = {
    "printed": "print({n}, 'tried', repr(found)[:300])",
    "raised": "raise RuntimeError(repr(found)[:300])",
    "logged as a tag and a parameter": (
        "with mlflow.start_run(run_name='attack {n}'): "
        "mlflow.set_tag('found', repr(found)[:3000]), mlflow.log_param('found', repr(found)[:300])"
    ),
    "logged as a file": (
        "with mlflow.start_run(run_name='attack {n}'): "
        "mlflow.log_dict({{'found': repr(found)[:3000]}}, 'found.json')"
    ),
    "answered by a model": "log_model({n}, {target!r})",
}
MODEL = """
import cloudpickle
from sklearn.base import BaseEstimator, ClassifierMixin

class Spy(ClassifierMixin, BaseEstimator):
    def __init__(self, target="", course=""):
        self.target, self.course = target, course
    def fit(self, X, y):
        self.classes_ = sorted(set(y))
        return self
    def predict(self, X):
        import os
        try:
            found = repr(eval(self.target, {"course": self.course, "os": os}))[:200]
        except Exception as error:
            found = repr(error)
        raise RuntimeError("asked: " + found)

def log_model(number, target):
    with mlflow.start_run(run_name=f"attack {number}"):
        spy = Spy(target, course).fit(X_train, y_train)
        mlflow.sklearn.log_model(spy, name="model", serialization_format="cloudpickle")
"""


def attacks(course: Path) -> str:
    """The code of all attacks; one that fails does not keep the next from being tried."""
    lines = ["import os, mlflow", f"course = {str(course)!r}", MODEL, "tried = 0"]
    for number, (way, target) in enumerate(
        (way, target) for way in WAYS.values() for target in TARGETS.values()
    ):
        done = way.format(n=number, target=target)
        lines += [
            "try:",
            f"    found = {target}" if "log_model" not in way else "    found = ''",
            "except Exception as error:",
            "    found = error",
            "try:",
            *(f"    {line}" for line in done.splitlines()),
            "except Exception as error:",
            f"    print({number}, 'tried', error)",
            "tried += 1",
        ]
    return "\n".join([*lines, "print('attacks tried:', tried)"])


#: Runs nbgrader with a hook that notes each file that this process opens, and what in the kit opened it.
WATCHED = """
import json, os, sys
course, log = sys.argv[1:3]
places = [f"{course}/{place}/" for place in ("submitted/attacker", "kept/01-tracking/attacker")]
opened = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if any(path.startswith(place) for place in places) or "/kit-" in path:
            frame, names = sys._getframe(1), []
            while frame and len(names) < 6:
                names.append(os.path.basename(frame.f_code.co_filename))
                frame = frame.f_back
            opened.append((path, names))
sys.addaudithook(note)
sys.argv = ["nbgrader", *sys.argv[3:]]
from nbgrader.apps.nbgraderapp import main
try:
    main()
finally:
    open(log, "w").write(json.dumps(opened))
"""
#: Modules that copy bytes and look at none of them, and those that write the kit's own records.
COPIES = {"regular_files.py", "box.py", "shutil.py", "jobs.py", "prepared.py", "intake.py"}
OWN = {"course_files.py", "record.py", "one_batch.py", "exporter.py"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    course = tmp_path_factory.mktemp("attacked") / "course"
    make_course(course, {"solution": SAMPLES["solution"]})
    (course / "submitted" / "solution").rename(course / "submitted" / ATTACKER)
    own = course / "submitted" / ATTACKER / ASSIGNMENT
    other = course / "submitted" / NEIGHBOUR / ASSIGNMENT
    other.mkdir(parents=True)
    notebook = nbformat.read(own / f"{ASSIGNMENT}.ipynb", as_version=4)
    neighbour = copy.deepcopy(notebook)
    neighbour.cells.append(nbformat.v4.new_markdown_cell(CANARY))
    nbformat.write(neighbour, other / f"{ASSIGNMENT}.ipynb")
    place = next(i for i, cell in enumerate(notebook.cells) if cell.metadata.nbgrader.grade_id == "compare")
    for source in (attacks(course), LEFT):
        notebook.cells.insert(place, nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, own / f"{ASSIGNMENT}.ipynb")
    for name in BROUGHT:
        (own / name).write_text("%!PS brought")
    for name, target in (("a.txt", "../../../.course-secret"), ("b.ipynb", other / f"{ASSIGNMENT}.ipynb")):
        (own / name).symlink_to(target)
    (course / ".course-secret").write_text(CANARY)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        gradebook.add_student(NEIGHBOUR, first_name=CANARY)
    watched = [sys.executable, "-c", WATCHED, str(course), str(course / "opened.json")]
    only = f"--student={ATTACKER}"
    done = run(*watched, "autograde", ASSIGNMENT, only, folder=course, ANOTHER_SECRET=CANARY)
    assert done.returncode == 0, done.stdout[-3000:]
    done = run("nbgrader", "generate_feedback", ASSIGNMENT, only, folder=course)
    assert done.returncode == 0, done.stdout[-3000:]
    return course


def test_forty_attacks_were_tried(graded: Path) -> None:
    executed = (graded / "kept" / ASSIGNMENT / ATTACKER / "executed.ipynb").read_text("utf-8")
    assert f"attacks tried: {len(WAYS) * len(TARGETS)}" in executed
    assert len(WAYS) * len(TARGETS) == 40
    facts = json.loads((graded / "kept" / ASSIGNMENT / ATTACKER / "evidence.json").read_text("utf-8"))
    errors = [model["scoring"]["error"] for model in facts["models"] if model["scoring"]]
    assert sum("asked: " in (error or "") for error in errors) == len(TARGETS)


def test_none_of_them_finds_the_canary(graded: Path) -> None:
    for place in ("autograded", "feedback", f"kept/{ASSIGNMENT}"):
        files = [path for path in (graded / place / ATTACKER).rglob("*") if path.is_file()]
        assert files, place
        for path in files:
            assert not path.is_symlink(), path
            assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in run("mlflow-kit", "results", ASSIGNMENT, folder=graded).stdout


def test_the_work_beside_the_attacks_still_counts(graded: Path) -> None:
    verdict = json.loads((graded / "kept" / ASSIGNMENT / ATTACKER / "verdict.json").read_text("utf-8"))
    assert verdict["earned"] > 15, verdict


def test_the_process_that_grades_opens_no_file_of_the_submission(
    graded: Path, record_property: Callable[[str, object], None]
) -> None:
    opened = json.loads((graded / "opened.json").read_text("utf-8"))
    record_property("opened", len(opened))
    foreign = [(path, set(names)) for path, names in opened if "/attacker/" in path or "/left/" in path]
    assert foreign, "the hook notes something: files are copied"
    assert not [(path, names) for path, names in foreign if not names & (COPIES | OWN)]
