"""Entering a sandbox: namespaces of our own and a first process in them.

`start` is a fork: it returns in the calling process with the pid of the new sandbox's process 1, and once more in
that process. When process 1 ends, for whatever reason, the kernel ends every process in the sandbox, and with the
last of them the network namespaces, interfaces, rules and mounts are gone: nothing is left to sweep.

The calling process is spent afterwards (it sits half in the new namespaces) and should exit.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from meshwright.processes import mounts, syscalls
from meshwright.processes.identities import SubordinateRanges

Rung = Literal["root", "user", "loopback"]
RUNGS: tuple[Rung, ...] = ("root", "user", "loopback")

NETNS_FOLDER = Path("/run/netns")
POD_FILES = Path("/run/meshwright-pods")
# Where a proxy finds its pod's folder, whatever the data directory is called: short enough for socket addresses.
INSIDE = Path("/run/meshwright")

_NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
)


def start(rung: Rung, ranges: SubordinateRanges | None, keep: Sequence[Path] = ()) -> int:
    """Fork process 1 of a new sandbox; its pid in the caller, 0 in process 1.

    `ranges` maps several uids in the rung `user` (None: only the caller's); `keep` are folders that must stay
    reachable though they may be below /run, which the sandbox replaces. OSError when the kernel refuses.
    """
    if rung == "user":
        _enter_user_namespace(ranges)
    if rung != "loopback":
        syscalls.unshare(_NAMESPACES)
    pid = os.fork()
    if pid == 0 and rung != "loopback":
        _furnish(keep)
    return pid


def _furnish(keep: Sequence[Path]) -> None:
    """The mounts of process 1: nothing reaches the host, /run and /proc are the sandbox's own.

    What the host unmounts goes here too, or a mesh would keep its disks busy.
    """
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    view = mounts.View(
        masks=(mounts.Mask(Path("/run"), 0o755),),
        binds=tuple(mounts.Bind(path, path) for path in keep if path.is_relative_to("/run")),
    )
    mounts.apply(view)
    for folder in (NETNS_FOLDER, POD_FILES, INSIDE):
        folder.mkdir(mode=0o755, exist_ok=True)
    mounts.mount_proc(hide_others=False)


def _enter_user_namespace(ranges: SubordinateRanges | None) -> None:
    if ranges is None:
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
        return
    begin, go = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(go)
        os._exit(_write_maps(begin, os.getppid(), ranges))
    os.close(begin)
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    os.write(go, b".")
    os.close(go)
    _, status = os.waitpid(helper, 0)
    if status != 0:
        raise PermissionError("newuidmap or newgidmap refused the ranges of /etc/subuid and /etc/subgid")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _write_maps(begin: int, target: int, ranges: SubordinateRanges) -> int:
    """In the helper, still outside: give `target` its maps once it is in its user namespace; an exit status."""
    if os.read(begin, 1) != b".":
        return 1
    uids = [0, os.geteuid(), 1, 1, ranges.first_uid, ranges.uids]
    gids = [0, os.getegid(), 1, 1, ranges.first_gid, ranges.gids]
    for tool, numbers in (("newuidmap", uids), ("newgidmap", gids)):
        command = [tool, str(target), *map(str, numbers)]
        try:
            finished = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
        except OSError:
            return 1
        if finished.returncode != 0:
            return 1
    return 0
