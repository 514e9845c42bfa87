"""Output files as `kubectl logs` reads them: by program, from the end, since a moment, with times, followed."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.apiserver.pod_streams import LogOptions
from meshwright.model.names import Milliseconds
from meshwright.processes.logtimes import Mark, times_file
from meshwright.wiring.pod_logs import read_log

FIRST, SECOND = b"one\ntwo\nthree\n", b"four\nfive\nsix"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two programs; the second began at 2000 and wrote at 2500 and 3000 (ms since 1970)."""
    path = tmp_path / "app.log"
    path.write_bytes(FIRST + SECOND)
    begin = len(FIRST)
    marks = (
        Mark(0, 1000, start=True),
        Mark(begin, 1500),
        Mark(begin, 2000, start=True),
        Mark(begin + 5, 2500),
        Mark(begin + len(SECOND), 3000),
    )
    times_file(path).write_bytes(b"".join(mark.packed() for mark in marks))
    return path


async def over() -> bool:
    return False


async def all_of(path: Path, options: LogOptions) -> bytes:
    return b"".join([piece async for piece in read_log(path, options, over)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LogOptions(), SECOND),
        (LogOptions(back=1), FIRST),
        (LogOptions(back=2), b""),
        (LogOptions(tail=0), b""),
        (LogOptions(tail=1), b"six"),
        (LogOptions(tail=2), b"five\nsix"),
        (LogOptions(tail=99), SECOND),
        (LogOptions(back=1, tail=2), b"two\nthree\n"),
        (LogOptions(since=Milliseconds(2600)), b"five\nsix"),
        (LogOptions(since=Milliseconds(1)), SECOND),
        (LogOptions(since=Milliseconds(4000)), b""),
        (LogOptions(limit=6), b"four\nf"),
        (LogOptions(tail=2, limit=3), b"fiv"),
        (
            LogOptions(tail=2, timestamps=True),
            b"1970-01-01T00:00:03.000000000Z five\n1970-01-01T00:00:03.000000000Z six",
        ),
        (LogOptions(back=1, tail=1, timestamps=True), b"1970-01-01T00:00:01.500000000Z three\n"),
        (LogOptions(follow=True, tail=1), b"six"),
    ],
)
def test_a_part_of_the_output(log: Path, options: LogOptions, said: bytes) -> None:
    assert asyncio.run(all_of(log, options)) == said


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert asyncio.run(all_of(tmp_path / "none", LogOptions())) == b""


@given(st.binary(max_size=300_000), st.integers(0, 50))
def test_a_tail_is_what_the_last_lines_are(tmp_path_factory: pytest.TempPathFactory, data: bytes, count: int) -> None:
    path = tmp_path_factory.mktemp("tail") / "log"
    path.write_bytes(data)
    lines = _lines(data)
    assert asyncio.run(all_of(path, LogOptions(tail=count))) == b"".join(lines[len(lines) - min(count, len(lines)) :])


def _lines(data: bytes) -> list[bytes]:
    pieces = data.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def test_following_goes_on_until_another_program_begins(log: Path) -> None:
    async def follow() -> bytes:
        async def going_on() -> bool:
            return True

        async def write() -> None:
            with log.open("ab") as file:
                file.write(b"\nseven\n")
                file.flush()
                await asyncio.sleep(0.3)
                size = log.stat().st_size
                with times_file(log).open("ab") as times:
                    times.write(Mark(size, 5000, start=True).packed())
                file.write(b"of the next program\n")

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            return b"".join([piece async for piece in read_log(log, LogOptions(follow=True, tail=1), going_on)])

    assert asyncio.run(follow()) == b"six\nseven\n"


def test_following_goes_on_where_the_file_was_cut(log: Path) -> None:
    async def follow() -> bytes:
        going = asyncio.Event()

        async def going_on() -> bool:
            return not going.is_set()

        async def cut() -> None:
            await asyncio.sleep(0.3)
            log.write_bytes(b"")
            times_file(log).unlink()
            await asyncio.sleep(0.3)
            with log.open("ab") as file:
                file.write(b"anew\n")
            going.set()

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(cut())
            return b"".join([piece async for piece in read_log(log, LogOptions(follow=True, tail=1), going_on)])

    assert asyncio.run(follow()) == b"sixanew\n"
