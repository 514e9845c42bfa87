"""The server at its sockets: who may speak, what other clients see, what hostile ones cannot do."""

import asyncio
import os
import socket
import stat
from pathlib import Path
from random import Random
from typing import Any, Self

import grpc
import grpc.aio
import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.ca.secrets import trust_secret
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.model.names import CLUSTER, LISTENER, ROUTES, SECRET, ProxyName, ResourceName
from meshwright.model.published import EncodedResource
from meshwright.xds.http2_wire import PREFACE, FrameType, frame
from meshwright.xds.peer import Peer
from meshwright.xds.server import ADS_PATH, SDS_PATH, XdsServer
from meshwright.xds.session import Timing
from tests.xds.envoys import folder
from tests.xds.mesh import PROXY, cluster, direct, endpoints, published

OTHER = ProxyName("other.default")
LOOPS = pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
Run = Any


class Secrets:
    """One root for everybody."""

    def __init__(self) -> None:
        self.secrets_changed = Latest(0)
        self.made = {ResourceName("ROOTCA"): trust_secret("ROOTCA", b"one")}

    def secrets_of(self, proxy: ProxyName) -> dict[ResourceName, EncodedResource]:
        return self.made if proxy == PROXY else {}

    def replace(self, content: bytes) -> None:
        self.made = {ResourceName("ROOTCA"): trust_secret("ROOTCA", content)}
        self.secrets_changed.set(self.secrets_changed.value + 1)


class Stream:
    """A grpcio client of one method."""

    def __init__(self, path: Path, method: str = ADS_PATH) -> None:
        self.channel = grpc.aio.insecure_channel(f"unix:{path}")
        self.call = self.channel.stream_stream(
            method,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()
        await self.channel.close()

    async def ask(self, url: str, *names: str, nonce: str = "") -> None:
        await self.call.write(
            DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names, response_nonce=nonce)
        )

    async def read(self) -> DeltaDiscoveryResponse:
        async with asyncio.timeout(20):
            message = await self.call.read()
        assert isinstance(message, DeltaDiscoveryResponse)
        return message

    async def status(self) -> grpc.StatusCode:
        async with asyncio.timeout(20):
            return await self.call.code()


@LOOPS
def test_a_grpcio_client_gets_resources_secrets_and_changes(run: Run) -> None:
    async def main() -> None:
        with folder() as place:
            news, secrets = Latest(published(cluster("a"), direct("r", "x" * 300_000))), Secrets()
            async with XdsServer(news, secrets) as server:
                await server.add(PROXY, place / "xds")
                async with Stream(place / "xds") as ads, Stream(place / "xds", SDS_PATH) as sds:
                    await ads.ask(CLUSTER)
                    first = await ads.read()
                    assert [item.name for item in first.resources] == ["a"]
                    await ads.ask(CLUSTER, nonce=first.nonce)
                    await ads.ask(ROUTES, "r")
                    assert len((await ads.read()).resources[0].resource.value) > 300_000
                    await sds.ask(SECRET, "ROOTCA", "nothing")
                    shown = await sds.read()
                    assert [item.name for item in shown.resources] == ["ROOTCA"]
                    assert shown.removed_resources == ["nothing"]
                    await sds.ask(SECRET, nonce=shown.nonce)
                    secrets.replace(b"two")
                    assert b"two" in (await sds.read()).resources[0].resource.value
                    news.set(published(cluster("a", "2s"), direct("r", "y")))
                    assert (await ads.read()).type_url == CLUSTER

    run(main())


@LOOPS
def test_unknown_methods_wrong_types_and_rubbish_have_their_status(run: Run) -> None:
    async def main() -> None:
        with folder() as place:
            async with XdsServer(Latest(published())) as server:
                await server.add(PROXY, place / "xds")
                async with Stream(place / "xds", "/no.such.Service/Method") as stream:
                    assert await stream.status() == grpc.StatusCode.UNIMPLEMENTED
                async with Stream(place / "xds", SDS_PATH) as stream:
                    await stream.ask(CLUSTER)
                    assert await stream.status() == grpc.StatusCode.INVALID_ARGUMENT
                async with grpc.aio.insecure_channel(f"unix:{place / 'xds'}") as typed:
                    channel: Any = typed
                    raw = channel.stream_stream(ADS_PATH)()
                    await raw.write(b"\xff\xff\xff")
                    assert await raw.code() == grpc.StatusCode.INVALID_ARGUMENT
                    large = channel.stream_stream(ADS_PATH)()
                    await large.write(b"\0" * (9 << 20))
                    assert await large.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

    run(main())


@LOOPS
def test_a_removed_proxy_is_hung_up_on_and_its_socket_goes(run: Run) -> None:
    async def main() -> None:
        with folder() as place:
            async with XdsServer(Latest(published())) as server:
                await server.add(PROXY, place / "xds")
                with pytest.raises(ValueError, match="served already"):
                    await server.add(PROXY, place / "again")
                async with Stream(place / "xds") as stream:
                    await stream.ask(CLUSTER)
                    await stream.read()
                    assert server.status_of(PROXY).connected
                    await server.remove(PROXY)
                    assert await stream.status() == grpc.StatusCode.UNAVAILABLE
                assert not (place / "xds").exists()
                assert server.proxies() == ()
                assert not server.status_of(PROXY).connected

    run(main())


