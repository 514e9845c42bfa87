"""What a call says without being asked goes the short way, past the transport, and never past what waits there."""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import h2.events
import pytest
import uvloop

from meshwright.xds.grpc import PREFIX, Framed, MessageReader
from meshwright.xds.transport import LARGEST_MESSAGE, GrpcConnection, Line
from tests.xds.envoys import folder
from tests.xds.peers import RawClient, raw_client

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
WINDOW = 1 << 26  # bytes; more than is said here
MESSAGES, SIZE = 300, 20_000  # far more than a socket takes


class Speaker:
    """A call that says what is put into `out` when it is asked, and the rest by itself."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.out: deque[Framed] = deque()
        self.ended = False

    @property
    def more(self) -> bool:
        return bool(self.out)

    def receive(self, message: bytes, now: float) -> None:
        raise AssertionError(f"{message!r} at {now}: nobody talks to it")

    def next_message(self, now: float) -> Framed | None:
        del now
        return self.out.popleft() if self.out else None

    def wake_at(self, now: float) -> float | None:
        del now

    def closed(self) -> None:
        self.ended = True

    def say(self, message: Framed) -> bool:
        """By itself if that is possible, and nothing waits to be asked for."""
        if not self.out and self.line.connection.say(self, self.line, message):
            return True
        self.out.append(message)
        self.line.connection.pump()
        return False


class Hearer(RawClient):
    """Keeps the messages; its windows are as large as they may be."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = MessageReader(LARGEST_MESSAGE)
        self.heard: list[bytes] = []
        self.answered = False  # a ping

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.PingAckReceived):
                self.answered = True
            if isinstance(event, h2.events.DataReceived):
                self.heard += self.reader.feed(bytes(event.data))
        self.flush()


@contextlib.asynccontextmanager
async def talking(place: Path) -> AsyncGenerator[tuple[Speaker, Hearer]]:
    loop, calls = asyncio.get_running_loop(), list[Speaker]()

    def opened(path: str, line: Line) -> Speaker:
        del path
        calls.append(Speaker(line))
        return calls[-1]

    server = await loop.create_unix_server(
        lambda: GrpcConnection(opened, loop.time, lambda _: None), str(place / "say")
    )
    async with server:
        client = cast("Hearer", await raw_client(place / "say", Hearer))
        client.h2.increment_flow_control_window(WINDOW)
        client.open(1)
        client.h2.increment_flow_control_window(WINDOW, 1)
        client.flush()
        async with asyncio.timeout(20):
            while not calls or not calls[0].line.stream.window > WINDOW:
                await asyncio.sleep(0.001)
        try:
            yield calls[0], client
        finally:
            assert client.transport is not None
            client.transport.abort()


def message(number: int) -> Framed:
    return Framed(number.to_bytes(4, "big") * (SIZE // 4))


async def heard(client: Hearer, numbers: int) -> None:
    async with asyncio.timeout(20):
        while len(client.heard) < numbers:
            await asyncio.sleep(0.001)
    assert client.heard == [message(number).body[PREFIX:] for number in range(numbers)]


@LOOPS
def test_what_is_said_to_one_who_does_not_read_comes_whole_and_in_order(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with talking(place) as (speaker, client):
                assert client.transport is not None
                client.transport.pause_reading()
                at_once = [speaker.say(message(number)) for number in range(MESSAGES)]
                assert at_once[0], "nothing stood in the way of the first one"
                assert not at_once[-1], "the socket was full"
                assert speaker.out, "and nothing is queued without a bound for who does not read"
                client.transport.resume_reading()
                await heard(client, MESSAGES)
                speaker.say(message(MESSAGES))  # perhaps it is seen only now that nothing waits any more
                await heard(client, MESSAGES + 1)
                assert speaker.say(message(MESSAGES + 1)), "the short way is open again"
                await heard(client, MESSAGES + 2)

    run(main())


@LOOPS
def test_nothing_is_said_on_a_connection_that_has_ended(run: Any) -> None:
    async def main() -> None:
        with folder() as place:
            async with talking(place) as (speaker, client):
                assert speaker.say(message(0))
                await heard(client, 1)
                speaker.line.connection.abort()
                assert not speaker.line.connection.say(speaker, speaker.line, message(1))
                async with asyncio.timeout(20):
                    await client.over.wait()
                assert speaker.ended
                assert not speaker.line.connection.say(speaker, speaker.line, message(1))

    run(main())


@LOOPS
def test_a_call_that_is_over_before_it_began_is_no_error(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with folder() as place:
            async with talking(place) as (speaker, client):
                headers = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "x")]
                client.h2.send_headers(3, [*headers, ("content-type", "application/grpc")])
                client.h2.reset_stream(3)
                client.flush()  # headers and reset in one piece
                client.h2.ping(bytes(8))
                client.flush()
                async with asyncio.timeout(20):
                    while not client.answered:
                        await asyncio.sleep(0.001)
                assert speaker.say(message(0)), "the connection is as it was"
                await heard(client, 1)

    run(main())
    assert not caplog.records


class _Encrypted(asyncio.Transport):
    """A transport whose socket must not be written to past it."""

    def __init__(self) -> None:
        super().__init__({"sslcontext": ssl.create_default_context(), "socket": None})
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def test_a_connection_with_tls_is_written_to_by_its_transport_only() -> None:
    async def main() -> None:
        loop, transport, calls = asyncio.get_running_loop(), _Encrypted(), list[Speaker]()
        connection = GrpcConnection(
            lambda _, line: calls.append(Speaker(line)) or calls[-1], loop.time, lambda _: None
        )
        connection.connection_made(transport)
        client = RawClient()
        client.transport = _Encrypted()
        client.open(1)
        connection.data_received(client.transport.written)
        transport.written = b""
        assert not calls[0].say(message(0))
        assert len(transport.written) > SIZE
        connection.connection_lost(None)

    asyncio.run(main())
