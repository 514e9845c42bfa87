"""One HTTP/2 connection, what both sides (`http2_server.py`, `http2_client.py`) share: bytes in, events and bytes
out. No I/O, no clock of its own.

Only what gRPC needs is offered: requests with a body, responses as headers, data and trailers. What a peer may
cost is bounded: streams, header blocks, frame sizes, both windows, and (by a token bucket) every frame that carries
nothing. Whoever breaks the rules gets a GOAWAY with the reason, and no further byte of it is read.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import hpack
from hpack.exceptions import HPACKError, OversizedHeaderListError

from meshwright.xds.grpc import Framed
from meshwright.xds.http2_events import ConnectionEnded, DataReceived, Event, RequestEnded, StreamReset
from meshwright.xds.http2_wire import (
    ACK,
    DEFAULT_TABLE,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    LARGEST_MAX_FRAME,
    LARGEST_WINDOW,
    PADDED,
    PREFACE,
    PRIORITY_FLAG,
    SMALLEST_MAX_FRAME,
    ConnectionViolation,
    ErrorCode,
    FrameType,
    Headers,
    Setting,
    frame,
    frame_header,
    goaway,
    header_block,
    reset,
    settings,
    window_update,
)

TINY_DATA = 5  # bytes; a DATA frame below this carries next to nothing and costs as much as a PING
DRIBBLE = 1_024  # bytes; smaller pieces of what waits earn the peer nothing: it made its windows that small
BYTES_PER_TOKEN = 64  # of a header block: decoding costs by the byte
OUR_LARGEST_FRAME = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost. In bytes; `burst` and `rate` (per second) are for frames without content."""

    streams: int = 100
    header_block: int = 32_768
    header_list: int = 16_384
    continuations: int = 8
    stream_window: int = 1 << 20
    connection_window: int = 4 << 20
    burst: int = 2_000
    rate: float = 500.0


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class Stream:
    """One stream that is open."""

    number: int
    window: int  # what the peer still takes
    begun: bool = True  # the headers of the peer's side came
    unacknowledged: int = 0  # bytes received since the last WINDOW_UPDATE
    remote_ended: bool = False
    waiting: deque[memoryview] = field(default_factory=deque[memoryview])
    waiting_bytes: int = 0
    trailers: bytes | None = None  # sent when nothing waits


@dataclass(slots=True)
class HeaderBlock:
    """A header block that is still coming."""

    stream: int
    ends_stream: bool
    block: bytearray
    frames: int = 0


