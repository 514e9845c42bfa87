"""WebSockets as Kubernetes' clients open them: names of subprotocols may have a slash.

`SPDY/3.1+portforward.k8s.io` is no token of HTTP, so the library refuses it; here subprotocols are left to handlers.
Handlers that do not read for a while would not see that their client has gone: `until_gone` does.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.server import ServerProtocol

LONGEST_MESSAGE = 4 << 20  # bytes
GONE = "meshwright.client_is_gone"
_LOOK_SECONDS = 1.0
_ESTABLISHED = 1  # the first byte of TCP_INFO


class _Handshake(ServerProtocol):
    def process_subprotocol(self, headers: Headers) -> None:
        """Nobody is chosen here: the application answers with the header of its own."""
        del headers


class WebSockets(WebSocketsSansIOProtocol):
    """Without compression: nobody here uses it, and it costs memory per connection."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = _Handshake(max_size=LONGEST_MESSAGE, logger=logging.getLogger("uvicorn.error"))

    async def run_asgi(self) -> None:
        cast("dict[str, dict[str, object]]", self.scope)["extensions"][GONE] = self._is_gone
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """A refusal that is complete has answered the handshake; the library would call it an error in its log."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def _is_gone(self) -> bool:
        return self.disconnected or is_gone(self.transport)


def is_gone(transport: asyncio.Transport) -> bool:
    """Whether a TCP connection is closed, or was from the other side although nobody reads it here now."""
    if transport.is_closing():
        return True
    number = transport.get_extra_info("socket").fileno()
    try:
        with socket.socket(fileno=os.dup(number)) as same:
            return same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except OSError:
        return True


async def until_gone(scope: Mapping[str, Any]) -> None:
    """Until the client of a WebSocket has closed its connection, as far as the kernel knows."""
    ask: Callable[[], bool] | None = scope.get("extensions", {}).get(GONE)
    while ask is None or not ask():
        await asyncio.sleep(_LOOK_SECONDS)
