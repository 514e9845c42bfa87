"""`pods/portforward` over WebSocket, or over SPDY itself for older clients.

`SPDY/3.1+portforward.k8s.io` is what kubectl speaks: SPDY frames in binary messages, two streams for each connection
(`error`, `data`), joined by a request id. `v4.channel.k8s.io` is what other clients speak: a channel byte before
every message, two channels for each port of the query, and one connection to each.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from meshwright.apiserver import spdy
from meshwright.apiserver.access import User
from meshwright.apiserver.api import Part, Streams
from meshwright.apiserver.channels import chosen, next_message
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.failure import bad_request, method_not_allowed
from meshwright.apiserver.forwarding import Forwarded
from meshwright.apiserver.options import Target
from meshwright.apiserver.pod_containers import pod_of
from meshwright.apiserver.pod_streams import PodStreams
from meshwright.apiserver.spdy_upgrade import is_spdy
from meshwright.apiserver.web_sockets import until_gone
from meshwright.store.store import Store

LOG = logging.getLogger(__name__)
TUNNEL, PLAIN, CHANNELS = "SPDY/3.1+portforward.k8s.io", "portforward.k8s.io", "v4.channel.k8s.io"
MOST_CONNECTIONS = 500  # of one client at once
MOST_PORTS = 64
_LARGEST_PORT = 65_535
_BAD = 1002


class PortForward:
    """The handler of one API."""

    def __init__(self, store: Store, machine: PodStreams, streams: Streams) -> None:
        self._store = store
        self._machine = machine
        self._streams = streams

    def part(self) -> Part:
        """What make_api takes."""
        about = Subresource("pods", "portforward", "PodPortForwardOptions", ("create", "get"))
        return Part(about, http=self._no_socket, socket=self._serve)

    async def _no_socket(self, request: Request, target: Target, _user: User) -> Response:
        """Those who ask without an upgrade hear what is wrong. Raises Failure."""
        if request.method not in ("GET", "POST"):
            raise method_not_allowed(target.about)
        await self._check(target)
        raise bad_request(f"portforward needs a WebSocket with {TUNNEL} or {CHANNELS}, or SPDY/3.1")

    async def _check(self, target: Target) -> None:
        pod = await pod_of(self._store, target)
        if pod.phase != "Running":
            raise bad_request(f"unable to forward port because pod is not running. Current status={pod.phase}")

    async def _serve(self, websocket: WebSocket, target: Target, _user: User) -> None:
        unnamed = not websocket.scope.get("subprotocols")  # some clients name none, and mean channels
        protocol = (
            CHANNELS
            if unnamed and not is_spdy(websocket.scope)
            else chosen(websocket, (PLAIN,) if is_spdy(websocket.scope) else (TUNNEL, CHANNELS))
        )
        ports = _ports(websocket.query_params) if protocol == CHANNELS else ()
        await self._check(target)
        await websocket.accept(None if unnamed else protocol)
        place = _Place(self._machine, target)
        session = _Channels(websocket, place, ports) if protocol == CHANNELS else _Tunnel(websocket, place)
        try:
            async with self._streams.until_stopped():
                await session.run()
        except* (WebSocketDisconnect, RuntimeError):
            LOG.debug("a client of port-forward went while something was on its way to it")


@dataclass(frozen=True, slots=True)
class _Place:
    """The pod that connections lead to."""

    machine: PodStreams
    target: Target

    async def carry(
        self, port: int, connection: Forwarded, say: Callable[[bytes], Awaitable[None]],
        finish: Callable[[], Awaitable[None]],
    ) -> str:  # fmt: skip
        """All of one connection; what went wrong, in words for the client."""
        target = self.target
        why = await connection.run(lambda: self.machine.dial(target.namespace, target.name, port), say, finish)
        return f"error forwarding port {port} to pod {target.namespace}/{target.name}: {why}" if why else ""


async def _until_over(tasks: asyncio.TaskGroup, reading: Coroutine[Any, Any, None], websocket: WebSocket) -> None:
    """Until the client says that it goes, or is seen to have gone while nobody reads."""
    both = [tasks.create_task(reading), tasks.create_task(until_gone(websocket.scope))]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in both:
        task.cancel()


# ------------------------------------------------------------ SPDY in messages


@dataclass(slots=True)
class _Pair:
    """The two streams of one connection; 0 while one is not there."""

    error: int = 0
    data: int = 0
    connection: Forwarded = field(default_factory=Forwarded)
    carrying: asyncio.Task[None] | None = None


class _Tunnel:
    def __init__(self, websocket: WebSocket, place: _Place) -> None:
        self._websocket = websocket
        self._place = place
        self._decoder = spdy.Decoder()
        self._encoder = spdy.Encoder()
        self._pairs: dict[str, _Pair] = {}  # by request id
        self._data: dict[int, Forwarded] = {}
        self._newest = 0

    async def run(self) -> None:
        """Until the client goes; everything ends then."""
        async with asyncio.TaskGroup() as tasks:
            await _until_over(tasks, self._read(tasks), self._websocket)
            for pair in self._pairs.values():
                if pair.carrying is not None:
                    pair.carrying.cancel()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while (message := await next_message(self._websocket)) is not None:
            try:
                for frame in self._decoder.feed(message):
                    await self._take(frame, tasks)
            except spdy.SpdyError as error:
                await self._websocket.send_bytes(spdy.gone_away(self._newest, 1))
                await self._websocket.close(_BAD, f"not SPDY/3.1: {error}"[:100])
                return

    async def _take(self, frame: spdy.Frame, tasks: asyncio.TaskGroup) -> None:
        match frame:
            case spdy.Opened():
                await self._open(frame, tasks)
            case spdy.Data(stream, content, fin):
                connection = self._data.get(stream)
                if connection is not None:  # on error streams clients say nothing but their end
                    await connection.take(content)
                    if fin:
                        connection.end()
            case spdy.Reset(stream):
                if (connection := self._data.get(stream)) is not None:
                    connection.abort()
            case spdy.Ping(number) if number % 2:
                await self._websocket.send_bytes(spdy.ping(number))
            case _:
                return

    async def _open(self, frame: spdy.Opened, tasks: asyncio.TaskGroup) -> None:
        if frame.stream % 2 == 0 or frame.stream <= self._newest:
            raise spdy.SpdyError(f"stream {frame.stream} after {self._newest}")
        self._newest = frame.stream
        kind, request, port = (frame.headers.get(name, "") for name in ("streamtype", "requestid", "port"))
        pair = self._pairs.get(request)
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0  # noqa: PLR2004 - digits
        known = pair is not None and (pair.error if kind == "error" else pair.data)
        if kind not in ("error", "data") or not 0 < number <= _LARGEST_PORT or known:
            await self._websocket.send_bytes(spdy.reset(frame.stream, spdy.PROTOCOL_ERROR))
            return
        if pair is None:
            if len(self._pairs) >= MOST_CONNECTIONS:
                await self._websocket.send_bytes(spdy.reset(frame.stream, spdy.REFUSED_STREAM))
                return
            pair = self._pairs[request] = _Pair()
        if kind == "error":
            pair.error = frame.stream
        else:
            pair.data = frame.stream
            self._data[frame.stream] = pair.connection
            if frame.fin:
                pair.connection.end()
        await self._websocket.send_bytes(self._encoder.answered(frame.stream))
        if pair.error and pair.data:
            pair.carrying = tasks.create_task(self._carry(request, pair, number))

    async def _carry(self, request: str, pair: _Pair, port: int) -> None:
        send = self._websocket.send_bytes
        finished = False

        async def finish() -> None:
            nonlocal finished
            finished = True
            await send(spdy.data(pair.data, b"", fin=True))

        try:
            why = await self._place.carry(
                port, pair.connection, lambda content: send(spdy.data(pair.data, content)), finish
            )
            await send(spdy.data(pair.error, why.encode(), fin=True))
            if not finished and not pair.connection.aborted:
                await (finish() if not why else send(spdy.reset(pair.data, spdy.INTERNAL_ERROR)))
        except (WebSocketDisconnect, RuntimeError):
            return  # the reader sees it too, and ends everything
        finally:
            self._pairs.pop(request, None)
            self._data.pop(pair.data, None)


# ------------------------------------------------------------ channels


class _Channels:
    def __init__(self, websocket: WebSocket, place: _Place, ports: tuple[int, ...]) -> None:
        self._websocket = websocket
        self._place = place
        self._ports = ports
        self._connections = tuple(Forwarded() for _ in ports)

    async def run(self) -> None:
        """Until the client goes."""
        async with asyncio.TaskGroup() as tasks:
            for number, port in enumerate(self._ports):
                for channel in (2 * number, 2 * number + 1):
                    await self._websocket.send_bytes(bytes((channel,)) + port.to_bytes(2, "little"))
            carrying = [tasks.create_task(self._carry(*each)) for each in enumerate(self._ports)]
            await _until_over(tasks, self._read(), self._websocket)
            for task in carrying:
                task.cancel()

    async def _read(self) -> None:
        while (message := await next_message(self._websocket)) is not None:
            number, error = divmod(message[0], 2) if message else (0, 1)
            if not error and number < len(self._ports):
                await self._connections[number].take(message[1:])

    async def _carry(self, number: int, port: int) -> None:
        data, error = bytes((2 * number,)), bytes((2 * number + 1,))

        async def finish() -> None:
            """There is no way to say it but to end everything, once the last port is done."""

        with suppress(WebSocketDisconnect, RuntimeError):
            why = await self._place.carry(
                port, self._connections[number], lambda content: self._websocket.send_bytes(data + content), finish
            )
            if why:
                await self._websocket.send_bytes(error + why.encode())


def _ports(query: QueryParams) -> tuple[int, ...]:
    """Raises Failure 400."""
    words = [word for value in query.getlist("ports") for word in value.split(",")]
    numbers = [int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0 for word in words]  # noqa: PLR2004 - digits
    if not numbers or len(numbers) > MOST_PORTS or not all(0 < number <= _LARGEST_PORT for number in numbers):
        raise bad_request(f"ports: must name 1 to {MOST_PORTS} ports from 1 to {_LARGEST_PORT}")
    return tuple(numbers)
