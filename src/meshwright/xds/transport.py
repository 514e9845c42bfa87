"""gRPC calls on an asyncio transport: the thin shell around `http2` and `grpc`.

Nothing is queued for a peer that does not read: a call is asked for its next message only while the transport takes
bytes and little of the stream waits for the peer's window. Whoever does not read is not read from, either; whoever
costs more than its share is not read from for a while; whoever shows no life is hung up on.
"""

import asyncio
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

from meshwright.xds.grpc import (
    RESPONSE_HEADERS,
    CallError,
    Framed,
    MessageReader,
    Status,
    is_grpc,
    prefix,
    trailers,
)
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat, Pulse
from meshwright.xds.http2 import DEFAULT_LIMITS, Limits, Stream
from meshwright.xds.http2_events import (
    ConnectionEnded,
    DataReceived,
    Event,
    RequestEnded,
    RequestStarted,
    ResponseHeaders,
    StreamReset,
)
from meshwright.xds.http2_server import Http2Server
from meshwright.xds.http2_wire import FRAME_HEADER, ErrorCode
from meshwright.xds.share import Share, clock

LOG = logging.getLogger(__name__)
CROWDED_PAUSE = 0.05  # seconds until a client whose other connections hold all it may have is looked at again
LITTLE_WAITING = 65_536  # bytes; a connection on which less waits does not count in its client's share
MOST_WAITING = 262_144  # bytes of a stream that may wait for a window before the call is asked again
LARGEST_MESSAGE = 8 << 20  # bytes; a reconnecting Envoy names every resource it has in one message


class Call(Protocol):
    """One bidirectional call. Methods raise CallError to end it with a status."""

    @property
    def more(self) -> bool:
        """Whether it is worth while to ask `next_message` after it gave a message, or after `receive`."""
        ...

    def receive(self, message: bytes, now: float) -> None:
        """A message from the peer."""
        ...

    def next_message(self, now: float) -> bytes | Framed | None:
        """The next message for the peer, or None when there is none now. What many peers get is better framed."""
        ...

    def wake_at(self, now: float) -> float | None:
        """When `next_message` may have something though nothing moved."""
        ...

    def closed(self) -> None:
        """The call is over, however it ended. Called once."""
        ...


@dataclass(eq=False, slots=True)
class Line:
    """What one call speaks on."""

    connection: "GrpcConnection"
    stream: Stream
    reader: MessageReader = field(default_factory=lambda: MessageReader(LARGEST_MESSAGE))


OpenCall = Callable[[str, Line], Call]
"""From the path of a request, and what it came on, to the call that answers it; raises CallError."""


@dataclass(slots=True)
class _Running:
    call: Call
    line: Line


_Expected = tuple[bytes, Call, Line, bytes]
"""What the peer will most likely send next: the acknowledgement of what was sent last, as a frame; whose it is, and
where; the message in it.
"""


