"""Linux system calls that Python's standard library does not offer, by ctypes.

Every function raises OSError with the call's name when the kernel refuses, so that a message such as
"unshare: Operation not permitted" can be shown to the user as it is.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19

INOTIFY_MODIFY = 0x00000002

CAP_NET_ADMIN = 12

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_MNT_DETACH = 2


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW*) for new ones."""
    _check(_libc().unshare(flags), "unshare")


def setns(namespace: int, kind: int) -> None:
    """Enter the namespace behind the file descriptor `namespace`, which must be of type `kind`."""
    _check(_libc().setns(namespace, kind), "setns")


def inotify_open() -> int:
    """A new inotify descriptor, non-blocking; the caller closes it."""
    return _check(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")


def inotify_add(descriptor: int, path: Path, events: int) -> int:
    """Watch a path for `events` (INOTIFY_*); the watch's number, the same again for the same file."""
    return _check(_libc().inotify_add_watch(descriptor, os.fsencode(path), events), "inotify_add_watch")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount; `kind` is the file system type, None for bind mounts and changes of propagation."""
    result = _libc().mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, f"mount {target}")


def pivot_root(root: Path) -> None:
    """Make the mount at `root` the root of the caller's mount namespace, and let go of the old one."""
    number = {"x86_64": 155}.get(os.uname().machine, 41)
    os.chdir(root)
    _check(_libc().syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    _check(_libc().umount2(b".", _MNT_DETACH), "umount")  # both stand at one place now; the old one is on top
    os.chdir("/")


def set_parent_death_signal(number: int) -> None:
    """Ask for signal `number` when the thread that forked this process ends; a change of uid clears it."""
    _check(_prctl(_PR_SET_PDEATHSIG, number), "prctl PDEATHSIG")


def set_no_new_privileges() -> None:
    """From now on no program file can give this process more rights than it has."""
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl NO_NEW_PRIVS")


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _check(_prctl(_PR_SET_CHILD_SUBREAPER, 1), "prctl CHILD_SUBREAPER")


def _prctl(option: int, second: int = 0, third: int = 0) -> int:
    # Variadic: every argument must be as wide as a register, or the upper half is rubbish.
    wide = [ctypes.c_ulong(value) for value in (second, third, 0, 0)]
    return int(_libc().prctl(option, *wide))


@cache
def last_capability() -> int:
    """The highest capability number this kernel knows."""
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 40


def limit_bounding_set(keep: Iterable[int]) -> None:
    """Drop every capability but `keep` from the bounding set: no later program can gain it."""
    kept = frozenset(keep)
    for number in range(last_capability() + 1):
        if number not in kept and _prctl(_PR_CAPBSET_DROP, number) < 0:
            refused = ctypes.get_errno()
            # An ordinary process without namespaces has nothing to lose here and may not call it.
            if refused != errno.EPERM:
                raise OSError(refused, f"prctl CAPBSET_DROP: {os.strerror(refused)}")


def keep_capabilities_over_setuid() -> None:
    """Let the permitted set survive the change from uid 0 to another uid."""
    _check(_prctl(_PR_SET_KEEPCAPS, 1), "prctl KEEPCAPS")


def set_capabilities(keep: Iterable[int]) -> None:
    """Make permitted, effective, inheritable and ambient sets exactly `keep`."""
    kept = frozenset(keep)
    mask = sum(1 << number for number in kept)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, low, high, high, high)
    _check(_libc().capset(header, data), "capset")
    for number in kept:
        _check(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number), "prctl AMBIENT_RAISE")


def peer_credentials(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of the process at the other end of a unix socket, as this process's namespaces see it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return pid, uid, gid
