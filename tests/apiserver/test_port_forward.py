"""Port-forward over real WebSockets: SPDY in messages as kubectl sends it, and the channels of other clients."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers

from meshwright.apiserver import forwarding, spdy
from meshwright.apiserver.port_forward import CHANNELS, MOST_CONNECTIONS, TUNNEL
from tests.apiserver.machine import HostPrograms, running_pod
from tests.apiserver.objects import pods
from tests.apiserver.server import READER_TOKEN, Running, running

SECONDS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("forward")
    with running(folder, machine=HostPrograms(folder / "log")) as started:
        running_pod(started.admin, "default", "one")
        yield started


@asynccontextmanager
async def connected(
    server: Running, protocol: str = TUNNEL, query: str = "", token: str = ""
) -> AsyncGenerator[ClientConnection]:
    url = f"wss://127.0.0.1:{server.port}{pods('default', 'one')}/portforward{query}"
    tls: ssl.SSLContext = server.tls
    headers = {"Authorization": f"Bearer {token or server.token}"}
    headers |= {"Sec-WebSocket-Protocol": protocol} if protocol else {}
    async with (
        asyncio.timeout(SECONDS),
        websockets.connect(
            url, ssl=tls, additional_headers=headers, compression=None, max_size=None, create_connection=_Lenient
        ) as socket,
    ):
        yield socket


class _Lenient(ClientConnection):
    """The library takes no names with a slash: it is kept from looking."""

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        protocol.process_subprotocol = _nothing
        super().__init__(protocol, **options)


def _nothing(headers: Headers) -> None:
    del headers


@dataclass
class Tunnel:
    """The client's side of SPDY."""

    socket: ClientConnection
    encoder: spdy.Encoder = field(default_factory=spdy.Encoder)
    decoder: spdy.Decoder = field(default_factory=spdy.Decoder)
    said: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    ended: set[int] = field(default_factory=set[int])
    resets: dict[int, int] = field(default_factory=dict[int, int])
    answered: set[int] = field(default_factory=set[int])
    pings: list[int] = field(default_factory=list[int])
    next: int = 1

    async def open(self, kind: str, port: int | str, request: str, *, fin: bool = False) -> int:
        stream, self.next = self.next, self.next + 2
        headers = {"streamtype": kind, "port": str(port), "requestid": request}
        await self.socket.send(self.encoder.opened(stream, headers, fin=fin))
        return stream

    async def connect(self, port: int, request: str) -> tuple[int, int]:
        error = await self.open("error", port, request)
        await self.socket.send(spdy.data(error, b"", fin=True))
        return error, await self.open("data", port, request)

    async def until(self, *streams: int) -> None:
        """Read until all of these have ended."""
        while not set(streams) <= self.ended | self.resets.keys():
            await self.read()

    async def read(self) -> None:
        message = await self.socket.recv()
        assert isinstance(message, bytes)
        for frame in self.decoder.feed(message):
            match frame:
                case spdy.Data(stream, content, fin):
                    self.said[stream] += content
                    self.ended |= {stream} if fin else set()
                case spdy.Reset(stream, status):
                    self.resets[stream] = status
                case spdy.Answered(stream):
                    self.answered.add(stream)
                case spdy.Ping(number):
                    self.pings.append(number)
                case _:
                    return