class GrpcConnection(asyncio.Protocol):
    """One connection of a client."""

    __slots__ = (
        "_calls",
        "_clock",
        "_expected",
        "_fd",
        "_heard",
        "_heartbeat",
        "_http",
        "_is_free",
        "_noted",
        "_on_close",
        "_open_call",
        "_paused",
        "_pulse",
        "_rest",
        "_share",
        "_timer",
        "_transport",
    )

    def __init__(
        self,
        open_call: OpenCall,
        clock: Callable[[], float],
        on_close: Callable[["GrpcConnection"], None],
        limits: Limits = DEFAULT_LIMITS,
        *,
        share: Share | None = None,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
    ) -> None:
        """`share` is the account of all connections of this client; without one it has its own."""
        self._share = share or Share()
        self._heartbeat = heartbeat
        self._pulse: Pulse | None = None
        self._heard = 0.0  # when the peer last said something
        self._rest: asyncio.TimerHandle | None = None  # set while the client has used up its share of our time
        self._open_call = open_call
        self._clock = clock
        self._on_close = on_close
        self._http = Http2Server(limits)
        self._calls: dict[int, _Running] = {}
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._expected: _Expected | None = None
        self._fd = -1  # of the socket, while plain bytes may be written to it
        self._is_free = False  # nothing is to be sent first, so that the socket may be written to directly
        self._noted = False  # whether what waits here is in the share

    # ------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self._heard = self._clock()
        unsent = self._transport.get_write_buffer_size
        self._pulse = Pulse(self._heartbeat, self._ping, self._last_heard, unsent, self._is_dead)
        self._flush()

    def data_received(self, data: bytes) -> None:
        now = self._heard = self._clock()
        expected = self._expected
        if expected is not None and data == expected[0] and self._take_expected(expected, now):
            return
        if self._transport is None or self._pulse is None:
            return  # refused, or gone
        began = clock()
        try:
            for event in self._http.receive(data, now):
                self._on_event(event)
        except Exception:
            LOG.exception("a connection is dropped because of an error of ours")
            self.abort()
            return
        self.pump()
        pause = self._share.took(clock() - began, now)
        if pause:
            self._rest_for(pause)

    def _take_expected(self, expected: _Expected, now: float) -> bool:
        """The short way for the one message that nearly always comes: nothing of it has to be looked at. Only what
        was sent can be acknowledged, so it is not counted as a cost of the client.
        """
        frame, call, line, message = expected
        self._expected = None
        if line.reader.kept or not self._http.took_alone(line.stream, len(frame) - FRAME_HEADER):
            return False
        try:
            call.receive(message, now)
            if call.more:
                self._pump_calls()
        except CallError as error:
            self._end(line.stream.number, error.status, error.text)
            self._flush()
        except Exception:
            LOG.exception("a connection is dropped because of an error of ours")
            self.abort()
        return True

    def eof_received(self) -> bool:
        self._is_free = False
        return False  # the client hangs up; asyncio closes the transport

    def pause_writing(self) -> None:
        self._paused, self._is_free = True, False
        self._note_waiting()  # so that small messages that nobody takes count too
        self._read_or_not()

    def resume_writing(self) -> None:
        self._paused = False
        self._heard = self._clock()
        self._read_or_not()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # why a client went away makes no difference
        self._transport, self._is_free, self._fd = None, False, -1
        for timer in (self._timer, self._rest, self._pulse):
            if timer is not None:
                timer.stop() if isinstance(timer, Pulse) else timer.cancel()
        self._share.forget(self)
        for stream in list(self._calls):
            self._forget(stream)
        self._on_close(self)

    # ------------------------------------------------------------ our side

    def pump(self) -> None:
        """Ask every call for what it has to say now, as long as the peer takes it."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._pump_calls()
        except Exception:
            LOG.exception("a connection is dropped because of an error of ours")
            self.abort()

    def say(self, call: Call, line: Line, message: Framed) -> bool:
        """Send what `call` has to say on `line` now; False when something stands in the way: then nothing was done,
        and the call is to wait until it is asked.
        """
        if not (self._is_free or self._gets_free()) or self._share.is_full or message.size >= LITTLE_WAITING:
            return False
        frames = self._http.at_once(line.stream, message)
        if not frames:
            return False
        self._expect(call, line, message)
        try:
            written = os.write(self._fd, frames)
        except OSError:  # it is full, or has ended: the transport's business
            written = 0
        if written < len(frames):
            self._write(frames[written:])
        return True

    def _expect(self, call: Call, line: Line, message: Framed) -> None:
        """The acknowledgement of what was sent last takes the short way, whichever way that went."""
        if message.acknowledgement:
            self._expected = (message.answer_frame(line.stream.number), call, line, message.acknowledgement)

    def _gets_free(self) -> bool:
        """Whether nothing waits that would have to be sent first, so that the socket may be written to directly."""
        transport = self._transport
        self._is_free = (
            transport is not None
            and self._fd >= 0
            and not (self._paused or self._noted or self._http.has_output or transport.is_closing())
            and not transport.get_write_buffer_size()
        )
        return self._is_free

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._is_free = False
            self._transport.write(data)

    def close(self, text: str = "") -> None:
        """End all calls with `text` as the reason and hang up after what is written."""
        for stream in list(self._calls):
            self._end(stream, Status.UNAVAILABLE, text)
        self._http.close(ErrorCode.NO_ERROR, text)
        self._hang_up()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._is_free = False
            self._transport.abort()

    @property
    def waiting(self) -> int:
        """Bytes that the peer has not taken yet."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        for stream in self._calls:
            waiting += self._http.waiting(stream)
        return waiting

    def _hang_up(self) -> None:
        """After what is written; at once when the client does not take that either (its pulse goes on)."""
        self._flush()
        if self._transport is not None:
            self._is_free = False
            self._transport.close()

    def _last_heard(self) -> float:
        return self._heard

    def _ping(self) -> None:
        self._http.ping()
        self._flush()

    def _is_dead(self) -> None:
        LOG.info("a connection is closed: the other end shows no life")
        self.abort()

    def _rest_for(self, seconds: float) -> None:
        if self._rest is not None or self._transport is None:
            return
        LOG.debug("a client has used up its share; it is read again in %.2f s", seconds)
        self._rest = asyncio.get_running_loop().call_later(seconds, self._rested)
        self._read_or_not()

    def _rested(self) -> None:
        self._rest = None
        self._heard = self._clock()  # we did not listen
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused or self._rest is not None:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _pump_calls(self) -> None:
        now, wake, http = self._clock(), math.inf, self._http
        for stream, running in tuple(self._calls.items()):
            call = running.call
            while not self._paused and not (self._noted and http.waiting(stream) >= MOST_WAITING):
                if self._share.is_full:
                    wake = min(wake, now + CROWDED_PAUSE)
                    break
                try:
                    message = call.next_message(now)
                except CallError as error:
                    self._end(stream, error.status, error.text)
                    break
                if message is None:
                    break
                self._send(running, message)
                if not call.more:
                    break
            if (at := call.wake_at(now)) is not None:
                wake = min(wake, at)
        if http.has_output:
            self._flush()
        if self._noted:
            self._note_waiting()
        if self._timer is not None or wake != math.inf:
            self._set_timer(now, wake)

    def _send(self, running: _Running, message: bytes | Framed) -> None:
        stream = running.line.stream.number
        if self._http.has_output:
            self._flush()
        if isinstance(message, Framed):
            if self.say(running.call, running.line, message):
                return
            self._http.send_framed(stream, message)
            self._expect(running.call, running.line, message)
            size = message.size
        else:
            self._http.send_data(stream, prefix(len(message)) + message)
            size = len(message)
        self._flush()
        if size >= LITTLE_WAITING or self._http.waiting(stream):
            self._note_waiting()

    def _note_waiting(self) -> None:
        """What waits here counts for all connections of the client, unless it is little."""
        waiting = self.waiting
        if waiting >= LITTLE_WAITING or self._noted:
            self._share.waits(self, waiting)
            self._noted = waiting > 0
            self._is_free = False

    def _set_timer(self, now: float, wake: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake != math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(wake - now, 0.001), self.pump)

    def _flush(self) -> None:
        self._write(self._http.take_output())

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestStarted():
                self._start(event)
            case DataReceived(stream, data):
                self._data(stream, data)
            case RequestEnded(stream):
                running = self._calls.get(stream)
                whole = running is None or not running.line.reader.kept
                self._end(stream, *((Status.OK, "") if whole else (Status.INTERNAL, "the last message is cut off")))
            case StreamReset(stream):
                self._forget(stream)
            case ResponseHeaders():
                raise AssertionError("a server gets requests only")
            case ConnectionEnded(_, text):
                LOG.warning("a connection is closed: %s", text)
                self._hang_up()

    def _start(self, event: RequestStarted) -> None:
        headers = dict(event.headers)
        if headers[b":method"] != b"POST" or not is_grpc(headers.get(b"content-type", b"")):
            self._http.send_trailers(event.stream, ((b":status", b"415"),))
            return
        if (stream := self._http.stream(event.stream)) is None:
            return
        line = Line(self, stream)
        try:
            call = self._open_call(headers[b":path"].decode("latin-1"), line)
        except CallError as error:
            self._http.send_trailers(event.stream, (*RESPONSE_HEADERS, *trailers(error.status, error.text)))
            return
        self._calls[event.stream] = _Running(call, line)
        self._http.send_headers(event.stream, RESPONSE_HEADERS)

    def _data(self, stream: int, data: bytes) -> None:
        running = self._calls.get(stream)
        if running is None:
            return
        try:
            for message in running.line.reader.feed(data):
                running.call.receive(message, self._clock())
            self._refuse_to_keep()
        except CallError as error:
            self._end(stream, error.status, error.text)

    def _refuse_to_keep(self) -> None:
        if not self._share.keeps(self, sum(running.line.reader.kept for running in self._calls.values())):
            raise CallError(Status.RESOURCE_EXHAUSTED, "too many messages have begun that do not end")

    def _end(self, stream: int, status: Status, text: str) -> None:
        if stream in self._calls:
            self._forget(stream)
            self._http.send_trailers(stream, trailers(status, text))

    def _forget(self, stream: int) -> None:
        running = self._calls.pop(stream, None)
        if running is not None:
            running.call.closed()
