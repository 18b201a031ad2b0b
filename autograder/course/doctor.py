"""Whether this machine is ready for the kit, and how to mend what is not."""

import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import platformdirs
from packaging.requirements import Requirement
from rich.console import Group
from rich.table import Table
from rich.text import Text

from autograder.base.addresses import without_password
from autograder.base.startup import NO_PROXY, THIS_MACHINE, found_no_proxy, names_this_machine, without_proxy
from autograder.base.text import plain, size
from autograder.sandbox.find_bwrap import NoSandbox, find_bwrap
from autograder.sandbox.probe import check_sandbox
from autograder.workspace.prepared import kept_store

PACKAGE = "mlflow-teaching-kit"
#: Free space that a batch is comfortable with, in bytes.
ENOUGH_SPACE = 2 << 30
#: A socket's path has at most 107 bytes; below the temporary folder the kit needs about this many.
LONGEST_SOCKET, OF_THE_KIT = 107, 45


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. ``mend`` says what to do when it is not well.

    What is ``optional`` fails nothing.
    """

    what: str
    well: bool
    found: str
    mend: str = ""
    optional: bool = False


def examine() -> list[Row]:
    """Look at everything. Takes a few seconds; makes the prepared store when there is none."""
    return [
        _python(),
        *_packages(),
        _sandbox(),
        _loopback(),
        _proxy(),
        _temporary_folder(),
        *(_space(name, path) for name, path in _folders().items()),
        _prepared_store(),
        _alembic(),
        _browser(),
    ]


def ready(rows: list[Row]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(row.well or row.optional for row in rows)


def doctor_table(rows: list[Row]) -> Group:
    """The rows for a terminal, then what to do."""
    table = Table(title="Is this machine ready?", title_justify="left")
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        symbol, colour = ("✔", "green") if row.well else ("–", "dim") if row.optional else ("✘", "red")
        table.add_row(Text(symbol, colour), row.what, Text(plain(row.found)))
    mends = [Text(f"{row.what}: {plain(row.mend)}") for row in rows if row.mend and not row.well]
    verdict = "This machine is ready." if ready(rows) else "This machine is not ready: mend what has a ✘."
    return Group(table, *mends, Text(verdict, "bold"))


def _python() -> Row:
    wanted = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
    version = platform.python_version()
    well = Requirement(f"python{wanted}").specifier.contains(version)
    return Row("Python", well, version, f"Make the virtual environment with Python {wanted}.")


def _packages() -> list[Row]:
    """A row for each package that the kit holds to one release. What is not there of an extra is optional."""
    rows = []
    for line in importlib.metadata.requires(PACKAGE) or []:
        wanted = Requirement(line)
        if not any(part.operator == "==" for part in wanted.specifier):
            continue
        optional = wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        well = version is not None and wanted.specifier.contains(version)
        mend = f"`pip install '{wanted.name}{wanted.specifier}'`, or all from requirements.lock."
        found = version or "not installed"
        rows.append(Row(wanted.name, well, found, mend, optional=optional and version is None))
    return rows


def _grades() -> bool:
    """Whether the kit is installed for grading; students need neither a sandbox nor nbgrader."""
    return importlib.util.find_spec("nbgrader") is not None


def _sandbox() -> Row:
    try:
        program = find_bwrap()
        check_sandbox()
    except NoSandbox as error:
        return Row("sandbox", False, "submissions cannot be shut in", str(error), optional=not _grades())
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return Row("sandbox", True, f"{said.strip()}, {program}")


def _loopback() -> Row:
    mend = "Allow programs to talk to 127.0.0.1: a firewall, a proxy or a security profile forbids it."
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
            return Row("ports of 127.0.0.1", True, "open")
    except OSError as error:
        return Row("ports of 127.0.0.1", False, str(error), mend)


def _proxy() -> Row:
    """Whether a proxy would get what a program that was started beside the kit sends to this machine."""
    what, proxies = "proxy", getproxies()
    proxy = proxies.get("http") or proxies.get("all")
    if not proxy:
        return Row(what, True, "none is set")
    found = f"{without_password(proxy)}, 127.0.0.1 is "
    if not getproxies_environment():
        well = bool(proxy_bypass(THIS_MACHINE[0]))
        mend = f"Add {' and '.join(THIS_MACHINE)} to the exceptions in the system's proxy settings."
        return Row(what, well, found + ("exempt" if well else "not exempt"), mend)
    shell = {name: said for name in NO_PROXY if (said := found_no_proxy.get(name, os.environ.get(name, "")))}
    # programs read one or the other, so each that is set must name this machine
    well = bool(shell) and all(names_this_machine(said) for said in shell.values())
    put = "setx {} {}" if sys.platform == "win32" else "export {}={}"
    commands = [put.format(name, shlex.quote(value)) for name, value in without_proxy(shell).items()]
    mend = (
        "The kit's own commands and notebooks keep what is sent to this machine from it; your curl and your "
        "scripts would send it the token. In this shell, run "
        f"{' and '.join(f'`{command}`' for command in commands)}."
    )
    return Row(what, well, found + ("exempt" if well else "not exempt in this shell"), mend)


def _folders() -> dict[str, Path]:
    cache = platformdirs.user_cache_path(PACKAGE)
    return {"temporary folder": Path(tempfile.gettempdir()), "cache": cache}


def _temporary_folder() -> Row:
    length = len(os.fsencode(tempfile.gettempdir()))
    longest = LONGEST_SOCKET - OF_THE_KIT
    mend = f"Set TMPDIR to a folder whose path has at most {longest} bytes, such as /tmp."
    well = length <= longest or sys.platform == "win32"  # where kernels are reached by ports
    return Row("path of temporary files", well, f"{length} bytes, at most {longest} are good", mend)


def _space(name: str, path: Path) -> Row:
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    mend = f"Free {size(ENOUGH_SPACE)} on the disk of {there}, or set TMPDIR or XDG_CACHE_HOME to another."
    return Row(f"space, {name}", free >= ENOUGH_SPACE, f"{size(free)} free in {there}", mend)


def _prepared_store() -> Row:
    try:
        return Row("prepared store", True, str(kept_store()))
    except (OSError, subprocess.SubprocessError) as error:
        mend = "Make the cache folder writable, or set XDG_CACHE_HOME to another; without it all is slower."
        return Row("prepared store", False, str(error), mend)


def _alembic() -> Row:
    path = shutil.which("alembic")
    mend = f"Put {Path(sys.executable).parent} on PATH: activate the virtual environment."
    found = path or "not on PATH"
    return Row("alembic, for nbgrader", path is not None, found, mend, optional=not _grades())


def _browser() -> Row:
    path = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    mend = "Only the kit's own tests and pictures need it: `apt install chromium`."
    found = str(path) if path.exists() else "not found"
    return Row("browser", path.exists(), found, mend, optional=True)
