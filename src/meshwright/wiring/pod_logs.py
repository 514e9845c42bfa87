"""The output files of pods, read as `kubectl logs` wants them: by program, from the end, since a moment, followed."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from meshwright.apiserver.pod_streams import LogOptions
from meshwright.processes.logtimes import LogTimes, NextStart

_PIECE = 65_536
_LONGEST_LINE = 16_384  # with timestamps, a longer one is shown in parts
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a file, in bytes; `end` None: to wherever it ends."""

    start: int
    end: int | None


def section_of(times: LogTimes, back: int) -> Section:
    """The output of one program: `back` 0 is the newest. What older ones wrote may have been cut off."""
    starts = times.starts
    if back == 0:
        return Section(starts[-1] if starts else 0, None)
    if len(starts) < back:
        return Section(0, 0)
    return Section(starts[-1 - back] if len(starts) > back else 0, starts[-back])


async def read_log(path: Path, options: LogOptions, going_on: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """The pieces of a log. A file that is not there is empty; one that is cut meanwhile goes on at its new start."""
    pieces = _raw(path, options, going_on)
    if options.timestamps:
        pieces = _stamped(pieces)
    left = options.limit
    async for _, piece in pieces:
        shown = piece if left is None else piece[:left]
        yield shown
        if left is not None:
            left -= len(shown)
            if not left:
                return


_Pieces = AsyncIterator[tuple["_Place", bytes]]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a piece begins, and what is known of the times of its file."""

    offset: int
    times: LogTimes


async def _raw(path: Path, options: LogOptions, going_on: Callable[[], Awaitable[bool]]) -> _Pieces:
    following = NextStart(path)
    times = LogTimes.read(path)
    size = _size(path)
    section = section_of(times, options.back)
    end = size if section.end is None else section.end
    offset = _begin(path, options, times, Section(section.start, end))
    while offset < end:
        piece = _read(path, offset, min(_PIECE, end - offset))
        if not piece:
            break
        yield _Place(offset, times), piece
        offset += len(piece)
    if options.follow:
        async for found in _followed(path, offset, following, going_on):
            yield found


async def _followed(
    path: Path, offset: int, following: NextStart, going_on: Callable[[], Awaitable[bool]]
) -> _Pieces:
    """What comes until another program begins to write, or nobody wants to hear more."""
    asked = time.monotonic()
    last_round = False
    while True:
        size = _size(path)
        limit = following.look()
        if size < offset:
            offset = 0
        end = size if limit is None else min(size, limit)
        while offset < end:
            piece = _read(path, offset, min(_PIECE, end - offset))
            if not piece:
                break
            yield _Place(offset, LogTimes()), piece
            offset += len(piece)
        if last_round or limit is not None:
            return
        if time.monotonic() - asked > _ASK_SECONDS:
            asked = time.monotonic()
            last_round = not await going_on()
        await asyncio.sleep(_LOOK_SECONDS)


def _begin(path: Path, options: LogOptions, times: LogTimes, section: Section) -> int:
    """Where to begin in a section whose end is known."""
    assert section.end is not None
    start = section.start
    if options.since is not None:
        since = times.since(options.since)
        start = section.end if since is None else max(start, since)
    if options.tail is not None:
        start = max(start, _tail(path, Section(start, section.end), options.tail))
    return start


def _tail(path: Path, section: Section, lines: int) -> int:
    """Where the last `lines` lines of a section begin."""
    assert section.end is not None
    if lines == 0:
        return section.end
    # the line break at the very end belongs to the last line
    position, missing = section.end, lines
    first = True
    while position > section.start:
        length = min(_PIECE, position - section.start)
        piece = _read(path, position - length, length)
        search = len(piece) - 1 if first and piece.endswith(b"\n") else len(piece)
        first = False
        while (found := piece.rfind(b"\n", 0, search)) >= 0:
            missing -= 1
            if missing == 0:
                return position - length + found + 1
            search = found
        position -= length
    return section.start


async def _stamped(pieces: _Pieces) -> _Pieces:
    """Every line with its time before it."""
    held, begin = b"", 0
    place: _Place | None = None
    async for place, piece in pieces:
        begin = place.offset - len(held)
        data = held + piece
        out: list[bytes] = []
        done = 0
        while (end := data.find(b"\n", done)) >= 0:
            out.append(_stamp(place, begin + end + 1) + data[done : end + 1])
            done = end + 1
        while len(data) - done > _LONGEST_LINE:
            out.append(_stamp(place, begin + done + _LONGEST_LINE) + data[done : done + _LONGEST_LINE] + b"\n")
            done += _LONGEST_LINE
        held = data[done:]
        begin += done
        yield place, b"".join(out)
    if held and place is not None:
        yield place, _stamp(place, begin + len(held)) + held


def _stamp(place: _Place, end: int) -> bytes:
    when = place.times.when(end)
    moment = datetime.fromtimestamp((when if when is not None else time.time() * 1000) / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").encode() + b"000Z "


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, offset: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
