"""Who may speak for a proxy on its xDS socket: processes in the network namespace of its pod, and nobody else."""

import fcntl
import os
import socket
from pathlib import Path

from meshwright.processes import procfs
from meshwright.xds.peer import Peer

_SIOCGSKNS = 0x894C  # the network namespace that a socket belongs to, as a descriptor


def namespace_of_socket(endpoint: socket.socket) -> int | None:
    """The inode of the network namespace that a socket belongs to; None when the kernel does not tell us."""
    try:
        descriptor = fcntl.ioctl(endpoint.fileno(), _SIOCGSKNS)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def namespace_of_process(pid: int) -> int | None:
    """The inode of a process's network namespace; None when it has ended or may not be looked at."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def is_in_namespace(peer: Peer, namespace: int) -> bool:
    """Whether the peer of a connection is in this network namespace."""
    inode = namespace_of_process(peer.pid)
    # The number of a process that has ended may belong to another one by now; the pidfd still means the first.
    same = peer.pidfd is None or procfs.pid_of_pidfd(peer.pidfd) == peer.pid
    return same and inode == namespace
