"""What the box is made of, as bubblewrap's arguments: what it sees of this machine, and where."""

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import autograder

#: The working folder, in the box.
WORK = PurePosixPath("/sandbox/work")
#: What is brought, read-only, in the box; and the one folder of it that a box within the box has.
INCOMING = PurePosixPath("/sandbox/in")
SHOWN = PurePosixPath("/sandbox/shown")
#: As root: this machine's /proc, in a box that others are nested in. The kernel gives those one of their own
#: only where an uncovered one is in sight, and bubblewrap covers parts of the box's own. They do not have it.
PROC = PurePosixPath("/sandbox/proc")
#: The folder of the kernel's sockets, in the box.
SOCKETS = PurePosixPath("/sandbox/s")
#: Where the kit's own files are, in the box.
KIT = PurePosixPath("/sandbox/kit")
#: The parts of the kit that a notebook needs. Rubrics, grading and reports are not among them.
NOTEBOOK_PARTS = ("__init__.py", "notebook.py", "base", "data", "databricks", "workspace")
#: What of a Python's folder is part of it; a virtual environment may lie in a folder with other things.
OF_PYTHON = ("bin", "lib", "lib64", "include", "share/jupyter", "pyvenv.cfg")
#: Folders of courses that may be below /usr: nbgrader's exchange.
HIDDEN = ("/usr/local/share/nbgrader", "/usr/share/nbgrader")
#: Files of /etc that programs need, besides those the box has of its own.
FROM_ETC = ("ld.so.cache", "localtime", "ssl/certs", "fonts", "alternatives", "mime.types", "nsswitch.conf")
#: Where processes in a box may write, besides the working folder: bytes of each.
SCRATCH = {"/tmp": 256 << 20, "/home/student": 256 << 20, "/dev/shm": 64 << 20}
SOCKETS_SIZE = 1 << 20


def namespaces(uid: int | None, nested: bool = False) -> list[str]:
    """Everything of its own: processes, network, host name; no capability stays.

    With ``nested`` what runs in the box may make boxes within it.
    """
    arguments = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    arguments += ["--hostname", "box"]
    if uid is None:
        own = ["--unshare-user", "--uid", "1000", "--gid", "1000"]
        return [*arguments, *own, *([] if nested else ["--disable-userns"])]
    # no user namespace for root: in it the kernel's uid would stay 0, which no process limit binds
    for capability in ("SETUID", "SETGID", "SETPCAP"):
        arguments += ["--cap-add", f"CAP_{capability}"]
    return arguments


def as_nobody(uid: int | None) -> list[str]:
    """As root: the program and its arguments that make what follows run as the user ``uid``."""
    if uid is None:
        return []
    dropped = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", *dropped, "--"]


def system() -> list[str]:
    """The system's programs and libraries, and empty places to write."""
    arguments = []
    for folder in ("/etc", "/etc/ssl", "/home"):
        arguments += ["--perms", "0755", "--dir", folder]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
    for name in HIDDEN:
        if Path(name).is_dir():
            arguments += ["--size", "4096", "--tmpfs", name, "--remount-ro", name]
    for name in FROM_ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for folder, bytes_ in SCRATCH.items():
        arguments += tmpfs(folder, bytes_)
    return arguments


def tmpfs(path: str, bytes_: int) -> list[str]:
    """A folder in memory of at most ``bytes_``, for everybody."""
    return ["--perms", "1777", "--size", str(bytes_), "--tmpfs", path]


def parents(path: Path | PurePosixPath) -> list[str]:
    """Folders above ``path``, readable: those that bubblewrap makes by itself are not."""
    arguments = []
    for parent in reversed(list(path.parents)[:-1]):
        arguments += ["--perms", "0755", "--dir", str(parent)]
    return arguments


def python() -> list[str]:
    """This Python: its virtual environment and the installation behind it."""
    arguments = []
    for path in parts_of_python():
        if path.is_symlink():
            arguments += [*parents(path), "--symlink", str(path.readlink()), str(path)]
        else:
            arguments += [*parents(path), "--ro-bind", str(path), str(path)]
    return arguments


def parts_of_python() -> list[Path]:
    """Folders, files and links that this Python is made of, wherever they are, besides those in /usr."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]}
    own = [prefix for prefix in sorted(prefixes) if not prefix.is_relative_to("/usr")]
    paths = [prefix / name for prefix in own for name in OF_PYTHON]
    return [path for path in paths if path.is_symlink() or path.exists()]


def kit(parts: Sequence[str]) -> list[str]:
    """The parts of the kit, in KIT; the whole of it is hidden where it is installed in Python's folders."""
    package = Path(autograder.__path__[0])
    arguments = [*parents(KIT / "autograder" / "x")]
    if any(package.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix, "/usr")):
        arguments += ["--size", "4096", "--tmpfs", str(package), "--remount-ro", str(package)]
    for part in parts:
        target = KIT / "autograder" / part
        arguments += [*parents(target), "--ro-bind", str(package / part), str(target)]
    return arguments


def unreadable() -> list[Path]:
    """What the box shows of the kit and of Python, and its user may not read; as root, who is another there.

    So it is where the kit was cloned or installed under a umask of 027 or 077. Of Python's packages the
    folders are looked at, not all that is in them.
    """
    if os.geteuid() != 0:
        return []
    package = Path(autograder.__path__[0])
    shown = [package, *package.rglob("*")]
    for prefix in (Path(sys.prefix), Path(sys.base_prefix)):
        shown += [prefix / "bin", *prefix.glob("lib/python3*/site-packages"), *prefix.glob("pyvenv.cfg")]
        shown += prefix.glob("lib/python3*/site-packages/*")
    return [
        path for path in shown if path.name != "__pycache__" and path.suffix != ".pyc" and _is_private(path)
    ]


def _is_private(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # a link to nothing
        return False
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed != needed


def environment() -> dict[str, str]:
    """Environment variables that name places in the box."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(KIT),
        "HOME": "/home/student",
        "IPYTHONDIR": "/home/student/.ipython",
        "MPLCONFIGDIR": "/home/student/.matplotlib",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        # the working folder is root's, whoever works in it
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
