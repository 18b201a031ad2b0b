"""The box: a bubblewrap sandbox in which foreign code sees nothing of this machine but its own folder.

In the box there are Python and its libraries (read-only), the parts of the kit that a notebook
imports, a private /proc, /dev and /tmp, an empty home, its own loopback and no other network, and a
working folder in memory. There is no course, no other submission, no environment of the
instructor's. Linux only; works for root and, through user namespaces, for everybody.
"""

import contextlib
import json
import os
import random
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Self

from autograder.base.errors import KitError
from autograder.base.text import plain
from autograder.sandbox import harvest, mounts, seccomp
from autograder.sandbox.find_bwrap import find_bwrap
from autograder.sandbox.limits import Limits
from autograder.sandbox.mounts import INCOMING, NOTEBOOK_PARTS, PROC, SHOWN, SOCKETS, WORK
from autograder.sandbox.watch import Watchdog

#: Seconds until a box that does not start is given up.
PATIENCE = 30
#: As root, the box's processes belong to a user id from here up that no account has.
FIRST_FREE_UID = 1 << 20

#: Where processes in a box may write: its working folder, that of its sockets, and others.
FOLDERS = [path.relative_to("/") for path in (WORK, SOCKETS, *map(PurePosixPath, mounts.SCRATCH))]


def copy_readable(folder: Path, target: Path) -> None:
    """Copy a folder so that the box's user can read it; links stay links."""
    shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():  # whose files they are in the box decides nothing
            path.chmod(0o755 if path.is_dir() else 0o644)


class BoxFailed(KitError):
    """Raised when a box could not be started; the message is bubblewrap's."""


class Box:
    """A box that runs, however it was made: it is watched, ended, and what it left is copied out.

    Use it as a context manager. ``end`` kills everything in it; ``copy_out`` brings home what it left.
    ``why`` says which limit ended the box, if one did.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.why: str | None = None
        self._pidfd = -1
        self._work = -1
        #: The open folder of the box's sockets: ``/proc/self/fd/NUMBER/name`` is a socket in it.
        self.sockets = -1
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def watch(self, first: int) -> None:
        """Look after the box whose first process is ``first`` here. Nothing foreign runs in it yet."""
        if self._pidfd < 0:
            self._pidfd = os.pidfd_open(first)
        root = Path(f"/proc/{first}/root")
        folders: list[int] = []
        try:
            # an open folder outlives the box: it can be read when every process in it is dead
            for name in FOLDERS:
                folders.append(os.open(root / name, os.O_RDONLY | os.O_DIRECTORY))
        except OSError:
            _close(*folders, self._pidfd)
            self._pidfd = -1
            raise
        self._work, self.sockets, *_ = folders
        self._watchdog = Watchdog(first, self.limits, folders, self.end)
        self._watchdog.start()

    def end(self, why: str | None = None) -> None:
        """Kill everything in the box, and wait until it is dead; ``why`` is kept when nothing is yet."""
        self.why = self.why or why
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self.ended(PATIENCE)

    def ended(self, seconds: float) -> bool:
        """Whether the box's first process, and with it every other, is dead within ``seconds``."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def copy_out(self, target: Path) -> list[str]:
        """End the box and copy what is in its working folder into ``target``; says what was refused."""
        self.end()
        return harvest.copy_out(self._work, target, self.limits) if self._work >= 0 else []

    def read(self, name: str, most: int) -> bytes | None:
        """A file of the working folder; None where it is missing, no file, or larger than ``most`` bytes."""
        try:
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._work)
        except OSError:
            return None
        with os.fdopen(source, "rb") as file:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                return None
            content = file.read(most + 1)
        return content if len(content) <= most else None

    def names(self) -> list[str]:
        """The names in the working folder."""
        with os.scandir(self._work) as entries:
            return [entry.name for entry in entries]

    def close(self) -> None:
        """End the box and give everything back; again, does nothing."""
        self.end()
        if self._watchdog:
            self._watchdog.stop()
            self._watchdog = None
        _close(self._pidfd, self._work, self.sockets)
        self._pidfd = self._work = self.sockets = -1


