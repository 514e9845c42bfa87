"""Output files are cut when they grow too large, and their writers go on."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meshwright.processes.logtimes import MOST_MARKS, LogClock, LogTimes, Mark, times_file
from meshwright.processes.messages import BadRequest
from meshwright.processes.outputs import Outputs


def test_a_large_file_is_cut_under_its_writer(tmp_path: Path) -> None:
    outputs = Outputs(largest=1000, kept=100)
    path = tmp_path / "pod" / "app.log"
    writer = outputs.open(str(path))
    os.write(writer, b"a" * 950 + b"b" * 100)
    outputs.cut_large()
    os.write(writer, b"next\n")
    assert path.read_bytes() == b"next\n"
    assert (tmp_path / "pod" / "app.log.1").read_bytes() == b"b" * 100
    outputs.cut_large()
    assert path.read_bytes() == b"next\n"
    os.close(writer)
    path.unlink()
    outputs.cut_large()


def test_bad_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("relative.log", str(tmp_path), str(tmp_path / "link")):
        with pytest.raises(BadRequest, match="output"):
            Outputs().open(name)


def test_the_times_of_lines_are_kept_beside_them(tmp_path: Path) -> None:
    asyncio.run(_write_and_look(tmp_path / "app.log"))


async def _write_and_look(path: Path) -> None:
    outputs = Outputs(largest=1000, kept=10)
    began = time.time_ns() // 1_000_000
    writer = outputs.open(str(path))
    outputs.begin(str(path), 0)
    os.write(writer, b"one\n")
    await _until(lambda: LogTimes.read(path).when(4) is not None)
    one = LogTimes.read(path).when(4)
    assert one is not None
    assert one >= began
    assert LogTimes.read(path).when(5) is None
    await asyncio.sleep(0.01)
    os.write(writer, b"two\n")
    await _until(lambda: LogTimes.read(path).when(8) is not None)
    two = LogTimes.read(path).when(8)
    assert two is not None
    assert two > one
    assert LogTimes.read(path).since(one + 1) == 4
    assert LogTimes.read(path).since(two + 1) is None
    outputs.begin(str(path), 8)
    assert LogTimes.read(path).starts == (0, 8)
    os.write(writer, b"x" * 1000)
    outputs.cut_large()
    os.write(writer, b"new\n")
    await _until(lambda: LogTimes.read(path).when(4) is not None and LogTimes.read(path).starts == ())
    os.close(writer)


async def _until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not claim():
            await asyncio.sleep(0.01)


def test_times_are_thinned_out_but_starts_stay(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    marks = [Mark(size, size, start=size == 0) for size in range(MOST_MARKS)]
    times_file(path).write_bytes(b"".join(mark.packed() for mark in marks[:-1]))
    LogClock.append(path, marks[-1])
    left = LogTimes.read(path)
    assert len(left.marks) == MOST_MARKS // 2 + 1
    assert left.starts == (0,)
    assert left.when(MOST_MARKS - 1) == MOST_MARKS - 1
