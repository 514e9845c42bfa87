"""Asking the host's resolver, in the host's network, for the sandbox's DNS server.

A unix socket takes queries framed as in DNS over TCP. Each is sent by UDP to the servers of /etc/resolv.conf in
turn, from a fresh port; an answer that is cut (TC) is fetched again by TCP.
"""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

from meshwright.processes import unixsockets

_TRY_SECONDS = 1.5
_MOST_CLIENTS = 256


def host_resolvers(text: str) -> tuple[str, ...]:
    """The first three nameservers of a resolv.conf."""
    lines = (line.split() for line in text.splitlines())
    return tuple(words[1] for words in lines if len(words) >= 2 and words[0] == "nameserver")[:3]


class _Reply(asyncio.DatagramProtocol):
    def __init__(self, number: bytes) -> None:
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._number = number

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # noqa: ARG002 - the socket is connected
        if len(data) >= 12 and data[:2] == self._number and not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def _ask_udp(server: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Reply(query[:2]), remote_addr=(server, 53))
    try:
        transport.sendto(query)
        return await protocol.reply
    finally:
        transport.close()


async def _ask_tcp(server: str, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, 53)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


async def ask(query: bytes, servers: tuple[str, ...]) -> bytes | None:
    """The first answer of any of the servers; None when none of them answers in time."""
    for server in servers:
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                reply = await _ask_udp(server, query)
                cut = reply[2] & 0x02
                return await _ask_tcp(server, query) if cut else reply
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue
    return None


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        query = await reader.readexactly(length)
        text = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
        reply = await ask(query, host_resolvers(text))
        if reply is not None:
            writer.write(struct.pack(">H", len(reply)) + reply)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def listen(path: Path) -> asyncio.Server:
    """Take queries at a unix socket. Its folder, not its mode, says who can reach it."""
    sock: socket.socket = unixsockets.listen(path, mode=0o666, backlog=_MOST_CLIENTS)
    return await asyncio.start_unix_server(_converse, sock=sock)
