"""Who is at the other end of a unix socket, and sockets that only the right one can open."""

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

SO_PEERPIDFD = 77  # Linux 6.5; Python 3.11 has no name for it
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as the kernel knows it.

    `pidfd` refers to that very process, also when its number is used again; None before Linux 6.5. It is closed
    when the check is over.
    """

    pid: int
    uid: int
    gid: int
    pidfd: int | None = None


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connected unix socket; close its `pidfd` when done."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        pidfd = struct.unpack("i", connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0]
    except OSError:
        pidfd = None
    return Peer(pid, uid, gid, pidfd)


def listening_socket(path: Path, mode: int, uid: int = -1, gid: int = -1) -> socket.socket:
    """A listening unix socket at `path` with exactly these rights from its first moment on.

    It is bound under another name and then renamed, so an old socket file is replaced without a gap.
    `uid` and `gid` -1 leave the owner as it is. Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Through the folder's descriptor, so that the temporary name cannot be too long for a socket address.
        temporary = Path(f"/proc/self/fd/{folder}") / f".{os.getpid()}-{listener.fileno()}"
        temporary.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), mode)  # Linux gives the file the mode of the socket
        listener.bind(str(temporary))
        temporary.chmod(mode)
        os.chown(temporary, uid, gid)
        listener.listen(128)
        temporary.rename(path)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
