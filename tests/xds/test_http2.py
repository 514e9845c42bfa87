"""Our HTTP/2 against the h2 library as the other side, and against peers that break the rules."""

import struct
from collections.abc import Callable
from random import Random

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.xds.http2 import Limits
from meshwright.xds.http2_events import (
    ConnectionEnded,
    DataReceived,
    Event,
    RequestEnded,
    RequestStarted,
    StreamReset,
)
from meshwright.xds.http2_server import Http2Server
from meshwright.xds.http2_wire import PREFACE, ErrorCode, FrameType, frame, header_block

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/service/Method"),
    (b":authority", b"xds"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
RESPONSE = [(b":status", b"200"), (b"content-type", b"application/grpc")]


def client() -> h2.connection.H2Connection:
    config = h2.config.H2Configuration(client_side=True, header_encoding=None)
    return h2.connection.H2Connection(config)


class Pair:
    """An h2 client and our server, joined by bytes that are cut anywhere."""

    def __init__(
        self, cut: int = 100_000, client_settings: dict[h2.settings.SettingCodes | int, int] | None = None
    ) -> None:
        self.client, self.server, self.cut = client(), Http2Server(), cut
        self.client.initiate_connection()
        if client_settings:
            self.client.update_settings(client_settings)
        self.at_server: list[Event] = []
        self.at_client: list[h2.events.Event] = []
        self.exchange()

    def exchange(self, *, credit: bool = True) -> None:
        """Carry bytes both ways until both are silent; `credit` lets the client take more data."""
        while True:
            up, down = self.client.data_to_send(), self.server.take_output()
            if not up and not down:
                return
            for at in range(0, len(up), self.cut):
                self.at_server += self.server.receive(up[at : at + self.cut], 0.0)
            for at in range(0, len(down), self.cut):
                for event in self.client.receive_data(down[at : at + self.cut]):
                    self.at_client.append(event)
                    if credit and isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                        self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)

    def received_by_server(self, stream: int) -> bytes:
        return b"".join(e.data for e in self.at_server if isinstance(e, DataReceived) and e.stream == stream)

    def received_by_client(self, stream: int) -> bytes:
        found = (e for e in self.at_client if isinstance(e, h2.events.DataReceived) and e.stream_id == stream)
        return b"".join(e.data or b"" for e in found)


@given(
    cut=st.integers(100, 20_000),
    window=st.integers(5_000, 100_000),
    frame_size=st.integers(16_384, 100_000),
    up=st.lists(st.integers(0, 30_000), max_size=3),
    down=st.lists(st.integers(0, 200_000), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_data_of_any_size_arrives_whole_both_ways(
    cut: int, window: int, frame_size: int, up: list[int], down: list[int]
) -> None:
    codes = h2.settings.SettingCodes
    pair = Pair(cut, {codes.INITIAL_WINDOW_SIZE: window, codes.MAX_FRAME_SIZE: frame_size, codes.ENABLE_PUSH: 0})
    pair.client.send_headers(1, REQUEST)
    pair.exchange()
    assert pair.at_server == [RequestStarted(1, tuple(REQUEST))]
    pair.server.send_headers(1, RESPONSE)
    for number, size in enumerate(up):
        for at in range(0, size, 16_384):
            pair.client.send_data(1, bytes((number,)) * min(16_384, size - at))
            pair.exchange()
    for number, size in enumerate(down):
        pair.server.send_data(1, bytes((number,)) * size)
    pair.server.send_trailers(1, [(b"grpc-status", b"0")])
    pair.exchange()
    assert pair.received_by_server(1) == b"".join(bytes((n,)) * size for n, size in enumerate(up))
    assert pair.received_by_client(1) == b"".join(bytes((n,)) * size for n, size in enumerate(down))
    assert any(isinstance(event, h2.events.TrailersReceived) for event in pair.at_client)
    assert pair.server.waiting(1) == 0
    assert not pair.server.is_open(1)


def test_what_the_peer_does_not_take_waits_and_windows_may_shrink_and_grow() -> None:
    pair = Pair()
    pair.client.send_headers(1, REQUEST)
    pair.exchange()
    pair.server.send_headers(1, RESPONSE)
    pair.server.send_data(1, b"x" * 100_000)
    pair.exchange(credit=False)
    assert len(pair.received_by_client(1)) == 65_535
    assert pair.server.waiting(1) == 34_465
    pair.client.increment_flow_control_window(1 << 20)
    pair.exchange(credit=False)
    assert pair.server.waiting(1) == 34_465  # the stream's own window is still closed
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    pair.exchange(credit=False)
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 80_000})
    pair.exchange(credit=False)
    assert len(pair.received_by_client(1)) == 80_000
    pair.client.increment_flow_control_window(1 << 20, 1)
    pair.exchange(credit=False)
    assert len(pair.received_by_client(1)) == 100_000


