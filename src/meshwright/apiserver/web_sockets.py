"""WebSockets as Kubernetes' clients open them: names of subprotocols may have a slash.

`SPDY/3.1+portforward.k8s.io` is no token of HTTP, so the library refuses it; here subprotocols are left to handlers.
"""

import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.server import ServerProtocol

LONGEST_MESSAGE = 4 << 20  # bytes


class _Handshake(ServerProtocol):
    def process_subprotocol(self, headers: Headers) -> None:
        """Nobody is chosen here: the application answers with the header of its own."""
        del headers


class WebSockets(WebSocketsSansIOProtocol):
    """Without compression: nobody here uses it, and it costs memory per connection."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = _Handshake(max_size=LONGEST_MESSAGE, logger=logging.getLogger("uvicorn.error"))
