"""Nobody on the socket, however slow or hostile, disturbs the control plane or another node."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.ca import certificates
from meshwright.ca.authority import Authority
from meshwright.model.planned_pod import DesiredState
from meshwright.model.workload import Identity
from meshwright.node.messages import (
    PATH,
    PROTOCOL,
    Commit,
    DrainAsked,
    Dropped,
    Hello,
    Message,
    Rows,
    SignAsked,
    encode,
)
from meshwright.node.relay import Relay, TcpAddress
from meshwright.node.server import owner_of
from meshwright.node.session import MOST_ASKED, NodeSession
from meshwright.xds.grpc import CallError, prefix
from meshwright.xds.http2_client import Http2Client
from meshwright.xds.http2_wire import PREFACE, FrameType, frame
from tests.ca.signing import issue
from tests.node.mesh import ControlPlane, bytes_of, endpoints, pod, published, relay, status, until
from tests.xds.envoys import folder

WEB, DB = pod("web"), pod("db")
HELLO = Hello(PROTOCOL, {}, [])


def speech(*messages: Message, path: str = PATH) -> bytes:
    """What a client sends who opens one stream and says these, in disregard of every window."""
    client = Http2Client()
    headers = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()))
    stream = client.start((*headers, (b"content-type", b"application/grpc"), (b"te", b"trailers")))
    for message in messages:
        data = encode(message)
        client.send_data(stream, prefix(len(data)) + data)
    return client.take_output()


async def hung_up(path: Path, data: bytes, *, closing: bool = False) -> bytes:
    """Say `data`, and read until the server is through with us."""
    reader, writer = await asyncio.open_unix_connection(path)
    answer = b""
    try:
        writer.write(data)
        await writer.drain()
        if closing:
            writer.write_eof()
        async with asyncio.timeout(20):
            while not (closing and not answer) and (piece := await reader.read(65_536)):
                answer += piece
                if b"grpc-status" in answer:
                    break
    except (ConnectionError, BrokenPipeError):
        pass
    finally:
        writer.close()
    return answer


@asynccontextmanager
async def honest(place: Path) -> AsyncGenerator[tuple[ControlPlane, Relay]]:
    """A mesh with a node that must not notice anything; asked at the end."""
    plane = ControlPlane(place)
    plane.desired.set(DesiredState((WEB,)))
    plane.published.set(published({"one": (endpoints("x", "1"),)}, {"web": "one"}, change=1))
    async with plane.running() as server:
        await server.add("good", plane.desired, path=place / "good")
        async with Relay(place / "good", place / "good-cache") as node:
            await node.loaded()
            yield plane, node
            assert node.connected.value
            plane.published.set(published({"one": (endpoints("x", "last"),)}, {"web": "one"}, change=9))
            await until(lambda: node.published.value.change == 9)


def test_rubbish_and_broken_rules() -> None:
    async def run() -> None:
        random = Random(11)
        greeting = PREFACE + frame(FrameType.SETTINGS, 0, 0)
        wrong = (
            speech(Commit(1)),
            speech(HELLO, HELLO),
            speech(Hello(99, {}, [])),
            speech(HELLO, Rows("secrets", [("a", b"b")])),
            speech(HELLO, Rows("statuses", [("a", b"not msgpack")]), Commit(1)),
            speech(HELLO, Rows("statuses", [("a", b"\x80")]), Commit(1)),
            speech(HELLO, Rows("progress", [], [], ["never seen"]), Commit(1)),
            speech(HELLO, path="/another.Service/Method"),
        )
        with folder() as place:
            async with honest(place):
                for data in wrong:
                    assert b"grpc-status" in await hung_up(place / "node", data)
                for data in (
                    b"\0" * 100_000,
                    greeting + frame(FrameType.PING, 0, 0, b"12345678") * 50_000,
                    *(greeting + random.randbytes(random.randrange(200)) for _ in range(100)),
                    *(speech(HELLO)[:-9] + random.randbytes(random.randrange(60)) for _ in range(50)),
                ):
                    await hung_up(place / "node", data, closing=True)

    uvloop.run(run())


def test_who_asks_without_end_is_hung_up_on() -> None:
    async def run() -> None:
        never = asyncio.Event()
        with folder() as place:
            async with honest(place) as (plane, _):

                async def drained(name: str) -> None:
                    del name
                    await never.wait()

                plane.drained = drained
                asks = speech(HELLO, *(DrainAsked(number, "x.default") for number in range(1_000)))
                signs = speech(HELLO, *(SignAsked(number, "x.default", b"x") for number in range(1_000)))
                drops = speech(HELLO, Dropped(["x" * 1_000]), *(Dropped([]) for _ in range(1_000)), Commit(1))
                for data in (asks, signs, drops):
                    await hung_up(place / "node", data, closing=True)

    uvloop.run(run())


def test_answers_are_not_kept_for_who_does_not_take_them() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            async with plane.running() as server:
                session = NodeSession("local", owner_of(server))
                session.receive(encode(HELLO), 0.0)
                taken = 0
                for number in range(5_000):  # whoever reads may ask for ever
                    session.receive(encode(SignAsked(number, "x.default", b"x")), 0.0)
                    while session.next_message(0.0) is not None:
                        taken += 1
                assert taken > 5_000
                for number in range(MOST_ASKED):
                    session.receive(encode(SignAsked(number, "x.default", b"x")), 0.0)
                with pytest.raises(CallError):
                    session.receive(encode(SignAsked(1, "x.default", b"x")), 0.0)
                session.closed()

    uvloop.run(run())


def test_a_node_that_does_not_read_delays_only_itself_and_queues_nothing() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(DesiredState((WEB,)))
            async with plane.running() as server:
                await server.add("good", plane.desired, path=place / "good")
                async with Relay(place / "good", place / "good-cache") as node:
                    reader, writer = await asyncio.open_unix_connection(place / "node", limit=1)
                    writer.write(speech(HELLO))
                    await until(lambda: server.nodes()["local"].connected)
                    for number in range(1, 41):
                        items = tuple(endpoints(f"e{each}", f"{number}", 50_000) for each in range(40))
                        plane.published.set(published({"one": items}, {"web": "one"}, change=number))
                        await until(lambda: node.published.value.change == plane.published.value.change)
                        assert server.nodes()["local"].waiting < 600_000
                    assert server.nodes()["local"].waiting > 0
                    assert server.nodes()["good"].waiting == 0
                    writer.close()
                    del reader

    uvloop.run(run())


def test_a_foreign_user_is_not_let_in() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            async with plane.running() as server:
                await server.add("theirs", plane.desired, path=place / "theirs", uids=frozenset({123_456}))
                assert await hung_up(place / "theirs", speech(HELLO)) == b""
                assert not server.nodes()["theirs"].connected
                assert (place / "theirs").stat().st_mode & 0o777 == 0o600

    uvloop.run(run())


def test_a_damaged_cache_counts_as_none() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(DesiredState((WEB,)))
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"web": "one"}, change=1))
            async with plane.running(), relay(place) as node:
                await node.loaded()
            kept = place / "node-cache" / "state"
            whole = kept.read_bytes()
            for damaged in (whole[:-1], whole[:100], b"", whole[:-5] + bytes(5), b"x" + whole):
                kept.write_bytes(damaged)
                async with relay(place) as node:
                    assert node.desired.value == DesiredState()
                    async with plane.running():
                        await node.loaded()
                        assert bytes_of(node.published.value) == bytes_of(plane.published.value)

    uvloop.run(run())


def test_over_tcp_the_certificate_is_the_node() -> None:
    async def run() -> None:
        now = datetime.now(UTC)
        with folder() as place:
            authority = Authority.open(place / "ca", "cluster.local", now)
            (place / "root.pem").write_bytes(authority.roots_pem)
            chain, key = authority.issue_server(["127.0.0.1"], now)
            (place / "server.pem").write_bytes(key + chain)
            server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / "root.pem")
            server_side.verify_mode = ssl.CERT_REQUIRED
            server_side.load_cert_chain(place / "server.pem")

            def node_of(certificate: Mapping[str, Any]) -> str | None:
                prefix_of = "spiffe://cluster.local/ns/nodes/sa/"
                names = [str(value) for kind, value in certificate["subjectAltName"] if kind == "URI"]
                return next((each.removeprefix(prefix_of) for each in names if each.startswith(prefix_of)), None)

            def context(namespace: str, name: str) -> ssl.SSLContext:
                leaf = issue(authority, Identity("cluster.local", namespace, name), now)
                (place / "client.pem").write_bytes(leaf.key_pem + leaf.chain_pem)
                found = ssl.create_default_context(cafile=place / "root.pem")
                found.check_hostname = False
                found.load_cert_chain(place / "client.pem")
                return found

            assert certificates.uris(issue(authority, Identity("cluster.local", "nodes", "far"), now).chain_pem)
            plane = ControlPlane(place)
            plane.published.set(published({"one": (endpoints("x", "1", 300_000),)}, {"web": "one"}, change=1))
            async with plane.running() as server:
                await server.add("far", Latest(DesiredState((WEB,))))
                port = await server.listen("127.0.0.1", 0, server_side, node_of)
                async with Relay(TcpAddress("127.0.0.1", port, context("nodes", "far")), place / "far-cache") as far:
                    await far.loaded()
                    assert bytes_of(far.published.value) == bytes_of(plane.published.value)
                    far.report({WEB.name: status()})
                    await server.reported("far")
                    # a workload's certificate is not a node's
                    pretender = TcpAddress("127.0.0.1", port, context("default", "far"))
                    async with Relay(pretender, place / "none") as other:
                        await asyncio.sleep(0.2)
                        assert other.desired.value == DesiredState()
                        assert far.connected.value

    uvloop.run(run())
