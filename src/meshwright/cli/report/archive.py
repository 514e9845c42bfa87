"""One tar.gz with everything of a report in one folder; bounded, readable by its owner alone, whole or not there."""

import io
import os
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

MOST_BYTES = 512 * 1024 * 1024
"""Of all files together before they are packed; a bigger one is sent to nobody."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One file of the archive: its path below the report's folder, its size, and what it is."""

    path: str
    size: int
    about: str


class Archive:
    """`add` files, then `finish`; without that, nothing is left behind. OSError where the disk refuses."""

    def __init__(self, target: Path, most: int = MOST_BYTES) -> None:
        self.target = target
        self.files: list[Packed] = []
        self.left_out: list[str] = []
        self._room = most
        self._folder = target.name.removesuffix(".tgz").removesuffix(".tar.gz")
        self._part = target.with_name(f".{target.name}.part")
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=6)  # noqa: SIM115 - closed in finish

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, path: str, content: str, about: str) -> None:
        """One file; where there is no room for it, its name is noted instead."""
        data = content.encode("utf-8", "replace")
        if len(data) > self._room:
            self.left_out.append(path)
            return
        self._room -= len(data)
        self._write(path, data)
        self.files.append(Packed(path, len(data), about))

    def _write(self, path: str, data: bytes) -> None:
        info = tarfile.TarInfo(f"{self._folder}/{path}")
        info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
        self._tar.addfile(info, io.BytesIO(data))

    def finish(self, covers: dict[str, str]) -> int:
        """Add what says what is inside, however big the rest is, and put the archive in place; its size in bytes."""
        for path, text in covers.items():
            self._write(path, text.encode("utf-8", "replace"))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        size = self._part.stat().st_size
        self._part.replace(self.target)
        return size
