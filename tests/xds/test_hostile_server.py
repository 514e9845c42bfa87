"""Our client side and a server that does what it likes: the call ends with a reason, and nothing grows."""

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import uvloop

from meshwright.xds.grpc import CallError, MessageReader, Status, prefix
from meshwright.xds.grpc_client import GrpcClient
from meshwright.xds.heartbeat import Heartbeat
from meshwright.xds.http2_wire import (
    END_HEADERS,
    END_STREAM,
    ErrorCode,
    FrameType,
    frame,
    goaway,
    header_block,
    reset,
    settings,
)
from tests.xds.conversations import RESPONSE, TRAILERS, Speaker, mutate
from tests.xds.envoys import folder

GREETING = settings(())


class Listener:
    """A call that keeps what it hears."""

    more = False

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ended = 0

    def receive(self, message: bytes, now: float) -> None:
        del now
        self.heard.append(message)

    def next_message(self, now: float) -> bytes | None:
        del now

    def wake_at(self, now: float) -> float | None:
        del now

    def closed(self) -> None:
        self.ended += 1


async def call(path: Path, answer: bytes, *, closing: bool = True) -> tuple[str, Listener]:
    """Make a call at a server that says `answer` to everything; why it ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(answer)
            await writer.drain()
            if closing:
                writer.write_eof()
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    loop, listener = asyncio.get_running_loop(), Listener()
    _, client = await loop.create_unix_connection(
        lambda: GrpcClient("/x", listener, loop.time, largest=1_000, heartbeat=Heartbeat(0.1, 0.2)), str(path)
    )
    try:
        async with asyncio.timeout(20):
            return await client.ended(), listener
    finally:
        client.abort()
        server.close()


def headers(fields: list[tuple[bytes, bytes]], *, ends: bool = False, first: bool = True) -> bytes:
    return frame(FrameType.HEADERS, END_HEADERS | (END_STREAM if ends else 0), 1, header_block(fields, first=first))


def data(payload: bytes, flags: int = 0) -> bytes:
    return frame(FrameType.DATA, flags, 1, payload)


OK = headers(RESPONSE)
ENDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "trailers": (lambda: OK + headers(TRAILERS, ends=True, first=False), "ended the call: fine"),
    "trailers alone": (lambda: headers([*RESPONSE, (b"grpc-status", b"14")], ends=True), "ended the call: 14"),
    "no trailers": (lambda: OK + data(prefix(1) + b"x", END_STREAM), "ended the call"),
    "half a message": (lambda: OK + data(prefix(10) + b"x", END_STREAM), "ended the call"),
    "another status": (lambda: headers([(b":status", b"503")]) + data(prefix(1) + b"x"), "503"),
    "another content": (
        lambda: headers([(b":status", b"200"), (b"content-type", b"text/html")]) + data(prefix(1) + b"x"),
        "text/html",
    ),
    "no status": (lambda: headers([(b"content-type", b"application/grpc")]), "reset the call (1)"),
    "data first": (lambda: data(prefix(1) + b"x"), "reset the call (1)"),
    "compressed": (lambda: OK + data(b"\1" + struct.pack(">I", 1) + b"x"), "compressed"),
    "giant": (lambda: OK + data(b"\0\xff\xff\xff\xff"), "4294967295"),
    "too large": (lambda: OK + data(prefix(1_001)), "1001"),
    "reset": (lambda: OK + reset(1, ErrorCode.CANCEL), "reset the call (8)"),
    "goodbye before the call": (lambda: goaway(0, ErrorCode.NO_ERROR), "reset the call (7)"),
    "push": (lambda: frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, bytes(4)), "nothing is pushed"),
    "push allowed": (lambda: frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 2, 1)), "ENABLE_PUSH"),
    "pings": (lambda: frame(FrameType.PING, 0, 0, bytes(8)) * 5_000, "too many frames"),
    "settings": (lambda: settings(()) * 5_000, "too many frames"),
    "empty data": (lambda: OK + data(b"") * 5_000, "too many frames"),
    "continuations": (
        lambda: frame(FrameType.HEADERS, 0, 1, b"") + frame(FrameType.CONTINUATION, 0, 1, b"") * 100,
        "beyond the limits",
    ),
    "a bomb": (
        lambda: frame(FrameType.HEADERS, 4, 1, b"\x40\x01a\x7f\x81\x1e" + b"x" * 4_000 + b"\xbe" * 5_000),
        "list",
    ),
    "informational for ever": (
        lambda: headers([(b":status", b"103")]) + headers([(b":status", b"103")], first=False) * 5_000,
        "too many frames",
    ),
    "no http/2": (lambda: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100, "frame"),
    "hung up": (lambda: OK, "hung up"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_call_ends_with_its_reason(name: str) -> None:
    make, reason = ENDS[name]

    async def main() -> None:
        with folder() as place:
            before = b"" if name == "no http/2" else GREETING
            said, listener = await call(place / "s", before + make())
            assert reason in said, said
            assert listener.ended == 1
            assert len(listener.heard) <= (name == "no trailers")

    uvloop.run(main())


def test_a_server_that_says_nothing_and_one_that_says_half_are_left() -> None:
    async def main() -> None:
        with folder() as place:
            for number, said in enumerate((b"", GREETING, GREETING + OK + data(prefix(900) + b"x"))):
                reason, listener = await call(place / f"s{number}", said, closing=False)
                assert reason == "the server shows no life"
                assert listener.heard == []

    uvloop.run(main())


def test_no_conversation_makes_it_fail(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with folder() as place:
            for seed in range(150):
                random = Random(seed)
                speaker = Speaker(random, serves=(1,)).speak(15)
                reason, listener = await call(place / f"s{seed}", b"".join(mutate(random, speaker.frames)))
                assert reason
                assert listener.ended == 1

    uvloop.run(main())
    assert not [each for each in caplog.records if each.levelname == "ERROR"], "errors of ours"


def test_messages_in_pieces_of_any_size() -> None:
    random = Random(5)
    messages = [random.randbytes(random.randrange(2_000)) for _ in range(200)]
    body = b"".join(prefix(len(each)) + each for each in messages)
    reader, got, at = MessageReader(2_000), list[bytes](), 0
    while at < len(body):
        size = random.choice((1, 2, 5, 100, 5_000))
        got += reader.feed(body[at : at + size])
        at += size
        assert reader.kept < 2_005 + 5_000
    assert got == messages
    assert reader.kept == 0


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\1\0\0\0\1", Status.UNIMPLEMENTED),
        (b"\xff\0\0\0\0", Status.UNIMPLEMENTED),
        (b"\0\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
    ],
    ids=["compressed", "no flag", "giant"],
)
def test_a_bad_prefix_ends_the_call_before_its_message_is_kept(head: bytes, status: Status) -> None:
    reader = MessageReader(1_000)
    assert list(reader.feed(head[:4])) == []
    with pytest.raises(CallError) as raised:
        list(reader.feed(head[4:]))
    assert raised.value.status == status
