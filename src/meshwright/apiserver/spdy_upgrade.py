"""Connections that older clients turn from HTTP to SPDY/3.1, shown to handlers as if they were WebSockets.

The pieces of the connection are the messages, the names in `X-Stream-Protocol-Version` the subprotocols; so the same
checks and the same handlers serve them. `is_spdy` tells a handler which of the two it has.
"""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from meshwright.apiserver.web_sockets import GONE, is_gone

LOG = logging.getLogger(__name__)
_SPDY = b"spdy/3.1"
_VERSIONS = b"x-stream-protocol-version"
_RAW = "meshwright.spdy"


def is_spdy(scope: Mapping[str, Any]) -> bool:
    """Whether messages are pieces of a SPDY connection."""
    return _RAW in scope.get("extensions", {})


class Http(HttpToolsProtocol):
    """HTTP that may become SPDY, besides what it may become anyway."""

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == _SPDY or super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        if self._get_upgrade() != _SPDY:
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        protocol = _Upgraded(self.config, self.server_state)
        path, _, query = self.url.partition(b"?")
        headers = list(self.headers)
        said = [value.decode("latin-1") for name, value in headers if name == _VERSIONS]
        scope: dict[str, Any] = {
            **self.scope,
            "type": "websocket",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [name.strip() for value in said for name in value.split(",")],
            "extensions": {"websocket.http.response": {}, GONE: protocol.is_gone, _RAW: True},
        }
        protocol.begin(self.transport, scope)
        self.transport.set_protocol(protocol)


class _Upgraded(asyncio.Protocol):
    """The server's side of one connection, with ASGI's WebSocket messages."""

    def __init__(self, config: Config, state: ServerState) -> None:
        self._app = cast("Any", config).loaded_app
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = False
        self._accepted = False
        self._refusal: list[bytes] = []
        self._lost = False

    def begin(self, transport: asyncio.Transport, scope: dict[str, Any]) -> None:
        """Hand the connection to the application."""
        self._transport = transport
        self._state.connections.add(self)  # pyright: ignore[reportArgumentType] - all it needs is `shutdown`
        self._messages.put_nowait({"type": "websocket.connect"})
        # the server keeps its tasks, and waits for them when it stops
        task = asyncio.get_running_loop().create_task(self._run(scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:
            LOG.exception("a SPDY connection failed")
        finally:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def is_gone(self) -> bool:
        """Whether the client has closed its connection."""
        return self._lost or self._transport is None or is_gone(self._transport)

    # ------------------------------------------------------------ the connection

    def shutdown(self) -> None:
        """The server ends."""
        self._messages.put_nowait({"type": "websocket.disconnect", "code": 1012})
        self._close()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._messages.put_nowait({"type": "websocket.receive", "bytes": data})
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost = True
        self._state.connections.discard(self)  # pyright: ignore[reportArgumentType]
        self._messages.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # ------------------------------------------------------------ ASGI

    async def _receive(self) -> dict[str, Any]:
        message = await self._messages.get()
        if self._paused and self._messages.empty() and not self._lost:
            assert self._transport is not None
            self._paused = False
            self._transport.resume_reading()
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        await self._writable.wait()
        if self._lost or self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        match message["type"]:
            case "websocket.accept":
                self._accepted = True
                self._transport.write(_switched(message.get("subprotocol") or ""))
            case "websocket.send":
                self._transport.write(message.get("bytes") or b"")
            case "websocket.close":
                if not self._accepted:
                    self._transport.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                self._transport.close()
            case "websocket.http.response.start":
                self._refusal = [_head(message["status"], message.get("headers", []))]
            case _:  # the body of a refusal
                self._refusal.append(message.get("body", b""))
                if not message.get("more_body"):
                    self._transport.write(b"".join(self._refusal))
                    self._transport.close()


def _switched(name: str) -> bytes:
    lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1")
    return "\r\n".join((*lines, f"X-Stream-Protocol-Version: {name}", "", "")).encode("latin-1")


def _head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close"]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in headers), b"", b""])
