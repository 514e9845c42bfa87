"""The output of a container, from its file: as bytes, or as lines with their times."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from meshwright.processes.logtimes import LogTimes

LOOK_SECONDS = 0.2
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its break. `time`: RFC 3339 with milliseconds, when it was written; None: not known."""

    text: str
    time: str | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of the file, and where they begin; no bytes: a moment has passed."""

    offset: int
    data: bytes


def read(path: Path, tail: int | None, *, follow: bool) -> Iterator[bytes]:
    """What was written: all of it or the last `tail` lines, and with `follow` what comes, for ever."""
    for piece in _pieces(path, tail, follow=follow):
        yield piece.data


def read_lines(path: Path, tail: int | None, *, follow: bool) -> Iterator[Line]:
    """The same as lines. The last one may have no break yet; it is told at the end, or when its break comes.

    The time of a line is known a moment after it was written: with `follow` it is given that moment.
    """
    held, begin = b"", 0
    for piece in _pieces(path, tail, follow=follow):
        if begin + len(held) != piece.offset:  # the first one, or the file was cut
            if held:
                yield _line(held, None)
            held, begin = b"", piece.offset
        held += piece.data
        times, done = LogTimes.read(path), 0
        while end := held.find(b"\n", done) + 1:
            when = times.when(begin + end)
            if when is None and follow and piece.data:
                break  # until the pause after it
            yield _line(held[done : end - 1], when)
            done = end
        held, begin = held[done:], begin + done
    if held:
        yield _line(held, LogTimes.read(path).when(begin + len(held)))


def _line(data: bytes, milliseconds: int | None) -> Line:
    when = None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    stamp = None if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Line(data.removesuffix(b"\r").decode(errors="replace"), stamp)


def _pieces(path: Path, tail: int | None, *, follow: bool) -> Iterator[_Piece]:
    """The file, which may be cut short by the agent while it is read."""
    offset = 0 if tail is None else _start_of_last(path, tail)
    while True:
        size = _size(path)
        offset = 0 if size < offset else offset
        while data := _read(path, offset):
            yield _Piece(offset, data)
            offset += len(data)
        if not follow:
            return
        time.sleep(LOOK_SECONDS)
        yield _Piece(offset, b"")


def _start_of_last(path: Path, lines: int) -> int:
    """Where the last so many lines begin: behind the break before them. The break at the very end ends a line."""
    size = _size(path)
    position = max(0, size - 1)
    if not lines:
        return size
    missing = lines
    while position > 0:
        start = max(0, position - PIECE)
        data = _read(path, start)[: position - start]
        search = len(data)
        while (found := data.rfind(b"\n", 0, search)) >= 0:
            missing -= 1
            if not missing:
                return start + found + 1
            search = found
        position = start
    return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE)
    except OSError:
        return b""
