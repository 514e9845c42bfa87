"""Busy proxies are told to write a share of their requests."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from meshwright.telemetry.sampling import KEY, PER_SECOND, WHOLE, Sampling


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


def test_a_share_falls_at_once_and_rises_slowly() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        async with admin(told) as path:
            sampling = Sampling()
            for rate in (10, PER_SECOND, 10 * PER_SECOND, 11 * PER_SECOND, 0, 0, 0, 0, 0):
                await sampling.adapt("web.shop", path, rate)
            assert sampling.share("web.shop") == 1.0
        return told

    shares = (WHOLE // 10, WHOLE // 5, 2 * WHOLE // 5, 4 * WHOLE // 5, WHOLE)
    assert asyncio.run(run()) == [f"POST /runtime_modify?{KEY}={share}" for share in shares]
