"""The lines that a proxy writes, one per request, are read as they come, and the file is kept small.

A proxy appends for ever; what was read is taken out of the file (its length goes back to nothing). Whoever falls
behind skips to the newest lines: counters have every request, these lines are for looking at.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

MOST_AT_ONCE = 512 * 1024
"""Bytes of one file that are read in one look: some thousand lines."""
CUT_AT = 4 * 1024 * 1024


class Tail:
    """One proxy's file. `read` gives what came since the last call."""

    def __init__(self, path: Path, most: int = MOST_AT_ONCE, place: str = "") -> None:
        """`most` bytes are read in one look. `place`: where another one stopped, as its `place` says."""
        self.skipped = 0
        self._path = path
        self._most = most
        inode, _, at = place.partition(":")
        known = inode.isdecimal() and at.isdecimal()
        self._inode: int = int(inode) if known else 0
        self._at: int = int(at) if known else 0
        self._rest = b""

    @property
    def place(self) -> str:
        """The file and the place in it up to which all lines were given."""
        return f"{self._inode}:{self._at - len(self._rest)}"

    def keep_small(self) -> None:
        """Cut a file that grows faster than it is read; what was in it is skipped."""
        try:
            size = self._path.lstat().st_size
        except OSError:
            return
        if size > CUT_AT:
            self.skipped += size - self._at
            with contextlib.suppress(OSError):
                os.truncate(self._path, 0)
            self._at = 0
            self._rest = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """The new records; lines that are no JSON object are left out."""
        for line in self._lines():
            try:
                value: object = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield cast("dict[str, Any]", value)

    def _lines(self) -> list[bytes]:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return []
        try:
            return self._read(file)
        finally:
            os.close(file)

    def _read(self, file: int) -> list[bytes]:
        status = os.fstat(file)
        if status.st_ino != self._inode or status.st_size < self._at:
            self._inode = status.st_ino
            self._at, self._rest = 0, b""
        behind = status.st_size - self._at
        if behind > self._most:
            self.skipped += behind - self._most
            self._at, self._rest = status.st_size - self._most, b""
        piece = os.pread(file, self._most, self._at)
        self._at += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if self._at >= CUT_AT:
            os.ftruncate(file, 0)
            self._at = 0
        return lines
