"""The files that pods write their output to, opened by the holder and kept from growing without bound.

Writers append, so a file may be cut under their hands: what is older moves to NAME.1, the file starts anew.
"""

import asyncio
import os
from pathlib import Path

from meshwright.processes.journal import log
from meshwright.processes.logtimes import LogClock
from meshwright.processes.messages import BadRequest

LARGEST_FILE = 64 << 20
_KEPT = 16 << 20
_ROUND_SECONDS = 10.0


class Outputs:
    """Every output file that is in use or was."""

    def __init__(self, largest: int = LARGEST_FILE, kept: int = _KEPT) -> None:
        self._largest = largest
        self._kept = kept
        self._paths: set[Path] = set()
        self._clock = LogClock()

    def open(self, name: str, owner: int | None = None) -> int:
        """A descriptor to append to; the caller closes it. BadRequest when the file cannot be written.

        The process that writes to it owns it (`owner`, a uid): programs open /dev/stdout once more, by name. We read
        it by our group.
        """
        path = Path(name)
        if not path.is_absolute():
            raise BadRequest("output needs an absolute path")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            if owner is not None:
                os.fchown(descriptor, owner, -1)
                os.fchmod(descriptor, 0o640)
        except OSError as error:
            raise BadRequest(f"output {name}: {error.strerror}") from None
        self._paths.add(path)
        return descriptor

    def begin(self, name: str, size: int) -> None:
        """A program that writes to this file, opened before when it had this size, has started."""
        try:
            self._clock.begin(Path(name), size)
        except OSError as error:
            log("the times of an output file are not kept", path=name, why=error)

    async def keep_small(self) -> None:
        """Look at the sizes for ever."""
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            self.cut_large()

    def cut_large(self) -> None:
        """Cut every file that has grown too large; a few lines written meanwhile may be lost."""
        for path in sorted(self._paths):
            try:
                size = path.stat().st_size
                if size > self._largest:
                    self._cut(path, size)
            except FileNotFoundError:
                self._paths.discard(path)
            except OSError as error:
                log("an output file could not be cut", path=path, why=error)

    def _cut(self, path: Path, size: int) -> None:
        with path.open("r+b") as file:
            file.seek(size - self._kept)
            older = path.with_name(path.name + ".1")
            older.write_bytes(file.read(self._kept))
            older.chmod(0o600)
            file.truncate(0)
        log("an output file was cut", path=path, bytes=size)
