"""The last state of a node on disk, so that its proxies and pods come back with the control plane down.

One file, `<folder>/state` (0600, folder 0700), replaced in one step. A damaged file counts as none.
"""

import logging
import os
import threading
from hashlib import blake2b
from pathlib import Path

LOG = logging.getLogger(__name__)
MAGIC = b"meshwright node cache 1\n"
DIGEST_BYTES = 32


class Cache:
    """Reads once, writes often; both block. `write` may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "state"
        self._lock = threading.Lock()
        self._written = 0

    def read(self) -> bytes | None:
        """What was written last; None when there is nothing that can be trusted."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            LOG.warning("the node's cache cannot be read: %s", error)
            return None
        head, data = content[: len(MAGIC) + DIGEST_BYTES], content[len(MAGIC) + DIGEST_BYTES :]
        if head != MAGIC + _digest(data):
            LOG.warning("%s is damaged and not used", self._path)
            return None
        return data

    def write(self, data: bytes, number: int) -> None:
        """Replace the file, unless a state of a higher number is there; survives a crash at any moment.

        Raises OSError.
        """
        with self._lock:
            if number > self._written:
                self._replace(data)
                self._written = number

    def _replace(self, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        temporary = self._folder / f".state.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(MAGIC + _digest(data))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
