"""The sandbox's DNS server: names of the mesh from a table, everything else from the host's resolver.

`python -m meshwright.processes dns ADDRESS CHANNEL UPSTREAM`: UDP and TCP on ADDRESS (port 53); tables come as lines
of JSON over the socket with descriptor CHANNEL, each acknowledged when it is in force; UPSTREAM is the unix socket of
the forwarder, which lives in the host's network. The process ends when the holder's end of CHANNEL closes.

A name that exists without addresses of the wanted kind is answered NOERROR without records, never NXDOMAIN: some
resolvers (musl) take NXDOMAIN for AAAA as the end of the search.
"""

import asyncio
import ipaddress
import json
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from meshwright.processes import dnsmessage, unixsockets
from meshwright.processes.dnsmessage import MalformedQuery, Query
from meshwright.processes.journal import guarded
from meshwright.processes.messages import LONGEST_LINE

_UPSTREAM_SECONDS = 6.0
_IDLE_SECONDS = 30.0
_MOST_UPSTREAM = 200
_MOST_CONNECTIONS = 200


@dataclass(frozen=True, slots=True)
class Table:
    """Immutable; replaced as a whole. `existing` are all names that have something below them."""

    zones: tuple[str, ...] = ()
    names: "dict[str, tuple[str, ...]] | None" = None
    existing: frozenset[str] = frozenset()

    @staticmethod
    def build(zones: list[str], names: dict[str, list[str]]) -> "Table":
        """From the holder's message. ValueError when an address is none."""
        clean: dict[str, tuple[str, ...]] = {}
        existing: set[str] = set()
        for name, addresses in names.items():
            key = name.lower().rstrip(".")
            clean[key] = tuple(str(ipaddress.ip_address(address)) for address in addresses)
            existing.update(_parents(key))
        for zone in zones:
            existing.update((zone.lower(), *_parents(zone.lower())))
        return Table(tuple(zone.lower() for zone in zones), clean, frozenset(existing))

    def find(self, name: str) -> tuple[str, ...] | None:
        """Addresses of a name (exact, else the longest wildcard above it); None when the table has it not."""
        names = self.names or {}
        if name in names:
            return names[name]
        for parent in _parents(name):
            if (addresses := names.get(f"*.{parent}")) is not None:
                return addresses
        return () if name in self.existing else None

    def ours(self, name: str) -> bool:
        """Whether nobody else is to be asked about this name."""
        return "." not in name or any(name == zone or name.endswith(f".{zone}") for zone in self.zones)


def _parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(1, len(labels))]


class DnsServer:
    """Answers queries from the newest table; bounded in everything a stranger can make it keep."""

    def __init__(self, upstream: Path, group: asyncio.TaskGroup) -> None:
        self.table = Table()
        self._upstream = upstream
        self._group = group
        self._asking = asyncio.Semaphore(_MOST_UPSTREAM)
        self._connections = 0

    def local_answer(self, query: Query, *, tcp: bool) -> bytes | None:
        """The answer from the table; None when the host's resolver has to be asked."""
        addresses = self.table.find(query.name)
        if addresses is None:
            return dnsmessage.answer(query, dnsmessage.NXDOMAIN, tcp=tcp) if self.table.ours(query.name) else None
        if query.name in self.table.existing and not addresses and not self.table.ours(query.name):
            return None  # "com" exists above a name of the table, but it is not ours
        wanted = {4} if query.kind == dnsmessage.A else {6} if query.kind == dnsmessage.AAAA else set[int]()
        if query.kind == dnsmessage.ANY:
            wanted = {4, 6}
        fitting = tuple(address for address in addresses if ipaddress.ip_address(address).version in wanted)
        return dnsmessage.answer(query, dnsmessage.NOERROR, fitting, tcp=tcp)

    async def from_upstream(self, query: Query, data: bytes, *, tcp: bool) -> bytes:
        """What the host's resolver says; SERVFAIL when it cannot be asked or says nothing."""
        try:
            async with self._asking, asyncio.timeout(_UPSTREAM_SECONDS):
                reply = await self._ask(data)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return dnsmessage.answer(query, dnsmessage.SERVFAIL, tcp=tcp)
        if len(reply) < 12:
            return dnsmessage.answer(query, dnsmessage.SERVFAIL, tcp=tcp)
        return dnsmessage.truncated(query) if not tcp and len(reply) > query.size else reply

    async def _ask(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(sock=unixsockets.connect(self._upstream))
        try:
            writer.write(struct.pack(">H", len(data)) + data)
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            return await reader.readexactly(length)
        finally:
            writer.close()

    def datagram(self, transport: asyncio.DatagramTransport, data: bytes, address: tuple[str, int]) -> None:
        """One UDP query."""
        try:
            query = dnsmessage.parse(data)
        except MalformedQuery as error:
            if error.number is not None:
                transport.sendto(dnsmessage.refusal(error.number, dnsmessage.FORMERR), address)
            return
        reply = self.local_answer(query, tcp=False)
        if reply is not None:
            transport.sendto(reply, address)
        elif self._asking.locked():
            transport.sendto(dnsmessage.answer(query, dnsmessage.SERVFAIL), address)
        else:
            self._group.create_task(guarded(self._answer_later(transport, query, data, address)))

    async def _answer_later(
        self, transport: asyncio.DatagramTransport, query: Query, data: bytes, address: tuple[str, int]
    ) -> None:
        transport.sendto(await self.from_upstream(query, data, tcp=False), address)

    async def conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP client: queries one after the other until it goes or is silent for too long."""
        self._connections += 1
        try:
            if self._connections <= _MOST_CONNECTIONS:
                await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, MalformedQuery):
            return
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                data = await reader.readexactly(length)
            query = dnsmessage.parse(data)
            reply = self.local_answer(query, tcp=True)
            if reply is None:
                reply = await self.from_upstream(query, data, tcp=True)
            writer.write(struct.pack(">H", len(reply)) + reply)
            async with asyncio.timeout(_IDLE_SECONDS):
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._transport is not None:
            self._server.datagram(self._transport, data, cast("tuple[str, int]", addr))

    def error_received(self, exc: Exception) -> None:
        """A client's closed port, reported back by the kernel, is no concern of ours."""


def read_table(line: bytes) -> Table:
    """A table from the holder's line. ValueError when it is none."""
    value = json.loads(line)
    return Table.build(list(value["zones"]), dict(value["names"]))


async def _obey(server: DnsServer, channel: socket.socket) -> None:
    """Take tables from the holder until its end closes."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=LONGEST_LINE * 2)
    while line := await reader.readline():
        try:
            server.table = read_table(line)
            answer = {"ok": True}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def serve(address: str, port: int, channel: socket.socket, upstream: Path) -> None:
    """Serve until the holder's end of `channel` closes."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        server = DnsServer(upstream, group)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(address, port))
        listener = await asyncio.start_server(server.conversation, address, port)
        with suppress(OSError):
            await _obey(server, channel)
        listener.close()
        transport.close()


def main(argv: list[str] | None = None) -> int:
    address, channel, upstream = sys.argv[1:] if argv is None else argv
    asyncio.run(serve(address, 53, socket.socket(fileno=int(channel)), Path(upstream)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