class OwnBox(Box):
    """A box that bubblewrap makes, for one process and what it starts; with ``nested`` it may make boxes
    within this one.

    ``command`` gives the command line to start, with ``pass_fds`` and with ``stdin`` as its standard
    input; ``started`` waits until the box is there, lets the program in it begin, and watches it.
    ``running`` does all of it.
    """

    def __init__(self, limits: Limits, nested: bool = False) -> None:
        super().__init__(limits)
        self.nested = nested
        self.folder = Path(tempfile.mkdtemp(prefix="kit-"))
        self.incoming = self.folder / "in"
        for path in (self.incoming, self.folder / "etc"):
            path.mkdir()
            path.chmod(0o755)  # whatever the umask: the box's user is another
        self._uid = random.randrange(FIRST_FREE_UID, 2 * FIRST_FREE_UID) if os.geteuid() == 0 else None
        self._filter = seccomp.open_filter()
        self._status, self._status_writable = os.pipe()
        os.set_inheritable(self._status_writable, True)
        self.stdin, self._go = os.pipe()
        # nobody reads what is said until something is wrong; whoever says more than fits has to wait
        self._log, self.log = os.pipe()
        os.set_blocking(self._log, False)
        self.pass_fds: tuple[int, ...] = (self._filter, self._status_writable)
        #: The first process in the box, by its number here.
        self.first = -1

    def bring(self, folder: Path) -> None:
        """Copy the files of ``folder`` into the working folder that the box starts with."""
        copy_readable(folder, self.incoming)

    def command(
        self,
        inner: Sequence[str],
        environment: Mapping[str, str],
        parts: Sequence[str] = NOTEBOOK_PARTS,
        readable: Mapping[Path, PurePosixPath] | None = None,
    ) -> list[str]:
        """The command line that runs ``inner`` in the box, in a copy of the folder ``incoming``.

        Of the kit only ``parts`` are there. ``readable`` are further files and folders, to where they
        are in the box.
        """
        uid = self._uid or 1000
        accounts = {
            "passwd": f"student:x:{uid}:{uid}::/home/student:/bin/sh\n",
            "group": f"student:x:{uid}:\n",
            "hosts": "127.0.0.1 localhost box\n::1 localhost\n",
        }
        for name, text in accounts.items():
            path = self.folder / "etc" / name
            path.write_text(text)
            path.chmod(0o644)
        arguments = [*mounts.namespaces(self._uid, self.nested), *mounts.system(), *mounts.python()]
        for name in accounts:
            arguments += ["--ro-bind", str(self.folder / "etc" / name), f"/etc/{name}"]
        arguments += mounts.kit(parts)
        for source, target in (readable or {}).items():
            if self._uid:
                os.chown(source, self._uid, self._uid)
            arguments += [*mounts.parents(target), "--ro-bind", str(source), str(target)]
        arguments += mounts.tmpfs(str(SOCKETS), mounts.SOCKETS_SIZE)
        arguments += ["--ro-bind", str(self.incoming), str(INCOMING), "--dir", str(SHOWN)]
        if self.nested and self._uid:
            arguments += ["--ro-bind", "/proc", str(PROC)]
        arguments += mounts.tmpfs(str(WORK), self.limits.disk)
        for name, value in {**environment, **mounts.environment()}.items():
            arguments += ["--setenv", name, value]
        if not self.nested:  # each box within this one has the filter
            arguments += ["--seccomp", str(self._filter)]
        arguments += ["--json-status-fd", str(self._status_writable)]
        # both are file systems in memory without a limit
        arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(WORK), "--"]
        # what bubblewrap says goes to the log; what the program says, into its own notebook or nowhere
        gate = f'cp -r {INCOMING}/. . && : >/tmp/.ready && read -r go && exec "$@" </dev/null >/dev/null 2>&1'
        start = ["/bin/sh", "-c", gate, "sh"]
        return [find_bwrap(), *arguments, *mounts.as_nobody(self._uid), *self._limited(), *start, *inner]

    def _limited(self) -> list[str]:
        limits = self.limits.of_a_process().items()
        return [
            "/usr/bin/prlimit",
            *(f"--{name.lower()}={soft}:{hard}" for name, (soft, hard) in limits),
            "--",
        ]

    def started(self) -> None:
        """Wait until the process in the box runs, and watch it from then on. Raises BoxFailed."""
        os.close(self._status_writable)
        os.close(self._filter)
        os.close(self.stdin)
        os.close(self.log)
        self.stdin = self.log = -1
        self.pass_fds = ()
        with os.fdopen(self._status, "rb", closefd=False) as status:
            line = status.readline()
        if not line:
            raise BoxFailed(f"bubblewrap could not make the box: {self.said()}")
        self.first = json.loads(line)["child-pid"]
        self._pidfd = os.pidfd_open(self.first)
        ready = Path(f"/proc/{self.first}/root/tmp/.ready")
        end = time.monotonic() + PATIENCE
        while not ready.exists():
            if self.ended(0.005) or time.monotonic() > end:
                raise BoxFailed(f"the box ended before its program ran: {self.said()}")
        self.watch(self.first)
        os.write(self._go, b"go\n")

    @contextmanager
    def running(
        self, inner: Sequence[str], environment: Mapping[str, str], **more: Any
    ) -> "Iterator[subprocess.Popen[bytes]]":
        """Start ``inner`` in the box (see :meth:`command`); whatever is left of it is killed in the end."""
        with subprocess.Popen(
            self.command(inner, environment, **more),
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            pass_fds=self.pass_fds,
            stdin=self.stdin,
            stdout=self.log,
            stderr=self.log,
        ) as process:
            try:
                self.started()
                yield process
            finally:
                self.end()
                process.kill()

    def said(self) -> str:
        """What bubblewrap said, in one line."""
        try:
            said = os.read(self._log, 10_000).decode(errors="replace")
        except BlockingIOError:
            said = ""
        return plain(" ".join(said.split()))[:500] or "it said nothing"

    def close(self) -> None:
        """End the box and give everything back; again, does nothing."""
        super().close()
        _close(*self.pass_fds, self._status, self.stdin, self._go, self._log, self.log)
        self.pass_fds = ()
        self._status = self.stdin = self._go = self._log = self.log = -1
        shutil.rmtree(self.folder, ignore_errors=True)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