@asynccontextmanager
async def echo() -> AsyncGenerator[int]:
    """A server that says what it hears once it has heard the end: only half-closed connections get an answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


def test_connections_carry_bytes_both_ways_and_end_by_halves(server: Running) -> None:
    async def talk() -> None:
        async with echo() as port, connected(server) as socket:
            tunnel = Tunnel(socket)
            streams = [await tunnel.connect(port, str(number)) for number in range(20)]
            for number, (_, data) in enumerate(streams):
                await socket.send(spdy.data(data, b"%d " % number * 50_000))
            await socket.send(spdy.ping(7))
            for _, data in reversed(streams):
                await socket.send(spdy.data(data, b"", fin=True))
            await tunnel.until(*(stream for pair in streams for stream in pair))
            for number, (error, data) in enumerate(streams):
                assert tunnel.said[error] == b""
                assert tunnel.said[data] == b"%d " % number * 50_000
            assert tunnel.pings == [7]
            assert tunnel.resets == {}
            assert len(tunnel.answered) == 40

    asyncio.run(talk())


def test_a_port_where_nobody_listens_is_told_on_the_error_stream(server: Running) -> None:
    async def talk() -> bytes:
        async with connected(server) as socket:
            tunnel = Tunnel(socket)
            error, data = await tunnel.connect(1, "0")
            await tunnel.until(error, data)
            return bytes(tunnel.said[error])

    said = asyncio.run(talk())
    assert b"error forwarding port 1 to pod default/one" in said
    assert b"Connection refused" in said


def test_a_reset_stream_ends_its_connection_alone(server: Running) -> None:
    async def talk() -> None:
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            over.set()
            writer.close()

        async with (
            await asyncio.start_server(serve, "127.0.0.1", 0) as listening,
            echo() as port,
            connected(server) as socket,
        ):
            tunnel = Tunnel(socket)
            error, data = await tunnel.connect(listening.sockets[0].getsockname()[1], "0")
            _, other = await tunnel.connect(port, "1")
            await socket.send(spdy.reset(data, spdy.CANCEL))
            await over.wait()
            await tunnel.until(error)
            await socket.send(spdy.data(other, b"still here", fin=True))
            await tunnel.until(other)
            assert tunnel.said[other] == b"still here"

    asyncio.run(talk())


def test_streams_that_make_no_sense_are_refused(server: Running) -> None:
    async def talk() -> None:
        async with connected(server) as socket:
            tunnel = Tunnel(socket)
            wrong = [
                await tunnel.open("other", 80, "0"),
                await tunnel.open("data", 0, "1"),
                await tunnel.open("data", "http", "2"),
            ]
            await tunnel.open("data", 80, "3")
            wrong.append(await tunnel.open("data", 80, "3"))
            await tunnel.until(*wrong)
            assert set(tunnel.resets.values()) == {spdy.PROTOCOL_ERROR}
            many = [await tunnel.open("error", 80, f"n{number}") for number in range(MOST_CONNECTIONS)]
            await tunnel.until(many[-1])
            assert tunnel.resets[many[-1]] == spdy.REFUSED_STREAM

    asyncio.run(talk())


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", spdy.Encoder().opened(2, {"streamtype": "data"})])
def test_what_is_no_spdy_ends_the_connection(server: Running, rubbish: bytes) -> None:
    async def talk() -> int | None:
        async with connected(server) as socket:
            await socket.send(rubbish)
            with suppress(websockets.exceptions.ConnectionClosedError):
                async for _ in socket:
                    pass
            return socket.close_code

    assert asyncio.run(talk()) == 1002


@pytest.mark.parametrize("protocol", [CHANNELS, ""])
def test_other_clients_use_channels_and_some_say_nothing_of_it(server: Running, protocol: str) -> None:
    async def talk() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with connected(server, protocol, f"?ports={port},1") as socket:
                said: dict[int, bytearray] = defaultdict(bytearray)
                await socket.send(b"\0hello\n")
                while len(said[0]) < 8 or len(said[3]) < 20:
                    message = await socket.recv()
                    assert isinstance(message, bytes)
                    said[message[0]] += message[1:]
                assert said[0] == port.to_bytes(2, "little") + b"hello\n"
                assert said[1] == port.to_bytes(2, "little")
                assert b"Connection refused" in said[3]

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"protocol": "v9"}, 400),
        ({"protocol": CHANNELS}, 400),
        ({"protocol": CHANNELS, "query": "?ports=99999"}, 400),
        ({"token": "wrong"}, 401),
        ({"token": READER_TOKEN}, 403),
    ],
)
def test_what_cannot_be_done_is_refused(server: Running, options: dict[str, str], status: int) -> None:
    async def talk() -> int:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with connected(server, **options):
                pass
        return refused.value.response.status_code

    assert asyncio.run(talk()) == status


def test_a_pod_that_takes_nothing_is_given_up_and_the_others_go_on(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "STUCK_SECONDS", 0.5)

    async def talk() -> None:
        idle, over = asyncio.Event(), asyncio.Event()

        async def never_read(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await idle.wait()
            writer.transport.abort()
            over.set()

        async with (
            await asyncio.start_server(never_read, "127.0.0.1", 0, limit=1000) as listening,
            echo() as port,
            connected(server) as socket,
        ):
            tunnel = Tunnel(socket)
            error, data = await tunnel.connect(listening.sockets[0].getsockname()[1], "0")
            for _ in range(100):  # 100 MB are more than all buffers on the way
                await socket.send(spdy.data(data, bytes(1_000_000)))
            _, other = await tunnel.connect(port, "1")
            await socket.send(spdy.data(other, b"still here", fin=True))
            await tunnel.until(error, data, other)
            assert b"it took nothing" in tunnel.said[error]
            assert tunnel.said[other] == b"still here"
            idle.set()
            await over.wait()

    asyncio.run(talk())


def test_what_a_client_does_not_read_a_pod_cannot_write(server: Running) -> None:
    async def talk() -> int:
        written = 0
        over = asyncio.Event()

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            with suppress(ConnectionError):
                while True:
                    writer.write(bytes(65536))
                    await writer.drain()
                    written += 65536
            writer.close()
            over.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening, connected(server) as socket:
            tunnel = Tunnel(socket)
            await tunnel.connect(listening.sockets[0].getsockname()[1], "0")
            seen = -1
            while written != seen or not written:
                seen = written
                await asyncio.sleep(0.5)
            socket.transport.abort()
            await over.wait()
        return seen

    assert asyncio.run(talk()) < 30_000_000