class Http2Connection:
    """What both sides share. Feed it with `receive`, talk with `send_*`, write what `take_output` gives."""

    __slots__ = (
        "_block",
        "_buffer",
        "_counted_at",
        "_decoder",
        "_events",
        "_first_block",
        "_greeted",
        "_highest",
        "_initial_window",
        "_largest_frame",
        "_limits",
        "_output",
        "_settled",
        "_streams",
        "_tokens",
        "_unacknowledged",
        "_window",
        "ended",
    )

    _LARGEST_PUSH = 1  # of the setting ENABLE_PUSH; a server must not say more than 0

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._streams: dict[int, Stream] = {}
        self._highest = 0
        self._buffer = b""
        self._greeted = False  # the preface came
        self._settled = False  # the peer's first SETTINGS came
        self._block: HeaderBlock | None = None
        self._decoder = hpack.Decoder(limits.header_list)
        self._decoder.max_allowed_table_size = DEFAULT_TABLE
        self._first_block = True
        self._window = DEFAULT_WINDOW
        self._unacknowledged = 0
        self._initial_window = DEFAULT_WINDOW
        self._largest_frame = SMALLEST_MAX_FRAME
        self._tokens, self._counted_at = float(limits.burst), 0.0
        self._events: list[Event] = []
        self.ended = False
        self._output: list[bytes] = [
            settings(
                (
                    (Setting.MAX_CONCURRENT_STREAMS, limits.streams),
                    (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (Setting.MAX_HEADER_LIST_SIZE, limits.header_list),
                )
            ),
            window_update(0, limits.connection_window - DEFAULT_WINDOW),
        ]

    # ------------------------------------------------------------ what the shell does

    @property
    def has_output(self) -> bool:
        """Whether `take_output` would give anything."""
        return bool(self._output)

    def take_output(self) -> bytes:
        """All bytes to send; they are given out once."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take `data` that came at `now` (seconds, any monotonic clock) and say what it means."""
        if self.ended:
            return []
        events = self._events = []
        self._tokens = min(self._limits.burst, self._tokens + (now - self._counted_at) * self._limits.rate)
        self._counted_at = now
        try:
            self._consume(self._buffer + data if self._buffer else data)
        except ConnectionViolation as violation:
            self.close(violation.code, violation.text)
            events.append(ConnectionEnded(violation.code, violation.text))
        return events

    def waiting(self, stream: int) -> int:
        """How many bytes of this stream wait for the peer's window; 0 too when the stream is gone."""
        found = self._streams.get(stream)
        return found.waiting_bytes if found else 0

    def is_open(self, stream: int) -> bool:
        """Whether something may still be sent on it."""
        found = self._streams.get(stream)
        return found is not None and found.trailers is None

    def send_headers(self, stream: int, headers: Headers) -> None:
        """The headers of our side of a stream. Ignored when the stream is gone."""
        if self.is_open(stream):
            self._output.append(self._headers_frame(stream, headers, END_HEADERS))

    def send_data(self, stream: int, data: bytes) -> None:
        """A piece of our body, of any size; what the windows do not allow yet waits."""
        found = self._streams.get(stream)
        if found is None or found.trailers is not None or not data:
            return
        found.waiting.append(memoryview(data))
        found.waiting_bytes += len(data)
        self._flush(found)

    def send_framed(self, stream: int, message: Framed) -> None:
        """As `send_data`, for what goes to many peers: what both windows take at once is not copied."""
        found = self._streams.get(stream)
        if found is None:
            return
        if frames := self.at_once(found, message):
            self._output.append(frames)
        else:
            self.send_data(stream, message.body)

    def at_once(self, stream: Stream, message: Framed) -> bytes:
        """The frames of a message that nothing stands in the way of, to be written after all of `take_output` was;
        empty when something does: then nothing has changed.
        """
        size = message.size
        if size > self._window or size > stream.window or stream.waiting or stream.trailers is not None:
            return b""
        self._window -= size
        stream.window -= size
        self._tokens += 2 * (1 + size // self._largest_frame)  # the peer answers data with updates of both windows
        return message.frames(stream.number, self._largest_frame)

    def stream(self, number: int) -> Stream | None:
        """One that is open; None when it is over, perhaps already by what came together with its headers."""
        return self._streams.get(number)

    def send_trailers(self, stream: int, headers: Headers) -> None:
        """The end of our side, after all data that waits. Also for a response that has headers only."""
        found = self._streams.get(stream)
        if found is None or found.trailers is not None:
            return
        found.trailers = self._headers_frame(stream, headers, END_HEADERS | END_STREAM)
        self._flush(found)

    def ping(self) -> None:
        """Ask whether the peer lives; any byte that comes is an answer."""
        if not self.ended:
            self._output.append(frame(FrameType.PING, 0, 0, bytes(8)))

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Give one stream up."""
        if self._streams.pop(stream, None) is not None:
            self._output.append(reset(stream, code))

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Say goodbye; nothing is read after it."""
        if not self.ended:
            self._output.append(goaway(self._highest, code, text))
            self._streams.clear()
            self._buffer = b""
            self.ended = True

    # ------------------------------------------------------------ sending

    def _headers_frame(self, stream: int, headers: Headers, flags: int) -> bytes:
        block = header_block(headers, first=self._first_block)
        self._first_block = False
        assert len(block) <= SMALLEST_MAX_FRAME, "our own headers are short"
        return frame(FrameType.HEADERS, flags, stream, block)

    def _flush(self, stream: Stream) -> None:
        while stream.waiting:
            piece = stream.waiting[0]
            size = min(len(piece), self._window, stream.window, self._largest_frame)
            if size <= 0:
                return
            self._output.append(frame_header(size, FrameType.DATA, 0, stream.number))
            self._output.append(bytes(piece[:size]))
            self._window -= size
            stream.window -= size
            stream.waiting_bytes -= size
            if size >= DRIBBLE or size == len(piece):
                self._tokens += 2  # the peer answers data with updates of both windows
            if size == len(piece):
                stream.waiting.popleft()
            else:
                stream.waiting[0] = piece[size:]
        if stream.trailers is not None:
            self._output.append(stream.trailers)
            del self._streams[stream.number]
            if not stream.remote_ended:
                self._output.append(reset(stream.number, ErrorCode.NO_ERROR))

    # ------------------------------------------------------------ receiving

    def _consume(self, data: bytes) -> None:
        at = 0
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2 with prior knowledge")
            if len(data) < len(PREFACE):
                self._buffer = data
                return
            self._greeted, at = True, len(PREFACE)
        while len(data) - at >= FRAME_HEADER:
            length = int.from_bytes(data[at : at + 3], "big")
            if length > SMALLEST_MAX_FRAME:
                raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = at + FRAME_HEADER + length
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & LARGEST_WINDOW
            self._frame(data[at + 3], data[at + 4], stream, data[at + FRAME_HEADER : end])
            at = end
            if self.ended:
                return
        self._buffer = data[at:]

    def took_alone(self, stream: Stream, size: int) -> bool:
        """Count one whole DATA frame with a payload of `size` bytes, known beforehand, that came alone; False when it
        must be given to `receive`, because it is not all there is to do.
        """
        if self._buffer or self._block is not None or self.ended or stream.remote_ended:
            return False
        if (self._unacknowledged + size) * 2 >= self._limits.connection_window:
            return False
        if (stream.unacknowledged + size) * 2 >= self._limits.stream_window:
            return False
        self._unacknowledged += size
        stream.unacknowledged += size
        return True

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if not self._settled and kind != FrameType.SETTINGS:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if (self._block is not None) != (kind == FrameType.CONTINUATION):
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a header block is not continued as it must be")
        if kind != FrameType.DATA:
            self._pay()
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, flags, stream, payload)

    def _pay(self, tokens: int = 1) -> None:
        self._tokens -= tokens
        if self._tokens < 0:
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without content")

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._refuse_idle(number)
        self._unacknowledged += len(payload)
        if self._unacknowledged > self._limits.connection_window:
            raise ConnectionViolation(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        if self._unacknowledged * 2 >= self._limits.connection_window:
            self._output.append(window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        data = _without_padding(flags, payload)
        if len(data) < TINY_DATA:
            self._pay()
        stream = self._streams.get(number)
        if stream is None:
            return  # closed by us while this was on its way
        if stream.remote_ended or not stream.begun:
            code = ErrorCode.STREAM_CLOSED if stream.remote_ended else ErrorCode.PROTOCOL_ERROR
            self._end_stream_badly(number, code)
            return
        stream.unacknowledged += len(payload)
        if stream.unacknowledged > self._limits.stream_window:
            self._end_stream_badly(number, ErrorCode.FLOW_CONTROL_ERROR)
            return
        if data:
            self._events.append(DataReceived(number, data))
        if flags & END_STREAM:
            self._remote_end(stream)
        elif stream.unacknowledged * 2 >= self._limits.stream_window:
            self._output.append(window_update(number, stream.unacknowledged))
            stream.unacknowledged = 0

    def _remote_end(self, stream: Stream) -> None:
        stream.remote_ended = True
        self._events.append(RequestEnded(stream.number))

    def _end_stream_badly(self, number: int, code: ErrorCode) -> None:
        self.reset(number, code)
        self._events.append(StreamReset(number, code))

    def _refuse_idle(self, number: int) -> None:
        """Streams that the peer has not opened, and those only a server may open, take no frames."""
        if number == 0 or number > self._highest or number % 2 == 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"a frame on the idle stream {number}")

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number % 2 == 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"headers on stream {number}")
        block = _without_padding(flags, payload)
        if flags & PRIORITY_FLAG:
            if len(block) < 5:  # noqa: PLR2004 - the size of the priority fields
                raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "headers without their priority fields")
            if int.from_bytes(block[:4], "big") & LARGEST_WINDOW == number:
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")
            block = block[5:]
        self._block = HeaderBlock(number, bool(flags & END_STREAM), bytearray(block))
        self._block_grew(flags)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self._block
        if block is None or block.stream != number:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        block.block += payload
        block.frames += 1
        self._block_grew(flags)

    def _block_grew(self, flags: int) -> None:
        block = self._block
        assert block is not None
        if len(block.block) > self._limits.header_block or block.frames > self._limits.continuations:
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "a header block beyond the limits")
        if flags & END_HEADERS:
            self._block = None
            self._pay(len(block.block) // BYTES_PER_TOKEN)
            self._headers_complete(block)

    def _headers_complete(self, block: HeaderBlock) -> None:
        """A whole header block came; what it means depends on the side."""
        raise NotImplementedError

    def _decode(self, block: bytes) -> tuple[tuple[bytes, bytes], ...]:
        try:
            return tuple((bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True))
        except OversizedHeaderListError:
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "a header list beyond the limit") from None
        except HPACKError:
            raise ConnectionViolation(ErrorCode.COMPRESSION_ERROR, "a header block that is not HPACK") from None

    def _on_priority(self, _flags: int, number: int, payload: bytes) -> None:
        _expect(len(payload), 5)
        if number in {0, int.from_bytes(payload[:4], "big") & LARGEST_WINDOW}:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"a PRIORITY of stream {number}")

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        self._refuse_idle(number)
        _expect(len(payload), 4)
        if self._streams.pop(number, None) is not None:
            self._events.append(StreamReset(number, int.from_bytes(payload, "big")))

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            _expect(len(payload), 0)
            if not self._settled:
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            return
        if len(payload) % 6:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "a malformed SETTINGS")
        self._settled = True
        self._pay(len(payload) // 6)  # each may touch every stream
        self._output.append(frame(FrameType.SETTINGS, ACK, 0))  # before any data that relies on what they allow
        for at in range(0, len(payload), 6):
            self._setting(
                int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
            )

    def _setting(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            if value > LARGEST_WINDOW:
                raise ConnectionViolation(ErrorCode.FLOW_CONTROL_ERROR, "an initial window beyond 2^31-1")
            grown, self._initial_window = value - self._initial_window, value
            if not grown:
                return
            for stream in list(self._streams.values()):
                stream.window += grown
                if stream.window > LARGEST_WINDOW:
                    raise ConnectionViolation(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
                self._flush(stream)
        elif key == Setting.MAX_FRAME_SIZE:
            if not SMALLEST_MAX_FRAME <= value <= LARGEST_MAX_FRAME:
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a frame size that is not allowed")
            self._largest_frame = min(value, OUR_LARGEST_FRAME)
        elif key == Setting.ENABLE_PUSH and value > self._LARGEST_PUSH:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")

    def _on_push(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "nothing is pushed here")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        _expect(len(payload), 8)
        if number != 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if not flags & ACK:
            self._output.append(frame(FrameType.PING, ACK, 0, payload))

    def _on_goaway(self, _flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:  # noqa: PLR2004 - last stream and code
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "a malformed GOAWAY")
        self._goodbye(int.from_bytes(payload[:4], "big") & LARGEST_WINDOW)

    def _goodbye(self, last: int) -> None:
        """The peer takes no streams after `last`. Those before are finished, and it closes the connection itself."""

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        _expect(len(payload), 4)
        increment = int.from_bytes(payload, "big") & LARGEST_WINDOW
        if number == 0:
            self._window += increment
            if increment == 0 or self._window > LARGEST_WINDOW:
                code = ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR
                raise ConnectionViolation(code, "a connection window that is not allowed")
            for stream in list(self._streams.values()):
                self._flush(stream)
            return
        self._refuse_idle(number)
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.window += increment
        if increment == 0 or stream.window > LARGEST_WINDOW:
            self._end_stream_badly(number, ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR)
            return
        self._flush(stream)

    _HANDLERS: dict[int, Callable[["Http2Connection", int, int, bytes], None]] = {  # noqa: RUF012 - never changed
        FrameType.DATA: _on_data,
        FrameType.HEADERS: _on_headers,
        FrameType.PRIORITY: _on_priority,
        FrameType.RST_STREAM: _on_reset,
        FrameType.SETTINGS: _on_settings,
        FrameType.PUSH_PROMISE: _on_push,
        FrameType.PING: _on_ping,
        FrameType.GOAWAY: _on_goaway,
        FrameType.WINDOW_UPDATE: _on_window_update,
        FrameType.CONTINUATION: _on_continuation,
    }


def _expect(length: int, wanted: int) -> None:
    if length != wanted:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"a payload of {length} bytes where {wanted} must be")


def _without_padding(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
