"""Whether this machine can make a box that really isolates, and what to do where it cannot."""

import shlex
import subprocess
import sys
from pathlib import Path

import autograder
from autograder.sandbox import mounts
from autograder.sandbox.box import BoxFailed, OwnBox
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.limits import Limits
from autograder.sandbox.seccomp import UnknownMachine

#: Run in a box: says BOX-OK when it sees nothing of this machine, and can talk to itself.
PROBE = """
import os, socket, sys
sys.excepthook = lambda kind, error, trace: open(str(error).replace("/", "the root folder"), "w").close()
assert not os.path.exists({kit!r}), "it sees the grader's files"
assert os.getuid() != 0, "it is root"
assert [name for _, name in socket.if_nameindex()] == ["lo"], "it has a network"
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname())
assert not os.access("/", os.W_OK), "it can write to /"
assert not os.access("/proc/sys/kernel/core_pattern", os.W_OK), "it can change the kernel's settings"
try:
    os.memfd_create("x")
except PermissionError:
    open("BOX-OK", "w").close()
"""
APPARMOR = (
    "Ubuntu since 23.10 forbids user namespaces by AppArmor: run "
    "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give bwrap a profile"
)
#: What bubblewrap says, and what helps.
REMEDIES = {
    "setting up uid map": APPARMOR,
    "RTM_NEWADDR": APPARMOR,
    "No space left": "the limit user.max_user_namespaces is 0 or used up: raise it with sysctl",
    "Creating new namespace failed": "user namespaces are off: set kernel.unprivileged_userns_clone=1 "
    "and user.max_user_namespaces, or run outside of this container",
    "No permissions to create": "user namespaces are off: set kernel.unprivileged_userns_clone=1, or run "
    "outside of this container",
    "Can't mount proc": "/proc is partly covered, as in a container: run outside of it",
    "Operation not permitted": "a container or a security profile forbids namespaces: run outside of it",
}
UNKNOWN = (
    "Expected a box that starts: try it in a virtual machine with a plain Debian or Ubuntu, and if it fails "
    "there, report this text"
)
PATIENCE = 20


def check_sandbox() -> None:
    """Make a box and look out of it. Raises NoSandbox, with what to do, when it does not isolate."""
    _check_readable()
    try:
        _probe()
    except (BoxFailed, UnknownMachine, OSError, subprocess.SubprocessError) as error:
        said = str(error)
        remedies = [remedy for words, remedy in REMEDIES.items() if words in said]
        raise NoSandbox(
            f"The sandbox does not work here: {said}. "
            f"{remedies[0][0].upper() + remedies[0][1:] if remedies else UNKNOWN}."
        ) from error


def _check_readable() -> None:
    """Raise NoSandbox, with the chmod that helps, where the box's user could not read the kit or Python."""
    private = mounts.unreadable()
    if not private:
        return
    roots = [Path(autograder.__path__[0]), Path(sys.prefix), Path(sys.base_prefix)]
    closed = [root for root in roots if any(path.is_relative_to(root) for path in private)]
    raise NoSandbox(
        f"The sandbox does not work here: {private[0]} ({len(private)} files and folders in all) may be read "
        "by its owner only, and what runs in the sandbox is not root; expected files that all may read. "
        f"Run `chmod -R go+rX {shlex.join(str(root) for root in closed)}`."
    )


def _probe() -> None:
    limits = Limits(wall=PATIENCE)
    with OwnBox(limits) as box:
        probe = PROBE.format(kit=str(Path(__file__)))
        with box.running([sys.executable, "-I", "-c", probe], {}) as process:
            process.wait(PATIENCE)
        if "BOX-OK" not in box.names():
            raise BoxFailed(f"a box was made, but what runs in it is not shut in: {', '.join(box.names())}")