def test_sockets_have_their_rights_and_replace_stale_ones() -> None:
    async def main() -> None:
        with folder() as place:
            path = place / "xds"
            stale = socket.socket(socket.AF_UNIX)
            stale.bind(str(path))
            stale.close()
            async with XdsServer(Latest(published())) as server:
                await server.add(PROXY, path, owner=(os.getuid(), os.getgid()))
                await server.add(OTHER, place / "other", mode=0o660)
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_IMODE((place / "other").stat().st_mode) == 0o660
                assert {item.name for item in place.iterdir()} == {"xds", "other"}
                async with Stream(path) as stream:
                    await stream.ask(CLUSTER)
                    await stream.read()
                (place / "other").rename(place / "theirs")
                (place / "other").write_text("a successor's")
            assert {item.name for item in place.iterdir()} == {"theirs", "other"}

    uvloop.run(main())


@LOOPS
def test_a_peer_that_is_not_allowed_hears_nothing(run: Run) -> None:
    async def main() -> None:
        seen: list[Peer] = []

        def nobody(peer: Peer) -> bool:
            seen.append(peer)
            return False

        with folder() as place:
            async with XdsServer(Latest(published())) as server:
                await server.add(PROXY, place / "xds", authorize=nobody)
                reader, writer = await asyncio.open_unix_connection(place / "xds")
                async with asyncio.timeout(20):
                    assert await reader.read() == b""
                writer.close()
                assert (seen[0].pid, seen[0].uid) == (os.getpid(), os.getuid())

    run(main())


@pytest.mark.parametrize("node_id", ["", "web-1", f"sidecar~10.0.0.1~{OTHER}~default.svc.cluster.local"])
def test_a_proxy_gets_what_is_its_own_by_socket_whatever_its_name(node_id: str) -> None:
    async def main() -> None:
        with folder() as place:
            async with XdsServer(Latest(published(cluster("a"))), Secrets()) as server:
                await server.add(PROXY, place / "xds")
                await server.add(OTHER, place / "other")
                async with Stream(place / "other", SDS_PATH) as stream:
                    request = DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=["ROOTCA"])
                    request.node.id = node_id
                    await stream.call.write(request)
                    shown = await stream.read()
                    assert not shown.resources
                    assert shown.removed_resources == ["ROOTCA"]

    uvloop.run(main())


def _rubbish(random: Random) -> bytes:
    """Something between noise and nearly right."""
    frames = [
        frame(random.choice(list(FrameType)), random.randrange(256), random.randrange(6), random.randbytes(20))
        for _ in range(random.randrange(30))
    ]
    start = PREFACE + frame(FrameType.SETTINGS, 0, 0) if random.random() < 0.8 else b""
    return start + b"".join(frames) + random.randbytes(random.randrange(50))


@LOOPS
def test_hostile_bytes_and_floods_do_not_disturb_the_others(run: Run) -> None:
    async def attack(path: Path, data: bytes) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(data)
            await writer.drain()
            writer.write_eof()
            async with asyncio.timeout(20):
                await reader.read()
        except (ConnectionError, BrokenPipeError):
            pass  # hung up on, as it should be
        finally:
            writer.close()

    async def main() -> None:
        random = Random(7)
        greeting = PREFACE + frame(FrameType.SETTINGS, 0, 0)
        floods = [
            greeting + frame(FrameType.PING, 0, 0, b"12345678") * 100_000,
            greeting + frame(FrameType.SETTINGS, 0, 0) * 100_000,
            greeting + frame(FrameType.HEADERS, 0, 1) + frame(FrameType.CONTINUATION, 0, 1, b"\0" * 16_000) * 100,
            b"\0" * 1_000_000,
        ]
        with folder() as place:
            news = Latest(published(cluster("a")))
            async with XdsServer(news) as server:
                await server.add(PROXY, place / "xds")
                async with Stream(place / "xds") as honest:
                    await honest.ask(CLUSTER)
                    nonce = (await honest.read()).nonce
                    await honest.ask(CLUSTER, nonce=nonce)
                    for data in (*floods, *(_rubbish(random) for _ in range(200))):
                        await attack(place / "xds", data)
                    news.set(published(cluster("a"), cluster("b")))
                    assert [item.name for item in (await honest.read()).resources] == ["b"]

    run(main())


def test_for_one_that_reads_nothing_no_queue_grows() -> None:
    async def main() -> None:
        many = [item for n in range(200) for item in (cluster(f"c{n}"), endpoints(f"c{n}", 1))]
        with folder() as place:
            news = Latest(published(*many, direct("r", "x" * 400_000)))
            async with XdsServer(news, timing=Timing(patience=0.0, warming=0.0)) as server:
                await server.add(PROXY, place / "xds")
                async with Stream(place / "xds") as stream:
                    await stream.ask(CLUSTER)
                    await stream.ask(LISTENER)
                    await stream.ask(ROUTES, "r")
                    for _ in range(3):
                        await stream.read()  # and from here on nothing
                    for number in range(60):
                        news.set(published(*many, direct("r", f"{number}" * 200_000)))
                        await asyncio.sleep(0.01)
                    assert 0 < server.status_of(PROXY).waiting < 1_500_000  # a message or two, never all of them

    uvloop.run(main())


def test_who_asks_before_it_is_known_waits_until_it_is() -> None:
    async def main() -> None:
        with folder() as place:
            news = Latest(published(cluster("a"), proxies=()))
            async with XdsServer(news) as server:
                await server.add(PROXY, place / "xds")
                async with Stream(place / "xds") as stream:
                    await stream.ask(CLUSTER)
                    while not server.status_of(PROXY).connected:
                        await asyncio.sleep(0.01)
                    assert not await server.synced(PROXY, 0.05)
                    news.set(published(cluster("a")))
                    assert [item.name for item in (await stream.read()).resources] == ["a"]

    uvloop.run(main())
