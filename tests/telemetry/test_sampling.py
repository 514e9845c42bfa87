"""Busy proxies are told to write a share of their requests."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from meshwright.telemetry.sampling import EXACT, LOOKS, PER_SECOND, RECORDS, SIZES, WHOLE, Sampling


@contextlib.asynccontextmanager
async def admin(told: list[str]) -> AsyncGenerator[Path]:
    """An admin interface that notes what it is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        told.append(" ".join(head.decode().split(" ")[:2]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK")
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "admin.sock"
        async with await asyncio.start_unix_server(answer, path):
            yield path


async def told_at(rates: tuple[float, ...]) -> list[str]:
    told: list[str] = []
    async with admin(told) as path:
        sampling = Sampling()
        for rate in rates:
            await sampling.adapt("web.shop", "process 1", path, rate)
        assert sampling.share("web.shop") == sampling.share("web.shop", SIZES) == 1.0
    return told


def records_told(rates: tuple[float, ...]) -> list[str]:
    """The shares of lines that a proxy was told which had these rates one after another."""
    told = asyncio.run(told_at(rates))
    parts = [part for each in told for part in each.partition("?")[2].split("&")]
    return [part.removeprefix(f"{RECORDS}=") for part in parts if part.startswith(RECORDS)]


def test_a_share_falls_at_once_and_all_are_taken_again_after_a_while() -> None:
    few, enough = EXACT[RECORDS], WHOLE * PER_SECOND[RECORDS]
    told = records_told((few / 2, few, 10 * few, 11 * few, *(0,) * LOOKS))
    assert told == [f"{WHOLE}", f"{enough // (10 * few)}", f"{WHOLE}"]


def test_a_pause_between_two_bursts_changes_nothing() -> None:
    few, enough = EXACT[RECORDS], WHOLE * PER_SECOND[RECORDS]
    pause = (0.0,) * (LOOKS - 1)
    told = records_told((10 * few, *pause, 10 * few, *pause, 10 * few, *pause, 0))
    assert told == [f"{enough // (10 * few)}", f"{WHOLE}"]


def test_the_busiest_look_counts() -> None:
    few, enough = EXACT[RECORDS], WHOLE * PER_SECOND[RECORDS]
    told = records_told((40 * few, *(20 * few,) * (LOOKS - 1), 20 * few, 20 * few, *(0,) * LOOKS))
    assert told == [f"{enough // (40 * few)}", f"{enough // (20 * few)}", f"{WHOLE}"]


def test_sizes_are_taken_of_more_requests_than_lines_are_written() -> None:
    """Of all up to a bound, beyond it of few."""
    bound = EXACT[SIZES]
    much = 10 * bound
    told = asyncio.run(told_at((bound, much, *(0,) * LOOKS)))
    lines, sizes = (WHOLE * PER_SECOND[key] for key in (RECORDS, SIZES))
    assert told[0] == f"POST /runtime_modify?{RECORDS}={lines // bound}&{SIZES}={WHOLE}"
    assert told[1] == f"POST /runtime_modify?{RECORDS}={lines // much}&{SIZES}={sizes // much}"
    assert any(each.endswith(f"{SIZES}={WHOLE}") for each in told[2:])


EVERYTHING = f"POST /runtime_modify?{RECORDS}={WHOLE}&{SIZES}={WHOLE}"


def test_a_new_worker_tells_a_proxy_that_has_become_quiet_to_take_everything() -> None:
    async def two_workers() -> list[str]:
        told: list[str] = []
        async with admin(told) as path:
            await Sampling().adapt("web.shop", "process 1", path, 10 * EXACT[SIZES])
            told.clear()
            second = Sampling()
            for _ in range(3):
                await second.adapt("web.shop", "process 1", path, 0)
        return told

    assert asyncio.run(two_workers()) == [EVERYTHING]


def test_a_proxy_that_starts_anew_is_told_again() -> None:
    async def two_processes() -> list[str]:
        told: list[str] = []
        async with admin(told) as path:
            sampling = Sampling()
            for process in ("process 1", "process 2", "process 2"):
                await sampling.adapt("web.shop", process, path, 10 * EXACT[SIZES])
        return told

    first, second = asyncio.run(two_processes())
    lines, sizes = (round(WHOLE * PER_SECOND[key] / (10 * EXACT[SIZES])) for key in (RECORDS, SIZES))
    assert first == second == f"POST /runtime_modify?{RECORDS}={lines}&{SIZES}={sizes}"