@given(
    windows=st.lists(st.integers(0, 40_000), min_size=1, max_size=12),
    pieces=st.lists(st.integers(0, 60_000), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_windows_do_h2_has_no_complaint_and_gets_all(
    windows: list[int], pieces: list[int], order: Random
) -> None:
    """Windows that open, shrink below zero and close while several responses are sent."""
    pair, streams = Pair(), (1, 3, 5)
    for stream in streams:
        pair.client.send_headers(stream, REQUEST)
    pair.exchange()
    sent = dict.fromkeys(streams, b"")
    for stream in streams:
        pair.server.send_headers(stream, RESPONSE)
    acts = [("piece", size) for size in pieces] + [("window", size) for size in windows]
    order.shuffle(acts)
    for kind, size in acts:
        stream = order.choice(streams)
        if kind == "piece":
            sent[stream] += bytes((size % 256,)) * size
            pair.server.send_data(stream, bytes((size % 256,)) * size)
        elif order.random() < 0.5:
            pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size})
        else:
            pair.client.increment_flow_control_window(size + 1, order.choice((None, stream)))
        if order.random() < 0.7:
            pair.exchange(credit=False)
    for stream in streams:
        pair.server.send_trailers(stream, [(b"grpc-status", b"0")])
    pair.client.increment_flow_control_window(1 << 20)
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
    pair.exchange(credit=False)
    assert not any(isinstance(event, ConnectionEnded) for event in pair.at_server)
    assert {stream: pair.received_by_client(stream) for stream in streams} == sent
    assert all(not pair.server.is_open(stream) and pair.server.waiting(stream) == 0 for stream in streams)


def test_many_streams_trailers_resets_and_pings() -> None:
    pair = Pair()
    for stream in (1, 3, 5):
        pair.client.send_headers(stream, REQUEST)
    pair.client.send_headers(5, [(b"x-end", b"1")], end_stream=True)
    pair.client.reset_stream(3)
    pair.client.ping(b"12345678")
    pair.exchange()
    assert RequestEnded(5) in pair.at_server
    assert StreamReset(3, ErrorCode.NO_ERROR) in pair.at_server
    assert any(isinstance(event, h2.events.PingAckReceived) for event in pair.at_client)
    pair.server.send_trailers(1, [*RESPONSE, (b"grpc-status", b"12")])
    pair.server.reset(5, ErrorCode.CANCEL)
    pair.server.send_data(3, b"nobody is there")
    pair.server.close(ErrorCode.NO_ERROR, "bye")
    pair.exchange()
    assert any(isinstance(event, h2.events.ConnectionTerminated) for event in pair.at_client)
    assert any(isinstance(event, h2.events.StreamReset) and event.stream_id == 5 for event in pair.at_client)


def test_streams_beyond_the_limit_are_refused_and_the_others_live() -> None:
    raw = Raw(Limits(streams=2))
    for stream in (1, 3, 5):
        raw.request(stream)
    assert raw.resets() == {5: ErrorCode.REFUSED_STREAM}
    assert not raw.server.ended


