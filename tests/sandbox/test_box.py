"""What submissions try, in the box: every limit ends them, nothing of the machine is to be seen."""

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.data.settings import Conditions
from autograder.sandbox import find_bwrap
from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import check_sandbox
from autograder.sandbox.running import Execution, run_notebook
from autograder.sandbox.warm_kernels import WarmKernels
from tests.conftest import ROOT, run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the box needs Linux")

#: Tight, so that breaking them takes seconds.
LIMITS = Limits(
    cell=4,
    wall=30,
    memory=700 << 20,
    process_memory=1 << 30,
    processes=64,
    disk=32 << 20,
    files=2_000,
    file_size=16 << 20,
    cpu=60,
    output=200_000,
)
BEFORE = "open('before.txt', 'w').write('done before')"
AFTER = "open('after.txt', 'w').write('done after')"

Attempt = Callable[..., Execution]


@pytest.fixture(scope="module", params=["forked", "started"])
def kernels(request: pytest.FixtureRequest) -> Iterator[WarmKernels | bool]:
    """What a kernel in a box is: forked from a warm one, or started."""
    if request.param == "started":
        yield True
    else:
        with WarmKernels() as warm:
            yield warm
            assert warm.usable


@pytest.fixture
def attempt(tmp_path: Path, kernels: WarmKernels | bool) -> Attempt:
    """Run cells in a box, between one that leaves before.txt and one that leaves after.txt."""

    def make(*cells: str, **limits: Any) -> Execution:
        folder = tmp_path / "work"
        folder.mkdir()
        notebook = new_notebook(cells=[new_code_cell(source) for source in (BEFORE, *cells, AFTER)])
        changed = Limits(**{name: limits.get(name, getattr(LIMITS, name)) for name in LIMITS.__slots__})
        return run_notebook(notebook, folder, Conditions(1), changed, kernels)

    return make


def errors(execution: Execution) -> list[str]:
    """The names of the exceptions that cells raised."""
    outputs = [output for cell in execution.notebook.cells for output in cell.outputs]
    return [output.ename for output in outputs if output.output_type == "error"]


def printed(execution: Execution) -> str:
    outputs = [output for cell in execution.notebook.cells for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


ENDED = {
    "an infinite loop": ("while True: pass", "a cell took longer than 4 seconds"),
    "a loop that ignores interrupts": (
        "import time\nwhile True:\n    try: time.sleep(0.1)\n    except BaseException: pass",
        "a cell took longer than 4 seconds",
    ),
    "a regular expression that holds the interpreter": (
        "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
        "a cell took longer than 4 seconds",
    ),
    "memory in many processes": (
        "import os, time\nfor _ in range(6):\n    if not os.fork():\n"
        "        kept = b'x' * (150 << 20)\n        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)",
        "of memory, where 700 MiB are allowed",
    ),
    "a flood of small files": (
        "for n in range(10**6):\n    open(f'file{n}', 'w').close()",
        "files, where 2000 are allowed",
    ),
    "a flood of text": ("while True: print('x' * 1000)", "printed and displayed more than 195 KiB"),
    "a flood of display data": (
        "from IPython.display import display\nwhile True:\n    display({'text/plain': 'x' * 1000}, raw=True)",
        "printed and displayed more than 195 KiB",
    ),
    "a flood of updates of one display": (
        "from IPython.display import display\nhandle = display('', display_id=True)\n"
        "while True:\n    handle.update('x' * 1000)",
        "printed and displayed more than 195 KiB",
    ),
    "os._exit": ("import os\nos._exit(3)", "the kernel died"),
    "a kernel that kills itself": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "the kernel died",
    ),
    "page tables": (
        "import mmap, ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.mmap.restype = ctypes.c_void_p\n"
        "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]\n"
        "size = 600 << 30\nstart = libc.mmap(None, size, 1, 0x4022, -1, 0)\n"
        "libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), 15)\n"
        "memory = (ctypes.c_char * size).from_address(start)\nfor n in range(0, size, 2 << 20): memory[n]\n"
        "import time; time.sleep(30)",
        "of memory, where 700 MiB are allowed",
    ),
    "buffers of sockets": (
        "import socket, time\nkept = []\nwhile len(kept) < 400:\n    kept.append(socket.socketpair())\n"
        "time.sleep(30)",
        "sockets, where 500 are allowed",
    ),
    "files in shared memory": (
        "import os\nos.mkdir('/dev/shm/d')\nfor n in range(10**6): open(f'/dev/shm/d/{n}', 'w').close()",
        "files, where 2000 are allowed",
    ),
}


