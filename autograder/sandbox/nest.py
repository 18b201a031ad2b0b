"""A box within the box, for one forked child: namespaces, an own folder, no privileges.

The program that forks has every library imported, and is itself in a box without anything of a
submission. A child that is to open something foreign calls :func:`enter` first. From then on it and
whatever it starts see one folder of those in the outer box, no other process, and no network, not even
that of the outer box. Linux only; standard library only.
"""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autograder.sandbox import seccomp
from autograder.sandbox.mounts import PROC, WORK

#: Namespaces of its own: user, mount, network, processes, IPC.
_NAMESPACES = 0x10000000 | 0x00020000 | 0x40000000 | 0x20000000 | 0x08000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_CAPABILITY_VERSION = 0x20080522
_MOST_CAPABILITIES = 64
#: Files and folders in a folder in memory: each takes the machine's memory that no process holds.
_MOST_FILES = 50_000

_libc = ctypes.CDLL(None, use_errno=True)


def enter(
    shown: Mapping[str, str],
    hidden: Mapping[str, int],
    kept: Sequence[Path],
    limits: Mapping[str, int | tuple[int, int]],
    tell: Callable[[int], object] = int,
) -> None:
    """Go on in a nested box, in a forked process that is the first in it.

    ``shown`` maps folders of the outer box to where they are in the nested one; ``hidden`` maps folders to
    the bytes of the empty one in memory that takes each one's place (0: nobody can write there), but for the
    paths ``kept`` in them;
    ``limits`` are resource limits by their names without ``RLIMIT_``, or soft and hard ones. The process that
    called waits for the one that goes on, whose number in the outer box it gives to ``tell``, and ends with
    its status; when it is killed, so is everything in the nested box. Raises OSError where the system does
    not allow it.
    """
    _ok(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")  # else its own files in /proc are root's
    user, group = os.getuid(), os.getgid()
    _ok(_libc.unshare(_NAMESPACES), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _ok(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    first = os.fork()
    if first:
        tell(first)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF)
    _ok(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    for source, target in shown.items():
        _mount(source, target, None, _MS_BIND)
    covered = [path for path in kept if any(path.is_relative_to(folder) for folder in hidden)]
    opened = {path: os.open(path, os.O_PATH) for path in covered if not path.is_symlink()}
    links = {path: path.readlink() for path in covered if path.is_symlink()}
    for folder, size in hidden.items():
        if size:
            options = f"size={size},nr_inodes={_MOST_FILES},mode=1777"
            _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
        else:
            _cover(folder)
    for path, descriptor in opened.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if stat.S_ISDIR(os.fstat(descriptor).st_mode) else path.touch()
        _mount(f"/proc/self/fd/{descriptor}", str(path), None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    for path, leads_to in links.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(leads_to)
    _mount_proc()
    # that of the outer box is everybody's in it
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.chdir("/")  # the working folder still is the outer box's, under the one that hides it
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP_AND_RUNNING))
    for name, value in limits.items():
        both = value if isinstance(value, tuple) else (value, value)
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), both)
    _drop_privileges()


def _mount_proc() -> None:
    """A /proc of its own; read-only where the only uncovered one in sight is; else none at all."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    try:
        _mount("proc", "/proc", "proc", flags)
    except OSError:
        try:
            _mount("proc", "/proc", "proc", flags | _MS_RDONLY)
        except OSError:
            _cover("/proc")
    if Path(PROC).is_dir():
        _cover(str(PROC))


def _cover(folder: str) -> None:
    """Put an empty folder in the place of another, to which nobody can write."""
    _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_RDONLY, "size=4096,nr_inodes=2,mode=0555")


def make_private() -> None:
    """Let no other process of this user look into this one or read its files in /proc, work in no folder, and
    take nothing for a library that lies in the one where it began.
    """
    _ok(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")
    os.chdir("/")
    sys.path[:] = [path for path in sys.path if path not in ("", str(WORK))]


def _drop_privileges() -> None:
    _ok(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    for capability in range(_MOST_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    _ok(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    seccomp.install()


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [text.encode() if text else None for text in (source, target, kind)]
    _ok(_libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None), f"mount {target}")


def _ok(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
