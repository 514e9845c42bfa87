"""One bidirectional gRPC call over a connection of its own: the client's counterpart of `transport`.

As there, nothing is queued: the call is asked for its next message only while the server takes bytes.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from meshwright.xds.grpc import CONTENT_TYPE, CallError, Framed, MessageReader, is_grpc, prefix
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat, Pulse
from meshwright.xds.http2 import DEFAULT_LIMITS, Limits
from meshwright.xds.http2_client import Http2Client
from meshwright.xds.http2_events import (
    ConnectionEnded,
    DataReceived,
    Event,
    RequestEnded,
    RequestStarted,
    ResponseHeaders,
    StreamReset,
)
from meshwright.xds.http2_wire import ErrorCode
from meshwright.xds.transport import MOST_WAITING, Call

LOG = logging.getLogger(__name__)
LARGEST_ANSWER = 64 << 20  # bytes of one message


class GrpcClient(asyncio.Protocol):
    """Makes the call `path` as soon as it is connected; `ended` tells why it is over."""

    def __init__(
        self,
        path: str,
        call: Call,
        clock: Callable[[], float],
        *,
        largest: int = LARGEST_ANSWER,
        limits: Limits = DEFAULT_LIMITS,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
    ) -> None:
        self._heartbeat = heartbeat
        self._pulse: Pulse | None = None
        self._heard = 0.0  # when the server last said something
        self._path = path
        self._call = call
        self._clock = clock
        self._http = Http2Client(limits)
        self._reader = MessageReader(largest)
        self._stream = 0
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._reason = ""
        self._over = asyncio.Event()

    # ------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        self._heard = self._clock()
        unsent = self._transport.get_write_buffer_size
        self._pulse = Pulse(self._heartbeat, self._ping, self._last_heard, unsent, self._is_dead)
        self._stream = self._http.start(
            (
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", self._path.encode()),
                (b":authority", b"meshwright"),
                (b"te", b"trailers"),
                (b"content-type", CONTENT_TYPE),
            )
        )
        self.pump()

    def data_received(self, data: bytes) -> None:
        self._heard = self._clock()
        try:
            for event in self._http.receive(data, self._clock()):
                self._on_event(event)
        except CallError as error:
            self._give_up(error.text)
            return
        except Exception:
            LOG.exception("a call is dropped because of an error of ours")
            self._give_up("an error of ours")
            return
        self.pump()

    def eof_received(self) -> bool:
        return False  # the server hangs up; asyncio closes the transport

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._pulse is not None:
            self._pulse.stop()
        self._reason = self._reason or (str(exc) if exc else "the server hung up")
        self._call.closed()
        self._over.set()

    # ------------------------------------------------------------ our side

    async def ended(self) -> str:
        """Wait until the call is over; why."""
        await self._over.wait()
        return self._reason

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def pump(self) -> None:
        """Ask the call for what it has to say now, as long as the server takes it."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._pump_call()
        except CallError as error:
            self._give_up(error.text)
        except Exception:
            LOG.exception("a call is dropped because of an error of ours")
            self._give_up("an error of ours")

    def _pump_call(self) -> None:
        now = self._clock()
        while not self._paused and self._http.waiting(self._stream) < MOST_WAITING:
            message = self._call.next_message(now)
            if message is None:
                break
            body = message.body if isinstance(message, Framed) else prefix(len(message)) + message
            self._http.send_data(self._stream, body)
            self._flush()
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._call.wake_at(now)
        if wake is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wake - now, 0.001), self.pump)

    def _last_heard(self) -> float:
        return self._heard

    def _ping(self) -> None:
        self._http.ping()
        self._flush()

    def _is_dead(self) -> None:
        self._reason = self._reason or "the server shows no life"
        self.abort()

    def _flush(self) -> None:
        output = self._http.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def _on_event(self, event: Event) -> None:
        match event:
            case _ if self._reason:
                pass  # given up: what else came at the same time counts no more
            case DataReceived(_, data):
                for message in self._reader.feed(data):
                    self._call.receive(message, self._clock())
            case ResponseHeaders(_, headers, ends):
                self._on_headers(dict(headers), ends=ends)
            case RequestEnded():
                self._give_up("the server ended the call")
            case StreamReset(_, code):
                self._give_up(f"the server reset the call ({code})")
            case ConnectionEnded(_, text):
                self._give_up(text)
            case RequestStarted():
                raise AssertionError("a client gets responses only")

    def _on_headers(self, headers: dict[bytes, bytes], *, ends: bool) -> None:
        status = headers.get(b":status", b"200")  # trailers have none
        kind = headers.get(b"content-type", CONTENT_TYPE if self._answered else b"")
        self._answered = True
        if status != b"200" or not is_grpc(kind):
            self._give_up(f"the server answers {status.decode('latin-1')[:20]} {kind.decode('latin-1')[:50]}")
        elif ends:
            text = headers.get(b"grpc-message", b"").decode("latin-1")
            self._give_up(f"the server ended the call: {text or headers.get(b'grpc-status', b'').decode('latin-1')}")

    def _give_up(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._http.close(ErrorCode.NO_ERROR)
        self._flush()
        if self._transport is not None:
            self._transport.close()
