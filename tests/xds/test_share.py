"""One account for all connections of a peer."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.model.names import CLUSTER, ROUTES
from meshwright.xds.server import MOST_CONNECTIONS, XdsServer
from meshwright.xds.session import Timing
from meshwright.xds.share import UNTIMED, Allowance, Share
from tests.xds.envoys import folder
from tests.xds.mesh import PROXY, cluster, direct, published
from tests.xds.peers import RawClient, raw_client


def test_time_is_owed_and_forgiven_at_the_rate() -> None:
    share = Share(Allowance(rate=0.25, burst=0.5))
    assert share.took(0.5, 100.0) == 0.0
    assert share.took(0.1, 100.0) == pytest.approx(0.4)  # a tenth too much, forgiven in four
    assert share.took(0.0, 100.5) == 0.0
    assert share.took(0.5, 102.4) == 0.0
    assert Share(UNTIMED).took(1e6, 0.0) == 0.0


def test_connections_count_together() -> None:
    share = Share(Allowance(kept=100, waiting=100))
    assert share.keeps("a", 60)
    assert not share.keeps("b", 50)
    assert share.keeps("b", 40)
    assert share.waits("a", 99)
    assert not share.waits("b", 1)
    assert share.is_full
    share.forget("a")
    assert share.keeps("b", 100)
    assert not share.is_full


async def greedy(path: Path) -> RawClient:
    """Asks for all on many streams with open windows and reads none of it."""
    client = await raw_client(path)
    client.h2.increment_flow_control_window(1 << 24)
    for stream in range(1, 40, 2):
        client.open(stream)
        client.h2.increment_flow_control_window(1 << 24, stream)
        client.ask(stream, CLUSTER)
        client.ask(stream, ROUTES, "r")
    assert client.transport is not None
    client.transport.pause_reading()
    return client


def test_many_connections_with_many_streams_get_no_more_than_one() -> None:
    async def main() -> None:
        with folder() as place:
            news = Latest(published(cluster("a"), direct("r", "0" * 300_000)))
            async with XdsServer(news, timing=Timing(0.0, 0.0, 0.0)) as server:
                await server.add(PROXY, place / "xds")
                clients = [await greedy(place / "xds") for _ in range(MOST_CONNECTIONS)]
                for number in range(50):
                    news.set(published(cluster("a"), direct("r", f"{number}" * 150_000)))
                    await asyncio.sleep(0.01)
                    assert server.status_of(PROXY).waiting < 2 << 20
                assert server.status_of(PROXY).waiting > 0
                with socket.socket(socket.AF_UNIX) as further, contextlib.suppress(ConnectionError):
                    further.setblocking(False)  # noqa: FBT003 - its only form
                    further.connect(str(place / "xds"))
                    assert await asyncio.get_running_loop().sock_recv(further, 1) == b"", "one too many is hung up on"
                for client in clients:
                    assert client.transport is not None
                    client.transport.abort()

    uvloop.run(main())
