"""Unix sockets with paths of any length.

A socket address holds 107 bytes. A longer path is reached through the descriptor of its folder, by the short name
/proc/self/fd/N/NAME that the kernel resolves to the same file.
"""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 107


@contextmanager
def short_name(path: str | os.PathLike[str]) -> Generator[str]:
    """A name of `path` that fits into a socket address, valid inside the `with` block."""
    full = os.fspath(path)
    if len(os.fsencode(full)) <= _LONGEST:
        yield full
        return
    parent, name = os.path.split(full)
    folder = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def listen(path: Path, mode: int = 0o600, backlog: int = 64) -> socket.socket:
    """A listening, non-blocking stream socket at `path`; a stale file there is replaced."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            server.bind(name)
        path.chmod(mode)
        server.listen(backlog)
        server.settimeout(0.0)
    except BaseException:
        server.close()
        raise
    return server


def connect(path: str | os.PathLike[str]) -> socket.socket:
    """A connected, non-blocking stream socket; OSError when nobody listens there.

    Connecting a unix socket does not wait for the other side, only for room in its queue.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            client.settimeout(5)
            client.connect(name)
        client.settimeout(0.0)
    except BaseException:
        client.close()
        raise
    return client