@pytest.mark.parametrize("what", ENDED)
def test_a_limit_ends_the_run_is_named_and_what_was_done_before_stays(attempt: Attempt, what: str) -> None:
    source, words = ENDED[what]
    too_long = "a cell took longer" in words
    execution = attempt(source, cell=LIMITS.cell if too_long else 60)
    assert execution.stopped is not None
    assert words in execution.stopped
    assert (execution.folder / "before.txt").read_text() == "done before"
    assert not (execution.folder / "after.txt").exists()


REFUSED = {
    "a fork bomb": ("import os\nwhile True:\n    os.fork() or os.setsid()", "BlockingIOError"),
    "memory in one process": ("kept = []\nwhile True: kept.append(bytearray(50 << 20))", "MemoryError"),
    "a file that is too large": ("open('large', 'wb').write(b'x' * (20 << 20))", "OSError"),
    "a full disk": ("for n in range(9):\n    open(f'part{n}', 'wb').write(b'x' * (8 << 20))", "OSError"),
    "more shared memory than there is": (
        "from multiprocessing.shared_memory import SharedMemory\n"
        "shared = SharedMemory(create=True, size=200 << 20)\nshared.buf[:] = b'x' * (200 << 20)",
        "OSError",
    ),
    "memory without a name": ("import os\nos.memfd_create('x')", "PermissionError"),
    "a question to nobody": ("input('?')", "StdinNotImplementedError"),
    "sys.exit": ("import sys\nsys.exit(1)", "SystemExit"),
    "a namespace of its own": (
        "import ctypes, os\nif ctypes.CDLL(None, use_errno=True).unshare(0x10000000):\n"
        "    raise PermissionError(ctypes.get_errno())",
        "PermissionError",
    ),
    "files among the kernel's sockets": ("open('/sandbox/s/big', 'wb').write(b'x' * (4 << 20))", "OSError"),
    "a new password for root": ("open('/etc/passwd', 'w')", "OSError"),
    "a tool that is no tool": ("open('/usr/bin/python3', 'w')", "OSError"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_box_refuses_is_an_error_of_the_cell_and_the_run_goes_on(
    attempt: Attempt, what: str
) -> None:
    source, error = REFUSED[what]
    # a fork bomb's processes are the box's to end; the memory watchdog must not be faster
    execution = attempt(source, memory=4 << 30, cell=10)
    if what == "a fork bomb" and execution.stopped:
        assert (execution.folder / "before.txt").exists()
        return
    if error == "OSError":
        assert errors(execution)[0] in ("OSError", "PermissionError")
    else:
        assert errors(execution) == [error]
    assert execution.stopped is None
    assert (execution.folder / "after.txt").exists()


def test_the_whole_run_has_a_time_limit_too(attempt: Attempt) -> None:
    execution = attempt(*["import time; time.sleep(2)"] * 5, wall=4)
    assert execution.stopped == "it took longer than 4 seconds"
    assert (execution.folder / "before.txt").exists()


def test_nothing_that_was_started_outlives_the_run(attempt: Attempt) -> None:
    mark = f"sleep 98{time.time_ns() % 10**6}"
    attempt(
        f"import subprocess\nsubprocess.Popen({mark.split()!r}, start_new_session=True)\n"
        f"subprocess.Popen(['setsid', 'nohup', *{mark.split()!r}])"
    )
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if command and mark in " ".join(command)]


def test_names_that_are_too_long_and_folders_that_cannot_be_entered_cost_nothing_else(
    attempt: Attempt,
) -> None:
    execution = attempt(
        "import os\nfor i in range(19): os.mkdir('d' * 250); os.chdir('d' * 250)\n"
        "open('f' * 250, 'w').write('x'); os.chdir('/sandbox/work')\n"
        "os.mkdir('closed'); open('closed/file', 'w').close(); os.chmod('closed', 0o400)"
    )
    assert execution.stopped is None
    assert (execution.folder / "after.txt").exists()
    assert "File name too long" in " ".join(execution.refused)


def test_what_floods_other_channels_or_cannot_be_written_down_is_no_fault_of_ours(attempt: Attempt) -> None:
    held = [psutil.Process().memory_info().rss]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            held.append(psutil.Process().memory_info().rss)

    threading.Thread(target=watch, daemon=True).start()
    execution = attempt(
        "import json\nkernel = get_ipython().kernel\n"
        "kernel.session.pack = lambda sent: json.dumps(sent, default=str).encode()\n"
        "kernel.session.send(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': '\\ud800'}, "
        "parent=kernel.get_parent('shell'), ident=b'x')",
        "for _ in range(40): kernel.session.send(kernel.stdin_socket, 'input_request', {'prompt': ''}, "
        "ident=kernel._parent_ident['shell'], buffers=[b'x' * (16 << 20)])",
        "import time; time.sleep(3)",
        memory=4 << 30,
        cell=20,
    )
    assert (execution.folder / "before.txt").exists()
    nbformat.writes(execution.notebook).encode()
    ended.set()
    assert max(held) - held[0] < 300 << 20


def test_a_connection_lost_while_the_kernel_ends_is_no_flood(attempt: Attempt) -> None:
    execution = attempt(
        "import os, time\nkernel = get_ipython().kernel\n"
        "kernel.do_shutdown = lambda restart: (os.closerange(3, 256), time.sleep(4))\n"
        "kernel.session.send(kernel.iopub_socket, 'error', {'traceback': []}, parent=kernel.get_parent())\n"
        "time.sleep(8)",
        cell=20,
    )
    assert execution.stopped is not None
    assert "no notebook output" in execution.stopped


def test_memory_that_processes_share_is_counted_once(attempt: Attempt) -> None:
    execution = attempt(
        "import numpy as np, multiprocessing as mp, time\nshared = np.ones(300 << 17)\n"
        "def total(i):\n    time.sleep(1)\n    return float(shared[::4096].sum())\n"
        "with mp.Pool(3) as pool: print(pool.map(total, range(3)))",
        cell=30,
    )
    assert execution.stopped is None
    assert errors(execution) == []


def test_links_pipes_and_devices_are_left_behind_and_named(attempt: Attempt) -> None:
    execution = attempt(
        "import os, socket\nos.symlink('/etc/passwd', 'passwd'); os.symlink('/', 'everything')\n"
        "os.mkfifo('pipe'); socket.socket(socket.AF_UNIX).bind('socket')\n"
        "open('bad\\nname', 'w').close(); open(b'\\xff\\xfe', 'w').close()\n"
        "os.link('before.txt', 'again.txt')\nos.makedirs('/'.join('d' * 60))"
    )
    assert execution.stopped is None
    left = {path.name for path in execution.folder.iterdir()}
    assert left >= {"before.txt", "again.txt", "after.txt"}
    assert not left & {"passwd", "everything", "pipe", "socket"}
    told = " ".join(execution.refused)
    for name in ("passwd", "everything", "pipe", "socket", "bad\\nname", "\\xff\\xfe", "too deep"):
        assert name in told
    assert told.isprintable()


ELSEWHERE = """
import os, socket, time
place = "/sandbox/s/"
for name in os.listdir(place):
    os.rename(place + name, place + "x" + name)
    os.symlink(%r, place + name)
for number in map(int, os.listdir("/proc/self/fd")):
    try:
        one = socket.socket(fileno=os.dup(number))
        if "/s/" in str(one.getsockname()):
            one.shutdown(2)
    except OSError:
        pass
time.sleep(30)
"""


def test_nobody_is_led_to_another_socket_than_the_kernel_s(attempt: Attempt) -> None:
    import socket

    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{name}/s")
        listener.listen()
        execution = attempt(ELSEWHERE % f"{name}/s")
        listener.settimeout(1)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert execution.stopped is not None
    assert (execution.folder / "before.txt").exists()


SPY = """
import json, os, socket
def can(path):
    try:
        return os.path.isdir(path) and bool(os.listdir(path)) or bool(open(path).read(1))
    except OSError:
        return False
def importable(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False
def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
print(json.dumps({
    "readable": [path for path in %r if can(path)],
    "importable": [name for name in %r if importable(name)],
    "answers": answers(%d),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "routes": open("/proc/net/route").read().splitlines()[1:],
    "environment": dict(os.environ),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "home": os.listdir(os.path.expanduser("~")),
    "user": os.getuid(),
}))
"""


def test_nothing_of_the_machine_is_to_be_seen(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setenv("MLFLOW_KIT_COURSE_SECRET", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    other = tmp_path / "submitted" / "other" / "01-tracking.ipynb"
    other.parent.mkdir(parents=True)
    for path in (other, tmp_path / "gradebook.db", tmp_path / ".course-secret"):
        path.write_text("secret")
    places = [other, tmp_path / "gradebook.db", tmp_path / ".course-secret", ROOT / "solutions"]
    places += [ROOT / "autograder" / "rubrics", ROOT / "tests", ROOT / "README.md", Path.home() / ".bashrc"]
    places += [Path("/etc/shadow"), Path("/etc/hostname"), Path("/var"), Path("/proc/1/environ")]
    hidden = ["autograder.rubrics", "autograder.grading", "autograder.evidence", "autograder.nbgrader"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        execution = attempt(SPY % ([str(place) for place in places], hidden, server.getsockname()[1]))
    seen = json.loads(printed(execution))
    assert seen["readable"] in ([], ["/proc/1/environ"])  # its own first process
    assert seen["importable"] == []
    assert not seen["answers"]
    assert seen["interfaces"] == ["lo"]
    assert seen["routes"] == []
    assert "secret" not in json.dumps(seen["environment"])
    assert seen["environment"]["HOME"] == "/home/student"
    assert len(seen["processes"]) < 8
    assert seen["user"] != 0
    assert set(seen["home"]) <= {".ipython", ".matplotlib", ".cache"}


def test_the_kit_and_its_libraries_work_in_the_box(attempt: Attempt) -> None:
    execution = attempt(
        "from autograder.notebook import open_exercise\nexercise = open_exercise('01-tracking')",
        "import http.server, threading, urllib.request\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "print(urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/before.txt').read())",
        cell=60,
        memory=4 << 30,
        process_memory=3 << 30,
    )
    assert errors(execution) == []
    assert "/sandbox/work/mlflow.db" in printed(execution)
    assert "done before" in printed(execution)
    assert (execution.folder / "mlflow.db").stat().st_size > 0


def test_many_small_outputs_all_arrive(attempt: Attempt) -> None:
    execution = attempt(
        "from IPython.display import display\nfor n in range(900): display(n)", output=20 << 20, cell=60
    )  # of more than 1000 that wait, a kernel itself throws some away
    assert execution.stopped is None
    assert [len(cell.outputs) for cell in execution.notebook.cells] == [1, 900, 1]


@pytest.mark.parametrize("program", [shutil.which("bwrap"), find_bwrap.from_pypi()], ids=["system", "pypi"])
def test_the_sandbox_works_with_the_system_s_bubblewrap_and_with_pypi_s(
    program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program is None:
        pytest.skip("this system has none")
    monkeypatch.setenv(find_bwrap.VARIABLE, program)
    find_bwrap.find_bwrap.cache_clear()
    check_sandbox()
    find_bwrap.find_bwrap.cache_clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="this already is an ordinary user")
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    with tempfile.TemporaryDirectory(prefix="kit-user-") as folder:
        os.chown(folder, 12345, 12345)
        as_a_user(folder)


BETWEEN_KERNELS = (
    "test_no_folder_of_the_box_around_can_be_written_to",
    "test_terminals_of_one_kernel_are_not_the_next_one_s",
    "test_what_one_kernel_leaves_the_next_does_not_find",
)


def as_a_user(folder: str) -> None:
    # a view of this machine in which this Python can be read, wherever it is
    view = [find_bwrap.find_bwrap(), "--dev-bind", "/", "/", "--cap-add", "ALL"]
    needed = [Path(sys.base_prefix), Path(sys.prefix)]
    closed = {
        next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None) for path in needed
    }
    for parent in closed - {None}:
        view += ["--tmpfs", str(parent)]
    for path in needed:
        shut = [parent for parent in closed if parent and path.is_relative_to(parent)]
        if shut:
            for parent in reversed(path.parents):
                view += ["--perms", "0755", "--dir", str(parent)] if parent.is_relative_to(shut[0]) else []
            view += ["--ro-bind", str(path), str(path)]
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", "--"]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/t"]
    # what the first process of a nested box gives away differs between root and others
    between = [f"tests/sandbox/test_warm_kernels.py::{name}" for name in BETWEEN_KERNELS]
    done = run(*view, "--", *user, *tests, "tests/sandbox/test_box.py", *between, folder=ROOT, HOME=folder)
    assert done.returncode == 0, done.stdout[-3000:]
