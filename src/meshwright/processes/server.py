"""A small server on a unix socket: lines of JSON in and out, file descriptors beside them, only for our own uid.

A client that sends rubbish gets an error, one that sends too much or reads too slowly is disconnected; none of
them ends the server.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from meshwright.processes import syscalls, unixsockets
from meshwright.processes.journal import guarded, log
from meshwright.processes.messages import LONGEST_LINE, BadRequest, Fields, encode

_CHUNK = 65_536
_MOST_DESCRIPTORS = 16
_MOST_UNSENT = 1 << 20
_MOST_CLIENTS = 256
_PAUSE_SECONDS = 0.1


async def readable(endpoint: socket.socket) -> None:
    """Wait until a read of this socket would not block."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(endpoint, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(endpoint)


async def _writable(endpoint: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(endpoint, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(endpoint)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


class Connection:
    """One client. `descriptors` are those received and not yet taken by a request."""

    def __init__(self, endpoint: socket.socket) -> None:
        self.endpoint = endpoint
        self.descriptors: list[int] = []
        self.watching = False
        self.closed: list[Callable[[], None]] = []
        self._buffer = bytearray()
        self._unsent = 0
        self._turn = asyncio.Lock()

    async def line(self) -> bytes | None:
        """The next line without its end; None when the client has gone or sent a line that is too long."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                return None
            await readable(self.endpoint)
            try:
                data, descriptors, _, _ = socket.recv_fds(self.endpoint, _CHUNK, _MOST_DESCRIPTORS)
            except BlockingIOError:
                continue
            except OSError:
                return None
            self.descriptors += descriptors
            if not data or len(self.descriptors) > _MOST_DESCRIPTORS:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def take_descriptors(self, count: int) -> list[int]:
        """The oldest `count` received descriptors, now the caller's to close."""
        if len(self.descriptors) < count:
            raise BadRequest(f"this operation needs {count} file descriptors beside it")
        taken, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        return taken

    async def send(self, value: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Send one line, after those already waiting. A client that does not read is cut off."""
        data = encode(value)
        if self._unsent + len(data) > max(_MOST_UNSENT, LONGEST_LINE if self._unsent == 0 else 0):
            self.cut()
            return
        self._unsent += len(data)
        try:
            async with self._turn:
                await self._send(data, descriptors or [])
        except OSError:
            self.cut()
        finally:
            self._unsent -= len(data)

    async def _send(self, data: bytes, descriptors: list[int]) -> None:
        while descriptors:
            try:
                sent = socket.send_fds(self.endpoint, [data], descriptors)
            except BlockingIOError:
                await _writable(self.endpoint)
                continue
            data, descriptors = data[sent:], []
        await asyncio.get_running_loop().sock_sendall(self.endpoint, data)

    def cut(self) -> None:
        """End the conversation from our side; the reader then sees its end."""
        try:
            self.endpoint.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        self.endpoint.close()
        for callback in self.closed:
            callback()


Answer = tuple[dict[str, Any], list[int]]
Handler = Callable[[Connection, str, Fields], Awaitable[Answer]]


class Server:
    """Accepts clients and hands their requests, one after the other per client, to `handler`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.connections: set[Connection] = set()
        self._handler = handler
        self._listener = unixsockets.listen(path)

    async def serve(self, group: asyncio.TaskGroup) -> None:
        """Accept until cancelled, then stop listening; clients run as tasks of `group`."""
        try:
            while True:
                await readable(self._listener)
                if not self._accept(group):
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._listener.close()

    def _accept(self, group: asyncio.TaskGroup) -> bool:
        """Take one client; False when the system cannot give us one now."""
        try:
            endpoint, _ = self._listener.accept()
        except OSError as error:
            log("a client could not be accepted", why=str(error))
            return False
        allowed = {0, os.geteuid()}
        if syscalls.peer_credentials(endpoint)[1] not in allowed or len(self.connections) >= _MOST_CLIENTS:
            endpoint.close()
        else:
            endpoint.settimeout(0.0)
            group.create_task(guarded(self._converse(Connection(endpoint))))
        return True

    async def _converse(self, connection: Connection) -> None:
        self.connections.add(connection)
        try:
            while (line := await connection.line()) is not None:
                await self._answer(connection, line)
        finally:
            self.connections.discard(connection)
            connection.close()

    async def _answer(self, connection: Connection, line: bytes) -> None:
        number: int | None = None
        descriptors: list[int] = []
        try:
            fields = Fields.parse(line)
            number = fields.integer("id")
            result, descriptors = await self._handler(connection, fields.text("op"), fields)
            await connection.send({"id": number, "result": result}, descriptors)
        except BadRequest as error:
            told = {"code": error.code, "message": str(error)}
            await connection.send(
                {"id": number, "error": told if error.said is None else {**told, "said": error.said}}
            )
        except Exception as error:  # noqa: BLE001 - one request must not end the process that carries all traffic
            log(f"request failed: {type(error).__name__}: {error}")
            message = f"{type(error).__name__}: {error}"
            await connection.send({"id": number, "error": {"code": "internal", "message": message}})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