class Raw:
    """Our server and hand-made frames."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.server = Http2Server(limits or Limits())
        self.encoder = hpack.Encoder()
        self.events = self.server.receive(PREFACE + frame(FrameType.SETTINGS, 0, 0), 0.0)

    def feed(self, *data: bytes, now: float = 0.0) -> "Raw":
        for piece in data:
            self.events += self.server.receive(piece, now)
        return self

    def request(self, stream: int, flags: int = 4, headers: list[tuple[bytes, bytes]] | None = None) -> "Raw":
        return self.feed(frame(FrameType.HEADERS, flags, stream, self.encoder.encode(headers or REQUEST)))

    def frames(self) -> list[tuple[int, int, bytes]]:
        data, found = self.server.take_output(), list[tuple[int, int, bytes]]()
        while data:
            size = int.from_bytes(data[:3], "big")
            found.append((data[3], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
            data = data[9 + size :]
        return found

    def resets(self) -> dict[int, int]:
        return {
            stream: int.from_bytes(payload, "big")
            for kind, stream, payload in self.frames()
            if kind == FrameType.RST_STREAM
        }

    def goodbye(self) -> int | None:
        codes = [
            int.from_bytes(payload[4:8], "big") for kind, _, payload in self.frames() if kind == FrameType.GOAWAY
        ]
        return codes[0] if codes else None


def word(number: int) -> bytes:
    return struct.pack(">I", number)


def setting(key: int, value: int) -> bytes:
    return frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", key, value))


OPEN = frame(FrameType.HEADERS, 4, 1, header_block(REQUEST, first=True))
VIOLATIONS: dict[str, tuple[Callable[[], list[bytes]], ErrorCode]] = {
    "huge frame": (lambda: [b"\xff\xff\xff\0\0\0\0\0\1"], ErrorCode.FRAME_SIZE_ERROR),
    "data on idle stream": (lambda: [frame(FrameType.DATA, 0, 1, b"x")], ErrorCode.PROTOCOL_ERROR),
    "data on stream 0": (lambda: [OPEN, frame(FrameType.DATA, 0, 0, b"x")], ErrorCode.PROTOCOL_ERROR),
    "headers on even stream": (lambda: [frame(FrameType.HEADERS, 4, 2, b"")], ErrorCode.PROTOCOL_ERROR),
    "push": (lambda: [frame(FrameType.PUSH_PROMISE, 4, 1, b"")], ErrorCode.PROTOCOL_ERROR),
    "not hpack": (lambda: [frame(FrameType.HEADERS, 4, 1, b"\xff\xff\xff\xff")], ErrorCode.COMPRESSION_ERROR),
    "table too large": (lambda: [frame(FrameType.HEADERS, 4, 1, b"\x3f\xff\xff\x03")], ErrorCode.COMPRESSION_ERROR),
    "padding": (lambda: [OPEN, frame(FrameType.DATA, 8, 1, b"\x05abc")], ErrorCode.PROTOCOL_ERROR),
    "interleaved block": (
        lambda: [frame(FrameType.HEADERS, 0, 1, b""), frame(FrameType.PING, 0, 0, b"12345678")],
        ErrorCode.PROTOCOL_ERROR,
    ),
    "continuation of nothing": (lambda: [frame(FrameType.CONTINUATION, 4, 1, b"")], ErrorCode.PROTOCOL_ERROR),
    "endless block": (
        lambda: [frame(FrameType.HEADERS, 0, 1, b""), *[frame(FrameType.CONTINUATION, 0, 1, b"")] * 20],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "giant block": (
        lambda: [
            frame(FrameType.HEADERS, 0, 1, b"\0" * 16_000),
            *[frame(FrameType.CONTINUATION, 0, 1, b"\0" * 16_000)] * 2,
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "giant header list": (
        lambda: [
            frame(FrameType.HEADERS, 0, 1, header_block([(b"a", b"x" * 15_000)], first=True)),
            frame(FrameType.CONTINUATION, 4, 1, header_block([(b"b", b"x" * 15_000)], first=False)),
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "bomb": (
        # one big entry in the table, then many references to it
        lambda: [frame(FrameType.HEADERS, 4, 1, b"\x40\x01a\x7f\x81\x1e" + b"x" * 4_000 + b"\xbe" * 5_000)],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "self dependency": (
        lambda: [frame(FrameType.HEADERS, 0x24, 1, word(1) + b"\0")],
        ErrorCode.PROTOCOL_ERROR,
    ),
    "window of zero": (lambda: [frame(FrameType.WINDOW_UPDATE, 0, 0, word(0))], ErrorCode.PROTOCOL_ERROR),
    "window overflow": (
        lambda: [frame(FrameType.WINDOW_UPDATE, 0, 0, word(2**31 - 1))],
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "initial window overflow": (lambda: [setting(4, 2**31)], ErrorCode.FLOW_CONTROL_ERROR),
    "small frame size": (lambda: [setting(5, 100)], ErrorCode.PROTOCOL_ERROR),
    "odd settings": (lambda: [frame(FrameType.SETTINGS, 0, 0, b"12345")], ErrorCode.FRAME_SIZE_ERROR),
    "short ping": (lambda: [frame(FrameType.PING, 0, 0, b"1")], ErrorCode.FRAME_SIZE_ERROR),
    "pings": (lambda: [frame(FrameType.PING, 0, 0, b"12345678") * 3_000], ErrorCode.ENHANCE_YOUR_CALM),
    "settings": (lambda: [setting(3, 1) * 3_000], ErrorCode.ENHANCE_YOUR_CALM),
    "empty data": (lambda: [OPEN, frame(FrameType.DATA, 0, 1) * 3_000], ErrorCode.ENHANCE_YOUR_CALM),
    "priorities": (lambda: [frame(FrameType.PRIORITY, 0, 3, b"12345") * 3_000], ErrorCode.ENHANCE_YOUR_CALM),
    "unknown frames": (lambda: [b"\0\0\0\x77\0\0\0\0\0" * 3_000], ErrorCode.ENHANCE_YOUR_CALM),
    "settings with many values": (
        lambda: [frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 4, n) * 2_700) for n in (1, 2)],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "padding alone": (
        lambda: [OPEN, frame(FrameType.DATA, 8, 1, b"\xff" + bytes(255)) * 3_000],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "data on closed streams": (
        lambda: [OPEN, frame(FrameType.RST_STREAM, 0, 1, word(8)), frame(FrameType.DATA, 1, 1) * 3_000],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "header bytes": (
        # refused as they are, each of them costs a decoder's time
        lambda: [
            frame(FrameType.HEADERS, 4, n, b"\x20" * 16_000 + header_block(REQUEST[:1], first=False)[:300])
            for n in range(1, 41, 2)
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "rapid resets": (
        lambda: [
            frame(FrameType.HEADERS, 4, n, header_block(REQUEST, first=False))
            + frame(FrameType.RST_STREAM, 0, n, word(8))
            for n in range(1, 4_001, 2)
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations_end_the_connection_with_their_code(name: str) -> None:
    make, code = VIOLATIONS[name]
    raw = Raw().feed(*make())
    assert raw.goodbye() == code
    assert isinstance(raw.events[-1], ConnectionEnded)
    assert raw.server.ended
    assert raw.server.receive(b"anything", 1.0) == []


def test_windows_that_open_byte_by_byte_are_not_served_for_ever() -> None:
    raw = Raw().feed(setting(4, 0)).request(1)
    raw.server.send_headers(1, RESPONSE)
    raw.server.send_data(1, b"x" * 100_000)
    raw.feed(frame(FrameType.WINDOW_UPDATE, 0, 1, word(1)) * 3_000)
    assert raw.goodbye() == ErrorCode.ENHANCE_YOUR_CALM


def test_frames_without_content_are_allowed_at_a_pace() -> None:
    raw = Raw()
    for second in range(100):
        raw.feed(frame(FrameType.PING, 0, 0, b"12345678") * 400, now=float(second))
    assert not raw.server.ended


@pytest.mark.parametrize(
    "headers",
    [
        [(b":method", b"POST"), (b":scheme", b"http")],
        [*REQUEST, (b":path", b"/")],
        [(b":method", b"POST"), *REQUEST],
        [*REQUEST, (b"Upper", b"x")],
        [*REQUEST, (b"connection", b"close")],
        [*REQUEST[:5], (b"te", b"gzip")],
        [*REQUEST, (b":status", b"200")],
    ],
    ids=["missing", "late", "twice", "upper", "connection", "te", "foreign"],
)
def test_malformed_requests_lose_only_their_stream(headers: list[tuple[bytes, bytes]]) -> None:
    raw = Raw().request(1, headers=headers).request(3)
    assert raw.resets() == {1: ErrorCode.PROTOCOL_ERROR}
    assert [event.stream for event in raw.events if isinstance(event, RequestStarted)] == [3]


def test_a_peer_that_ignores_the_stream_window_loses_the_stream() -> None:
    # a window is renewed at its half, so only one far smaller than a frame can be overrun
    raw = Raw(Limits(stream_window=1_000, connection_window=1 << 20)).request(1).request(3)
    raw.feed(frame(FrameType.DATA, 0, 1, b"x" * 16_000))
    assert raw.resets() == {1: ErrorCode.FLOW_CONTROL_ERROR}
    assert not raw.server.ended


def test_plain_http_is_told_so() -> None:
    server = Http2Server()
    assert isinstance(server.receive(b"GET / HTTP/1.1\r\n", 0.0)[-1], ConnectionEnded)


FRAMES = st.builds(
    frame,
    st.sampled_from(FrameType),
    st.integers(0, 255),
    st.integers(0, 7),
    st.binary(max_size=64),
)


@given(st.lists(st.one_of(FRAMES, st.binary(max_size=40), st.just(OPEN)), max_size=30), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_it_fail(pieces: list[bytes], cut: int) -> None:
    raw = Raw()
    data = b"".join(pieces)
    for at in range(0, len(data), cut):
        raw.feed(data[at : at + cut])
    for event in raw.events:
        if isinstance(event, RequestStarted):
            raw.server.send_headers(event.stream, RESPONSE)
            raw.server.send_data(event.stream, b"x" * 100)
            raw.server.send_trailers(event.stream, [(b"grpc-status", b"0")])
    raw.frames()
