"""gRPC calls on an asyncio transport: the thin shell around `http2` and `grpc`.

Nothing is queued for a peer that does not read: a call is asked for its next message only while the transport takes
bytes and little of the stream waits for the peer's window. Whoever does not read is not read from, either; whoever
costs more than its share is not read from for a while; whoever shows no life is hung up on.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

from meshwright.xds.grpc import (
    RESPONSE_HEADERS,
    CallError,
    MessageReader,
    Status,
    is_grpc,
    prefix,
    trailers,
)
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat, Pulse
from meshwright.xds.http2 import (
    DEFAULT_LIMITS,
    ConnectionEnded,
    DataReceived,
    Event,
    Http2Server,
    Limits,
    RequestEnded,
    RequestStarted,
    ResponseHeaders,
    StreamReset,
)
from meshwright.xds.http2_wire import ErrorCode
from meshwright.xds.share import Share, clock

LOG = logging.getLogger(__name__)
CROWDED_PAUSE = 0.05  # seconds until a client whose other connections hold all it may have is looked at again
MOST_WAITING = 262_144  # bytes of a stream that may wait for a window before the call is asked again
LARGEST_MESSAGE = 8 << 20  # bytes; a reconnecting Envoy names every resource it has in one message


class Call(Protocol):
    """One bidirectional call. Methods raise CallError to end it with a status."""

    def receive(self, message: bytes, now: float) -> None:
        """A message from the peer."""
        ...

    def next_message(self, now: float) -> bytes | None:
        """The next message for the peer, or None when there is none now."""
        ...

    def wake_at(self, now: float) -> float | None:
        """When `next_message` may have something though nothing moved."""
        ...

    def closed(self) -> None:
        """The call is over, however it ended. Called once."""
        ...


OpenCall = Callable[[str], Call]
"""From the path of a request to the call that answers it; raises CallError."""


@dataclass(slots=True)
class _Running:
    call: Call
    reader: MessageReader = field(default_factory=lambda: MessageReader(LARGEST_MESSAGE))


class GrpcConnection(asyncio.Protocol):
    """One connection of a client."""

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
        self._rest: asyncio.TimerHandle | None = None  # set while the client has used up its share of our time
        self._open_call = open_call
        self._clock = clock
        self._on_close = on_close
        self._http = Http2Server(limits)
        self._calls: dict[int, _Running] = {}
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        self._pulse = Pulse(self._heartbeat, self._ping, self._transport.get_write_buffer_size, self._is_dead)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._pulse is None:
            return  # refused, or gone
        began, now = clock(), self._clock()
        self._pulse.heard = now
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

    def eof_received(self) -> bool:
        return False  # the client hangs up; asyncio closes the transport

    def pause_writing(self) -> None:
        self._paused = True
        self._read_or_not()

    def resume_writing(self) -> None:
        self._paused = False
        if self._pulse is not None:
            self._pulse.heard = self._clock()
        self._read_or_not()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # why a client went away makes no difference
        self._transport = None
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

    def close(self, text: str = "") -> None:
        """End all calls with `text` as the reason and hang up after what is written."""
        for stream in list(self._calls):
            self._end(stream, Status.UNAVAILABLE, text)
        self._http.close(ErrorCode.NO_ERROR, text)
        self._hang_up()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def waiting(self) -> int:
        """Bytes that the peer has not taken yet."""
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return buffered + sum(self._http.waiting(stream) for stream in self._calls)

    def _hang_up(self) -> None:
        """After what is written; at once when the client does not take that either (its pulse goes on)."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

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
        if self._pulse is not None:
            self._pulse.heard = self._clock()  # we did not listen
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused or self._rest is not None:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _pump_calls(self) -> None:
        now, crowded = self._clock(), False
        for stream, running in list(self._calls.items()):
            while not self._paused and self._http.waiting(stream) < MOST_WAITING:
                crowded = not self._share.waits(self, self.waiting)
                if crowded:
                    break
                try:
                    message = running.call.next_message(now)
                except CallError as error:
                    self._end(stream, error.status, error.text)
                    break
                if message is None:
                    break
                self._http.send_data(stream, prefix(len(message)) + message)
                self._flush()
        self._flush()
        self._share.waits(self, self.waiting)
        self._set_timer(now, crowded=crowded)

    def _set_timer(self, now: float, *, crowded: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [at for running in self._calls.values() if (at := running.call.wake_at(now)) is not None]
        if crowded:
            times.append(now + CROWDED_PAUSE)
        if times:
            delay = max(min(times) - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay, self.pump)

    def _flush(self) -> None:
        output = self._http.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestStarted():
                self._start(event)
            case DataReceived(stream, data):
                self._data(stream, data)
            case RequestEnded(stream):
                running = self._calls.get(stream)
                whole = running is None or not running.reader.kept
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
        try:
            call = self._open_call(headers[b":path"].decode("latin-1"))
        except CallError as error:
            self._http.send_trailers(event.stream, (*RESPONSE_HEADERS, *trailers(error.status, error.text)))
            return
        self._calls[event.stream] = _Running(call)
        self._http.send_headers(event.stream, RESPONSE_HEADERS)

    def _data(self, stream: int, data: bytes) -> None:
        running = self._calls.get(stream)
        if running is None:
            return
        try:
            for message in running.reader.feed(data):
                running.call.receive(message, self._clock())
            self._refuse_to_keep()
        except CallError as error:
            self._end(stream, error.status, error.text)

    def _refuse_to_keep(self) -> None:
        if not self._share.keeps(self, sum(running.reader.kept for running in self._calls.values())):
            raise CallError(Status.RESOURCE_EXHAUSTED, "too many messages have begun that do not end")

    def _end(self, stream: int, status: Status, text: str) -> None:
        if stream in self._calls:
            self._forget(stream)
            self._http.send_trailers(stream, trailers(status, text))

    def _forget(self, stream: int) -> None:
        running = self._calls.pop(stream, None)
        if running is not None:
            running.call.closed()
