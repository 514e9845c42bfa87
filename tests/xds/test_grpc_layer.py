"""Calls that are not as gRPC has them end with their status, and the connection serves the next one."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.model.names import CLUSTER
from meshwright.xds.grpc import prefix
from meshwright.xds.server import ADS_PATH, XdsServer
from tests.xds.envoys import folder
from tests.xds.mesh import PROXY, cluster, published
from tests.xds.peers import RawClient, raw_client

Said = Callable[[RawClient], None]


def says(data: bytes, *, ends: bool = False) -> Said:
    """A call of the right method with this body."""

    def say(client: RawClient) -> None:
        client.open(1)
        client.h2.send_data(1, data, end_stream=ends)

    return say


def asks(method: str, path: str, content: str) -> Said:
    """A request without a body."""

    def say(client: RawClient) -> None:
        headers = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x")]
        client.h2.send_headers(1, [*headers, ("content-type", content)])

    return say


GRPC = "application/grpc"
CALLS: dict[str, tuple[Said, dict[str, str]]] = {
    "compressed": (says(b"\1\0\0\0\1x"), {"grpc-status": "12"}),
    "no flag": (says(b"\x7f\0\0\0\0"), {"grpc-status": "12"}),
    "giant": (says(b"\0\xff\xff\xff\xff"), {"grpc-status": "8"}),
    "just too large": (says(prefix((8 << 20) + 1)), {"grpc-status": "8"}),
    "cut off": (says(prefix(10) + b"x", ends=True), {"grpc-status": "13"}),
    "cut off in its prefix": (says(b"\0\0", ends=True), {"grpc-status": "13"}),
    "no message": (says(b"", ends=True), {"grpc-status": "0"}),
    "an empty message": (says(prefix(0)), {"grpc-status": "3"}),
    "rubbish": (says(prefix(3) + b"\xff\xff\xff"), {"grpc-status": "3"}),
    "another method": (asks("POST", "/a.B/C", GRPC), {"grpc-status": "12"}),
    "another kind": (asks("POST", ADS_PATH, "application/json"), {":status": "415"}),
    "GET": (asks("GET", ADS_PATH, GRPC), {":status": "415"}),
}


async def until(condition: Callable[[], bool]) -> None:
    """A hang guard, not a measure."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_ends_alone(name: str) -> None:
    say, wanted = CALLS[name]

    async def main() -> None:
        with folder() as place:
            async with XdsServer(Latest(published(cluster("a")))) as server:
                await server.add(PROXY, place / "xds")
                client = await raw_client(place / "xds")
                say(client)
                client.flush()
                await until(lambda: wanted.items() <= client.ends.get(1, {}).items())
                client.open(3)
                client.ask(3, CLUSTER)
                await until(lambda: client.data > 0)
                assert not client.over.is_set()
                assert client.transport is not None
                client.transport.abort()

    uvloop.run(main())
