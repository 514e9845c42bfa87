"""Peers that are stopped, stuck or gone without a word are noticed; those that live, however slowly, are kept."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.model.names import CLUSTER, ROUTES
from meshwright.xds.grpc_client import GrpcClient
from meshwright.xds.heartbeat import Heartbeat
from meshwright.xds.server import XdsServer
from meshwright.xds.session import Timing
from tests.xds.envoys import envoy, folder, free_port, get
from tests.xds.mesh import PROXY, cluster, direct, listener, published
from tests.xds.peers import RawClient, raw_client

QUICK = Heartbeat(0.1, 0.2)
LOOPS = pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])


async def until(condition: Any, seconds: float = 20.0) -> None:
    """A hang guard, not a measure."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(place: Path, size: int = 10) -> AsyncGenerator[tuple[XdsServer, RawClient]]:
    """A server, and a client that has a stream on it."""
    news = Latest(published(cluster("a"), direct("r", "x" * size)))
    async with XdsServer(news, timing=Timing(0.0, 0.0, 0.0), heartbeat=QUICK) as server:
        await server.add(PROXY, place / "xds")
        client = await raw_client(place / "xds")
        client.open(1)
        client.ask(1, CLUSTER)
        await until(lambda: server.status_of(PROXY).connected)
        try:
            yield server, client
        finally:
            if client.transport is not None:
                client.transport.abort()


@LOOPS
def test_who_answers_is_kept_and_who_does_not_is_absent(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place) as (server, client):
                await until(lambda: client.pings >= 3)
                assert server.status_of(PROXY).connected
                client.silent = True
                await until(lambda: not server.status_of(PROXY).connected)
                await until(client.over.is_set)

    run(main())


@LOOPS
def test_who_says_something_now_and_then_is_not_asked(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place) as (server, client):
                end = asyncio.get_running_loop().time() + 1
                while asyncio.get_running_loop().time() < end:
                    client.h2.ping(b"12345678")
                    client.flush()
                    await asyncio.sleep(0.01)
                assert server.status_of(PROXY).connected

    run(main())


@LOOPS
def test_who_reads_nothing_of_a_full_pipe_is_absent(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place, 4_000_000) as (server, client):
                client.h2.increment_flow_control_window(1 << 24)
                client.h2.increment_flow_control_window(1 << 24, 1)
                client.ask(1, ROUTES, "r")
                assert client.transport is not None
                client.transport.pause_reading()
                await until(lambda: server.status_of(PROXY).waiting > 1_000_000)
                await until(lambda: not server.status_of(PROXY).connected)
                client.transport.resume_reading()
                await until(client.over.is_set)

    run(main())


def test_who_reads_slowly_is_kept() -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place, 3_000_000) as (server, client):
                client.h2.increment_flow_control_window(1 << 24)
                client.h2.increment_flow_control_window(1 << 24, 1)
                client.ask(1, ROUTES, "r")
                assert client.transport is not None
                while client.data < 3_000_000:  # far longer than idle and patience, a little at a time
                    client.transport.resume_reading()
                    await asyncio.sleep(0.001)
                    client.transport.pause_reading()
                    await asyncio.sleep(0.05)
                assert server.status_of(PROXY).connected
                client.transport.resume_reading()

    uvloop.run(main())


@LOOPS
def test_who_connects_and_says_nothing_is_hung_up_on(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place) as (server, client):
                reader, writer = await asyncio.open_unix_connection(place / "xds")
                async with asyncio.timeout(20):
                    await reader.read()
                writer.close()
                assert server.status_of(PROXY).connected, "who answers is kept"
                assert client.pings

    run(main())


@LOOPS
def test_the_time_that_we_were_stopped_ourselves_does_not_count(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with serving(place) as (server, client):
                await until(lambda: client.pings >= 1)
                for _ in range(2):
                    time.sleep(1.3)  # noqa: ASYNC251 - nothing runs here, as if the process were stopped
                    await asyncio.sleep(0.05)
                    assert server.status_of(PROXY).connected

    run(main())


class _Silent:
    """A call that says nothing."""

    more = False

    def receive(self, message: bytes, now: float) -> None:
        del message, now

    def next_message(self, now: float) -> bytes | None:
        del now

    def wake_at(self, now: float) -> float | None:
        del now

    def closed(self) -> None:
        pass


@LOOPS
def test_a_server_that_shows_no_life_is_left(run: Any) -> None:
    async def main() -> None:
        with folder() as place, socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place / "stuck"))
            listening.listen()  # the kernel takes connections, and nobody is behind it
            loop = asyncio.get_running_loop()
            _, client = await loop.create_unix_connection(
                lambda: GrpcClient("/x", _Silent(), loop.time, heartbeat=QUICK), str(place / "stuck")
            )
            async with asyncio.timeout(20):
                assert await client.ended() == "the server shows no life"

    run(main())


def test_a_stopped_envoy_is_absent_and_has_the_newest_when_it_goes_on() -> None:
    async def main() -> None:
        with folder() as place:
            port = free_port()
            news = Latest(published(listener("l", port, "r"), direct("r", "0")))
            async with XdsServer(news, heartbeat=Heartbeat(0.3, 0.5)) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds") as proxy:
                    assert await server.synced(PROXY, 30)
                    loads = await proxy.stat("http.l.rds.r.config_reload")
                    proxy.process.send_signal(signal.SIGSTOP)
                    try:
                        for number in range(1, 201):
                            news.set(published(listener("l", port, "r"), direct("r", str(number) * 1_000)))
                            await asyncio.sleep(0.005)
                            assert server.status_of(PROXY).waiting < 300_000
                        await until(lambda: not server.status_of(PROXY).connected)
                        news.set(published(listener("l", port, "r"), direct("r", "newest")))
                    finally:
                        proxy.process.send_signal(signal.SIGCONT)
                    assert await server.synced(PROXY, 30)
                    assert await get(port) == (200, "newest")
                    # what was on its way when it was stopped, and the newest; nothing of the 200 in between
                    assert await proxy.stat("http.l.rds.r.config_reload") - loads <= 4

    uvloop.run(main())
