"""Reading and writing a connected, non-blocking socket, with TLS if wanted.

The socket stays the caller's: whoever opened it closes it, exactly once, whatever is cancelled. A transport of the
event loop could not promise that, since a start that is cancelled leaves open who owns the descriptor.
"""

import asyncio
import socket
import ssl

_CHUNK = 64 * 1024


class StreamError(Exception):
    """The other side ended or sent too much before what was asked for was complete."""


class ByteStream:
    """What has been received and not yet asked for is kept. All methods raise OSError when the connection breaks."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as a client."""
        tls = self._tls = context.wrap_bio(self._incoming, self._outgoing)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise StreamError("the connection ended during the TLS handshake") from None
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
        else:
            self._tls.write(data)
            await self._flush()

    async def until(self, end: bytes, limit: int) -> bytes:
        """Everything up to and with `end`."""
        while (place := self._received.find(end)) < 0:
            if len(self._received) > limit or not await self._more():
                raise StreamError("incomplete")
        return self._take(place + len(end))

    async def exactly(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._received) < count:
            if not await self._more():
                raise StreamError("incomplete")
        return self._take(count)

    async def rest(self, limit: int) -> bytes:
        """Everything until the other side ends, at most `limit` bytes."""
        while len(self._received) < limit and await self._more():
            pass
        return self._take(min(limit, len(self._received)))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    async def _more(self) -> bool:
        """Receive something; False when there will be no more."""
        if self._tls is None:
            data = await self._loop.sock_recv(self._socket, _CHUNK)
            self._received += data
            return bool(data)
        while True:
            try:
                data = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return False
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return False
            else:
                self._received += data
                return bool(data)

    async def _fill(self) -> bool:
        data = await self._loop.sock_recv(self._socket, _CHUNK)
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._socket, self._outgoing.read())
