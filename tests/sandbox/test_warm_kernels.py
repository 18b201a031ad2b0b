"""A forked kernel is as a started one: nothing of the process behind it, or of another kernel, is in it."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.base.child import ChildFailed
from autograder.data.settings import Conditions
from autograder.sandbox import server_in_box
from autograder.sandbox.box import BoxFailed, OwnBox
from autograder.sandbox.limits import Limits
from autograder.sandbox.running import Execution, run_notebook
from autograder.sandbox.warm_kernels import WARM_VARIABLE, WarmKernels

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the box needs Linux")

#: What a process tells of itself; what should be alike in all kernels, and what should differ.
ALIKE = """
import gc, json, logging, os, resource, signal, sys
def kind(path):
    target = os.readlink(path)
    return target.split(":")[0] if ":" in target else target
import matplotlib, mlflow
OWN = ("USERPROFILE", "PYDEVD_USE_FRAME_EVAL")  # a folder outside; what ipykernel tells its debugger
alike = {
    "environment": {name: value for name, value in os.environ.items() if name not in OWN},
    "folder": [os.getcwd(), sorted(os.listdir("."))],
    "umask": os.umask(0o022),
    "numbers": [os.getpid(), os.getppid(), os.getgroups()],
    "arguments": sys.argv[2:] and sys.argv[0],
    "path": sys.path,
    "main": sys.modules["__main__"].__dict__.get("__name__"),
    "signals": {str(s): str(signal.getsignal(s)).split(" at ")[0] for s in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if "RLIMIT_" in n},
    "privileges": [
        line for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs", "Seccomp:"))
    ],
    "open files": sorted({kind(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{n}") and not kind(f"/proc/self/fd/{n}").startswith("/proc")}),
    "tracking": [mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.active_run()],
    "handlers": [str(handler) for handler in logging.getLogger().handlers],
    "backend": matplotlib.get_backend(),
    "garbage": gc.isenabled(),
    "interfaces": [name for _, name in __import__("socket").if_nameindex()],
    "home": sorted(os.listdir("/home/student")),
    "kit": [name for name in sys.modules if name.startswith(("autograder.sandbox", "autograder.rubrics"))],
}
print(json.dumps(alike))
"""
DIFFERENT = """
import json, random, uuid, numpy, mlflow.utils.name_utils
print(json.dumps([
    random.random(), numpy.random.rand(), str(uuid.uuid4()), mlflow.utils.name_utils._generate_random_name(),
]))
"""
THREADS = """
import json
from sklearn.ensemble import RandomForestClassifier, HistGradientBoostingClassifier
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
import numpy, threadpoolctl
X, y = load_iris(return_X_y=True)
HistGradientBoostingClassifier(max_iter=5).fit(X, y)  # OpenMP
KMeans(3, n_init=1).fit(X)
RandomForestClassifier(10, n_jobs=2).fit(X, y)  # joblib
numpy.ones((600, 600)) @ numpy.ones((600, 600))  # BLAS
print(json.dumps(sorted([pool["user_api"], pool["num_threads"]] for pool in threadpoolctl.threadpool_info())))
"""


def ran(folder: Path, sandbox: WarmKernels | bool, *cells: str, **limits: Any) -> Execution:
    folder.mkdir()
    (folder / "brought.txt").write_text("brought")
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    return run_notebook(notebook, folder, Conditions(1), Limits(**limits), sandbox)


def printed(execution: Execution, number: int = 0) -> Any:
    outputs = execution.notebook.cells[number].outputs
    (text,) = [output.text for output in outputs if output.get("name") == "stdout"]
    return json.loads(text)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmKernels]:
    with WarmKernels() as warm:
        yield warm
        assert warm.usable


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, warm: WarmKernels) -> list[Execution]:
    """Two forked kernels, and a started one."""
    folder = tmp_path_factory.mktemp("told")
    places = [(folder / f"{n}", kernels) for n, kernels in enumerate((warm, warm, True))]
    return [ran(place, kernels, ALIKE, DIFFERENT, THREADS) for place, kernels in places]


def test_a_forked_kernel_is_as_a_started_one(told: list[Execution]) -> None:
    forked, again, started = (printed(execution) for execution in told)
    for name in started:
        assert forked[name] == started[name], name
        assert again[name] == started[name], name


def test_nothing_random_is_alike_in_two_kernels(told: list[Execution]) -> None:
    for drawn in zip(*(printed(execution, 1) for execution in told), strict=True):
        assert len(set(drawn)) == len(told), drawn


def test_threads_of_all_libraries_work_in_a_forked_kernel(told: list[Execution]) -> None:
    forked, again, started = (printed(execution, 2) for execution in told)
    assert forked == again == started


def test_a_plot_is_a_picture_and_what_is_written_past_python_arrives(
    warm: WarmKernels, tmp_path: Path
) -> None:
    execution = ran(
        tmp_path / "work",
        warm,
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()",
        "import os, sys, time\nos.system('echo from a shell')\nprint('err', file=sys.stderr); time.sleep(1)",
        "import warnings, logging\nwarnings.warn('careful'); logging.getLogger('x').warning('logged')",
    )
    plot, shell, said = (str(cell.outputs) for cell in execution.notebook.cells)
    assert "image/png" in plot
    assert "from a shell" in shell
    assert "err" in shell
    assert "careful" in said
    assert "logged" in said


LEAVES = """
import mlflow, os, sklearn, sys, time
for place in %r:
    open(place + "/left", "w").close()
mlflow.left = sklearn.left = 1
os.environ["LEFT"] = "left"
sys.path.append("left")
if not os.fork():
    os.setsid()
    time.sleep(99)
"""
LOOKS = """
import json, mlflow, os, sklearn, sys
print(json.dumps([
    [place for place in %r if "left" in os.listdir(place)],
    hasattr(mlflow, "left"),
    hasattr(sklearn, "left"),
    "LEFT" in os.environ,
    "left" in sys.path,
    [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())],
]))
"""


def test_what_one_kernel_leaves_the_next_does_not_find(warm: WarmKernels, tmp_path: Path) -> None:
    places = ["/tmp", "/home/student", "/dev/shm", "/sandbox/s", "/sandbox/work"]
    ran(tmp_path / "one", warm, LEAVES % places)
    assert printed(ran(tmp_path / "two", warm, LOOKS % places)) == [[], False, False, False, False, []]


def test_the_process_behind_it_may_die(warm: WarmKernels, tmp_path: Path) -> None:
    """As it may when the machine runs out of memory: the next kernel is forked from another."""
    assert ran(tmp_path / "one", warm, "1").stopped is None
    server = warm._server
    assert server
    server.child.process.kill()
    server.child.process.wait()
    execution = ran(tmp_path / "two", warm, "print(1)")
    assert printed(execution) == 1
    assert warm.usable


def test_a_kernel_that_does_not_begin_is_started_by_itself(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def dies() -> None:
        assert warm._server
        warm._server.box.end()
        raise ChildFailed("its process ended without an answer")

    monkeypatch.setattr(warm, "go", dies)
    execution = ran(tmp_path / "work", warm, "print(1)")
    assert printed(execution) == 1
    assert "A warm kernel did not begin (its process ended" in caplog.text


def test_a_course_may_have_larger_limits(tmp_path: Path) -> None:
    larger = Limits(memory=8 << 30, process_memory=7 << 30, file_size=1 << 30, processes=300, disk=1 << 30)
    with WarmKernels(larger) as warm:
        told = "import json, resource\nprint(json.dumps(resource.getrlimit(resource.RLIMIT_DATA)))"
        assert printed(ran(tmp_path / "work", warm, told, **asdict(larger))) == [7 << 30, 7 << 30]
        assert warm.usable


WRITES = """
import contextlib, json, os
place = %r
with contextlib.suppress(OSError):
    os.chmod(place, 0o777)
try:
    open(place + "/left", "w").close()
    print(json.dumps("written"))
except OSError:
    print(json.dumps("refused"))
"""
SPOILS = """
import contextlib, os
for place in ("/dev/pts/ptmx", "/dev/pts"):
    with contextlib.suppress(OSError):
        os.chmod(place, 0)
"""


@pytest.mark.parametrize(
    "place", ["/proc/1/cwd", "/sandbox/in", "/sandbox/kit/autograder/sandbox", "/sandbox/proc"]
)
def test_no_folder_of_the_box_around_can_be_written_to(warm: WarmKernels, tmp_path: Path, place: str) -> None:
    assert printed(ran(tmp_path / "work", warm, WRITES % place)) == "refused"


def test_terminals_of_one_kernel_are_not_the_next_one_s(warm: WarmKernels, tmp_path: Path) -> None:
    ran(tmp_path / "one", warm, SPOILS)
    assert printed(ran(tmp_path / "two", warm, "import pty\nprint(len(pty.openpty()))")) == 2


def test_files_that_do_not_fit_are_that_submission_s_own_trouble(warm: WarmKernels, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "large").write_bytes(b"x" * (3 << 20))
    notebook = new_notebook(cells=[new_code_cell("1")])
    with pytest.raises(BoxFailed):
        run_notebook(notebook, folder, Conditions(1), Limits(disk=1 << 20), warm)
    assert warm.usable
    assert printed(ran(tmp_path / "two", warm, "print(1)")) == 1


def test_a_kernel_cannot_reach_the_process_behind_it(warm: WarmKernels, tmp_path: Path) -> None:
    execution = ran(
        tmp_path / "work",
        warm,
        "import os, signal, json\n"
        "for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):\n"
        "    os.kill(1, sent)\n"
        "print(json.dumps([os.getppid(), os.path.isdir('/sandbox/proc') and os.listdir('/sandbox/proc')]))",
    )
    assert printed(execution) in ([1, []], [1, False])
    assert warm._server
    assert warm._server.child.process.poll() is None


@pytest.mark.parametrize("why", ["switched off", "no box within a box"])
def test_without_warm_kernels_each_is_started_and_the_reason_is_said(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if why == "switched off":
        monkeypatch.setenv(WARM_VARIABLE, "0")
    else:
        # a box without the right to make others within it: what a machine that forbids it does
        monkeypatch.setattr(server_in_box, "OwnBox", lambda limits, nested: OwnBox(limits))
    with WarmKernels() as warm, caplog.at_level(logging.WARNING):
        execution = ran(tmp_path / "work", warm, "import os; print(os.getpid())")
        assert printed(execution) == 2
        assert not warm.usable
        assert warm._server is None
    assert ("No warm kernels (" in caplog.text) == (why != "switched off")
