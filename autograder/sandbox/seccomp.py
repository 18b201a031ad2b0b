"""A filter of system calls for the box, as bubblewrap takes it: classic BPF, from a short deny list.

Namespaces hide files, processes and the network. What they leave is denied here: memory that no
limit sees (memfd, System V shared memory), new namespaces and mounts, other processes' memory,
kernel facilities without a name in a file system, and socket families that a network namespace
does not confine. The numbers are those of Linux's tables for x86_64 and aarch64.
"""

import errno
import os
import platform
import struct

from autograder.base.errors import KitError

#: Denied with EPERM: name to its number on x86_64 and on aarch64, None where it does not exist.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "open_by_handle_at": (304, 265),
    "syslog": (103, 116),
    "acct": (163, 89),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "fanotify_init": (300, 262),
}
#: What Linux calls a machine: the column above, AUDIT_ARCH, and the numbers of clone and socket.
MACHINES = {"x86_64": (0, 0xC000003E, 56, 41), "aarch64": (1, 0xC00000B7, 220, 198)}
#: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK.
SOCKET_FAMILIES = (1, 2, 10, 16)
CLONE3 = 435
#: The CLONE_NEW… flags of clone.
NEW_NAMESPACES = 0x7E020000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = (0x50000 | number for number in (errno.EPERM, errno.ENOSYS))


_PR_SET_SECCOMP, _FILTER, _STEP = 22, 2, 8


class UnknownMachine(KitError):
    """Raised where the kit has no filter for the processor."""


def filter_program() -> bytes:
    """The filter for this machine, as an array of ``struct sock_filter``. Raises UnknownMachine."""
    if platform.machine() not in MACHINES:
        known = " and ".join(MACHINES)
        raise UnknownMachine(f"there is no filter for {platform.machine()}, only for {known}")
    column, architecture, clone, socket = MACHINES[platform.machine()]
    program = [_step(_LOAD, _ARCHITECTURE), *_unless(_EQUAL, architecture, _KILL), _step(_LOAD, _NUMBER)]
    if column == 0:
        program += _if(_AT_LEAST, 0x40000000, _KILL)  # the x32 calls
    program += _if(_EQUAL, CLONE3, _ENOSYS)  # its flags are out of reach; libc falls back to clone
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            program += _if(_EQUAL, number, _EPERM)
    families = [_step(_LOAD, _FIRST_ARGUMENT)]
    families += [
        _step(_EQUAL, family, len(SOCKET_FAMILIES) - index) for index, family in enumerate(SOCKET_FAMILIES)
    ]
    families += [_step(_RETURN, _EPERM), _step(_RETURN, _ALLOW)]
    program += [_step(_EQUAL, socket, 0, len(families)), *families]
    program += [
        _step(_EQUAL, clone, 0, 3),
        _step(_LOAD, _FIRST_ARGUMENT),
        *_if(_ANY_BIT, NEW_NAMESPACES, _EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def open_filter() -> int:
    """A file descriptor from which bubblewrap reads the filter once; the caller closes it."""
    readable, writable = os.pipe()
    with os.fdopen(writable, "wb") as pipe:
        pipe.write(filter_program())
    os.set_inheritable(readable, True)
    return readable


def install() -> None:
    """Put the filter on this process for good. It must have given up the way to privileges before.

    Raises OSError.
    """
    import ctypes

    program = filter_program()
    steps = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many steps there are, and where
    header = struct.pack("HL", len(program) // _STEP, ctypes.addressof(steps))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _FILTER, header, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _if(test: int, value: int, result: int) -> list[bytes]:
    return [_step(test, value, 0, 1), _step(_RETURN, result)]


def _unless(test: int, value: int, result: int) -> list[bytes]:
    return [_step(test, value, 1, 0), _step(_RETURN, result)]
