"""When the lines of an output file were written: the programs write it themselves, so only its growth can be seen.

Beside LOG lies LOG.times: marks of 16 bytes, each the size that the file had and the time of its last write
(milliseconds since the epoch, little endian); the highest bit of the time says that a program was started there.
A line is as old as the first mark at or behind its end. Marks come at most every 50 ms, and old ones are thinned
out, so that the file stays small; times are exact for the last line of every burst.
"""

import asyncio
import os
import struct
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from meshwright.processes.syscalls import INOTIFY_MODIFY, inotify_add, inotify_open

MOST_MARKS = 65_536  # 1 MiB
_PAUSE_SECONDS = 0.05
_MARK = struct.Struct("<QQ")
_START = 1 << 63
_EVENT_BYTES = 65_536
_EVENT = struct.Struct("@iIII")  # watch, mask, cookie, length of a name


def times_file(log: Path) -> Path:
    """Where the times of a log are."""
    return log.with_name(log.name + ".times")


@dataclass(frozen=True, slots=True)
class Mark:
    """`size` bytes were there at `milliseconds`; `start`: a program was about to begin then."""

    size: int
    milliseconds: int
    start: bool = False

    def packed(self) -> bytes:
        return _MARK.pack(self.size, self.milliseconds | (_START if self.start else 0))


@dataclass(frozen=True, slots=True)
class LogTimes:
    """The marks of one log as of one moment."""

    marks: tuple[Mark, ...] = ()

    @staticmethod
    def read(log: Path) -> "LogTimes":
        """None at all where there is no such file."""
        try:
            data = times_file(log).read_bytes()
        except OSError:
            return LogTimes()
        whole = len(data) - len(data) % _MARK.size
        pairs = _MARK.iter_unpack(data[:whole])
        return LogTimes(tuple(Mark(size, when & ~_START, bool(when & _START)) for size, when in pairs))

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the output of each program begins, oldest first."""
        return tuple(mark.size for mark in self.marks if mark.start)

    def when(self, end: int) -> int | None:
        """When the byte before `end` had been written; None while that is not known yet."""
        index = bisect_left(self.marks, end, key=lambda mark: mark.size)
        return self.marks[index].milliseconds if index < len(self.marks) else None

    def since(self, milliseconds: int) -> int | None:
        """The size before the first write at or after this time; None when nothing was written since."""
        before = 0
        for mark in self.marks:
            if mark.milliseconds >= milliseconds and mark.size > before:
                return before
            before = max(before, mark.size)
        return None


class NextStart:
    """Finds out, now and then, whether another program has begun to write to a log since this was made."""

    def __init__(self, log: Path) -> None:
        self._times = times_file(log)
        self._seen = self._size()

    def _size(self) -> int:
        try:
            return self._times.stat().st_size
        except OSError:
            return 0

    def look(self) -> int | None:
        """Where its output begins; None when there is none, or none that can be told from older ones."""
        size = self._size()
        seen, self._seen = self._seen, size - size % _MARK.size
        if size <= seen:  # nothing new; or the marks were begun anew, or thinned out
            return None
        try:
            with self._times.open("rb") as file:
                file.seek(seen)
                data = file.read(self._seen - seen)
        except OSError:
            return None
        whole = data[: len(data) - len(data) % _MARK.size]
        return next((size for size, when in _MARK.iter_unpack(whole) if when & _START), None)


class LogClock:
    """Keeps the times of logs that are written to. For one event loop; nothing here waits."""

    def __init__(self) -> None:
        self._inotify = -1
        self._watched: dict[int, Path] = {}
        self._sizes: dict[Path, int] = {}

    def begin(self, log: Path, size: int) -> None:
        """A program has just begun to append to this file, which had this size before. Raises OSError."""
        times = times_file(log)
        known = LogTimes.read(log).marks
        if known and known[-1].size > size:
            times.unlink(missing_ok=True)
        self.append(log, Mark(size, _now(), start=True))
        self._sizes[log] = size
        if self._inotify < 0:
            self._inotify = inotify_open()
            asyncio.get_running_loop().add_reader(self._inotify, self._moved)
        watch = inotify_add(self._inotify, log, INOTIFY_MODIFY)
        self._watched[watch] = log
        self._note(watch, log)

    def _moved(self) -> None:
        """Wait a little before looking: a burst of writes makes one mark."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._inotify)
        loop.call_later(_PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        with suppress(BlockingIOError):
            for watch in _watches(os.read(self._inotify, _EVENT_BYTES)):
                log = self._watched.get(watch)
                if log is not None:
                    self._note(watch, log)
        asyncio.get_running_loop().add_reader(self._inotify, self._moved)

    def _note(self, watch: int, log: Path) -> None:
        try:
            status = log.stat()
        except OSError:
            del self._watched[watch]
            self._sizes.pop(log, None)
            return
        before = self._sizes.get(log, 0)
        if status.st_size == before:
            return
        if status.st_size < before:  # it was cut: what the marks say is no longer there
            times_file(log).unlink(missing_ok=True)
        self._sizes[log] = status.st_size
        self.append(log, Mark(status.st_size, status.st_mtime_ns // 1_000_000))

    @staticmethod
    def append(log: Path, mark: Mark) -> None:
        """Write one mark."""
        with suppress(OSError):  # a full disk loses times, never output
            path = times_file(log)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, mark.packed())
                many = os.fstat(descriptor).st_size >= MOST_MARKS * _MARK.size
            finally:
                os.close(descriptor)
            if many:
                _thin_out(log)

    def close(self) -> None:
        """Stop looking. For tests; the holder ends with it."""
        if self._inotify >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1


def _thin_out(log: Path) -> None:
    """Every other mark goes, but no start."""
    marks = LogTimes.read(log).marks
    kept = [mark for index, mark in enumerate(marks) if mark.start or index % 2]
    fresh = times_file(log).with_suffix(".new")
    fresh.write_bytes(b"".join(mark.packed() for mark in kept[-MOST_MARKS * 3 // 4 :]))
    fresh.chmod(0o600)
    fresh.replace(times_file(log))


def _watches(data: bytes) -> set[int]:
    """The watches that a read of inotify tells of."""
    found: set[int] = set()
    offset = 0
    while offset + _EVENT.size <= len(data):
        watch, _, _, length = _EVENT.unpack_from(data, offset)
        found.add(watch)
        offset += _EVENT.size + length
    return found


def _now() -> int:
    return time.time_ns() // 1_000_000
