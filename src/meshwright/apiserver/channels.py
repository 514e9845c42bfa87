"""The channels of a remote command, whichever way a client opens them: a byte before messages, or SPDY streams."""

import asyncio
from collections import deque
from typing import Protocol

from starlette.websockets import WebSocket

from meshwright.apiserver import spdy
from meshwright.apiserver.failure import bad_request
from meshwright.apiserver.spdy_upgrade import is_spdy

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_KINDS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": STATUS, "resize": RESIZE}
_OPEN_SECONDS = 30.0
_UNSUPPORTED, _BAD = 1003, 1002


class Channels(Protocol):
    """What a conversation needs."""

    async def receive(self) -> tuple[int, bytes] | None:
        """The next channel and bytes (CLOSE: the channel of these bytes has ended); None when the client goes."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Returns once there is room for more. Raises WebSocketDisconnect or RuntimeError when the client goes."""
        ...

    async def close(self) -> None:
        """All has been said."""
        ...


async def accepted(websocket: WebSocket) -> Channels:
    """Open the conversation. Raises Failure 400 where no protocol is known to both sides."""
    protocol = chosen(websocket, (V5, V4))
    await websocket.accept(protocol)
    return SpdyChannels(websocket) if is_spdy(websocket.scope) else MessageChannels(websocket)


def chosen(websocket: WebSocket, known: tuple[str, ...]) -> str:
    """The best subprotocol that both sides know. Raises Failure 400."""
    offered = websocket.scope.get("subprotocols", [])
    for name in known:
        if name in offered:
            return name
    raise bad_request(f"unable to negotiate a protocol: client offers {offered}, server has {list(known)}")


async def next_message(websocket: WebSocket) -> bytes | None:
    """The next binary message; None when the client has gone, or sends something else."""
    message = await websocket.receive()
    if message["type"] != "websocket.receive":
        return None
    data = message.get("bytes")
    if isinstance(data, bytes):
        return data
    await websocket.close(_UNSUPPORTED, "messages are binary")
    return None


class MessageChannels:
    """A byte before every message; in v5 one more channel that says which ones have ended."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> tuple[int, bytes] | None:
        while (message := await next_message(self._websocket)) is not None:
            if message:
                return message[0], message[1:]
        return None

    async def send(self, channel: int, data: bytes) -> None:
        await self._websocket.send_bytes(bytes((channel,)) + data)

    async def close(self) -> None:
        await self._websocket.close()


class SpdyChannels:
    """A stream for every channel."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._decoder = spdy.Decoder()
        self._encoder = spdy.Encoder()
        self._received: deque[tuple[int, bytes]] = deque()
        self._streams: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._opened = asyncio.Event()
        self._newest = 0

    async def receive(self) -> tuple[int, bytes] | None:
        while not self._received:
            message = await next_message(self._websocket)
            if message is None:
                return None
            try:
                for frame in self._decoder.feed(message):
                    await self._take(frame)
            except spdy.SpdyError:
                await self._websocket.send_bytes(spdy.gone_away(self._newest, 1))
                await self._websocket.close(_BAD)
                return None
        return self._received.popleft()

    async def _take(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.Opened():
                await self._open(frame)
            case spdy.Data(stream, content, fin):
                channel = self._channels.get(stream)
                if channel is not None and content:
                    self._received.append((channel, content))
                if channel is not None and fin:
                    self._received.append((CLOSE, bytes((channel,))))
            case spdy.Reset(stream) if stream in self._channels:
                self._received.append((CLOSE, bytes((self._channels[stream],))))
            case spdy.Ping(number) if number % 2:
                await self._websocket.send_bytes(spdy.ping(number))
            case _:
                return

    async def _open(self, frame: spdy.Opened) -> None:
        if frame.stream % 2 == 0 or frame.stream <= self._newest:
            raise spdy.SpdyError(f"stream {frame.stream} after {self._newest}")
        self._newest = frame.stream
        channel = _KINDS.get(frame.headers.get("streamtype", ""))
        if channel is None or channel in self._streams:
            await self._websocket.send_bytes(spdy.reset(frame.stream, spdy.PROTOCOL_ERROR))
            return
        self._streams[channel] = frame.stream
        self._channels[frame.stream] = channel
        await self._websocket.send_bytes(self._encoder.answered(frame.stream))
        self._opened.set()

    async def send(self, channel: int, data: bytes) -> None:
        async with asyncio.timeout(_OPEN_SECONDS):
            while channel not in self._streams:
                self._opened.clear()
                await self._opened.wait()
        await self._websocket.send_bytes(spdy.data(self._streams[channel], data, fin=channel == STATUS))

    async def close(self) -> None:
        for channel in (STDOUT, STDERR):
            if channel in self._streams:
                await self._websocket.send_bytes(spdy.data(self._streams[channel], b"", fin=True))
        await self._websocket.close()
