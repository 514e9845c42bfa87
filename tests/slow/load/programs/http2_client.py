"""A client's connection of HTTP/2 without TLS, many requests at a time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

_HEAD, _GOAWAY = 9, 7


class GoneError(Exception):
    """The request has no answer; `safe`: the other side said that it has not looked at it."""

    def __init__(self, why: str, *, safe: bool) -> None:
        super().__init__(why)
        self.safe = safe


@dataclass
class _Waiting:
    done: asyncio.Future[None]
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    """`open` it, then `request`; `leaving` once the other side wants no more requests here."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        self._http = h2.connection.H2Connection(config)
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._early = b""
        self.leaving = False

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._http.initiate_connection()
        self._flush()

    async def request(self, headers: list[tuple[str, str]]) -> tuple[dict[str, str], bytes]:
        """The headers and the body of the answer. Raises GoneError."""
        if self._transport is None:
            raise GoneError("the connection has ended", safe=True)
        stream = self._http.get_next_available_stream_id()
        waiting = self._waiting[stream] = _Waiting(asyncio.get_running_loop().create_future())
        self._http.send_headers(stream, headers, end_stream=True)
        self._flush()
        try:
            await waiting.done
        finally:
            self._waiting.pop(stream, None)
        return waiting.headers, bytes(waiting.body)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames(data):
                for event in self._http.receive_data(frame):
                    self._take(event)
        except h2.exceptions.ProtocolError as error:
            self._lose(range(1, 1 << 31), f"not HTTP/2: {error!r}", safe=False)
            self.close()
        self._flush()

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Whole frames without GOAWAY: after it the library takes no answer to what is still on its way."""
        self._early += data
        while len(self._early) >= _HEAD and len(self._early) >= (size := _HEAD + int.from_bytes(self._early[:3])):
            frame, self._early = self._early[:size], self._early[size:]
            if frame[3] == _GOAWAY:
                self.leaving = True
                last = int.from_bytes(frame[_HEAD : _HEAD + 4]) & 0x7FFFFFFF
                self._lose(range(last + 1, 1 << 31), "GOAWAY", safe=True)
            else:
                yield frame

    def _take(self, event: h2.events.Event) -> None:
        stream = getattr(event, "stream_id", None)
        waiting = self._waiting.get(stream) if isinstance(stream, int) else None
        match event:
            case h2.events.ResponseReceived() if waiting:
                waiting.headers = {str(name): str(value) for name, value in event.headers or []}
            case h2.events.DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                if waiting:
                    waiting.body += event.data or b""
            case h2.events.StreamEnded() if waiting and not waiting.done.done():
                waiting.done.set_result(None)
            case h2.events.StreamReset() if isinstance(stream, int):
                safe = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                self._lose((stream,), f"reset: {event.error_code!r}", safe=safe)
            case _:
                pass

    def _lose(self, streams: range | tuple[int, ...], why: str, *, safe: bool) -> None:
        for number, waiting in list(self._waiting.items()):
            if number in streams and not waiting.done.done():
                waiting.done.set_exception(GoneError(why, safe=safe))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.leaving = True
        self._lose(range(1, 1 << 31), f"the connection broke: {exc!r}", safe=False)

    def _flush(self) -> None:
        if self._transport is not None and (data := self._http.data_to_send()):
            self._transport.write(data)

    def close(self) -> None:
        """End it; requests on their way are lost."""
        if self._transport is not None:
            self._transport.close()
