"""The host's way into the mesh: addresses on 127.0.0.1 that lead to unix sockets of gateways.

`python -m meshwright.processes forwarder --data DIR` lives in the host's network namespace, outside the sandbox, and
outlives agent, holder and supervisor. It is told what to forward over its control socket and remembers it in a file,
so that a restarted one goes on. It also asks the host's resolver on behalf of the sandbox's DNS server.
"""

import argparse
import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from meshwright.processes import procfs, state, unixsockets, upstream
from meshwright.processes.journal import guarded, log
from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.server import Answer, Connection, Server

_MOST_CONNECTIONS = 4096
# Above this many unsent bytes one side is no longer read until the other has caught up.
_HIGH_WATER = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Way:
    """Where an address leads; `announce`: the socket is told the client's address before its first byte."""

    target: str
    announce: bool = False


class _Side(asyncio.Protocol):
    """One end of a forwarded connection. Bytes, the end of bytes, pauses and resets pass to the other end."""

    def __init__(self, forwarder: "Forwarder", peer: "_Side | None") -> None:
        self.forwarder = forwarder
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the half-close on and keep our other half open."""
        self.ended = True
        if self.peer is not None and self.peer.transport is not None and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return self.peer is not None and not self.peer.ended

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        peer, self.peer = self.peer, None
        if peer is None or peer.transport is None:
            return
        peer.peer = None
        if exc is not None or not self.ended:
            peer.transport.abort()  # a reset on one side is a reset on the other
        else:
            peer.transport.close()


class _Client(_Side):
    """The side of the host. It is read only once its gateway's socket is connected."""

    def __init__(self, forwarder: "Forwarder", way: _Way) -> None:
        super().__init__(forwarder, None)
        self._way = way
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.forwarder.open_connections += 1
        if self.transport is not None and self.forwarder.open_connections > _MOST_CONNECTIONS:
            self.transport.abort()
        else:
            self.forwarder.group.create_task(guarded(self._reach()))

    def data_received(self, data: bytes) -> None:
        # The loop may read once before it can be paused: what came is kept until there is somebody to take it.
        if self.peer is None:
            self._early.append(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        super().eof_received()
        return self.peer is None or not self.peer.ended

    async def _reach(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(self._attach, sock=unixsockets.connect(Path(self._way.target)))
        except OSError:
            self.peer = None
            if self.transport is not None:
                self.transport.abort()  # nothing behind this address: refused, cleanly
            return
        if self.transport is None or self.peer is None or self.peer.transport is None:
            return
        if self._way.announce:
            self.peer.transport.write(announcement(self.transport))
        self.peer.transport.writelines(self._early)
        self._early.clear()
        if self.ended and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        if self.transport.is_closing():
            self.peer.transport.abort()
        else:
            self.transport.resume_reading()

    def _attach(self) -> _Side:
        self.peer = _Side(self.forwarder, self)
        return self.peer

    def connection_lost(self, exc: Exception | None) -> None:
        self.forwarder.open_connections -= 1
        super().connection_lost(exc)


def announcement(client: asyncio.BaseTransport) -> bytes:
    """The line of the PROXY protocol, version 1, for a connection that a client has made to us."""
    source, called = client.get_extra_info("peername"), client.get_extra_info("sockname")
    if not source or not called:
        return b"PROXY UNKNOWN\r\n"  # it has gone already
    family = "TCP6" if ":" in source[0] else "TCP4"
    return f"PROXY {family} {source[0]} {called[0]} {source[1]} {called[1]}\r\n".encode()


class Forwarder:
    """The listening addresses and where they lead."""

    def __init__(self, data: state.DataDirectory, group: asyncio.TaskGroup) -> None:
        self.group = group
        self.open_connections = 0
        self._data = data
        self._listeners: dict[str, tuple[asyncio.Server, _Way]] = {}

    async def restore(self) -> None:
        """Listen again where a former process did."""
        for listen, way in state.read_json(self._data.forwards).items():
            try:
                await self.forward(listen, str(way["target"]), announce=bool(way["announce"]))
            except BadRequest as error:
                log("an address could not be taken again", listen=listen, why=str(error))

    async def forward(self, listen: str, target: str, *, announce: bool = False) -> str:
        """Lead the address `listen` to the socket `target`, which need not exist yet; the address."""
        way = _Way(target, announce)
        host, _, port = listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise BadRequest(f"{listen!r} is not an address like 127.0.0.1:8080")
        known = self._listeners.get(listen)
        if known is not None and known[1] == way:
            return listen
        if known is not None:  # without a pause in which nobody listens; open connections stay where they are
            self._listeners[listen] = (known[0], way)
            self._save()
            return listen
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: _Client(self, self._listeners[taken][1]), host.strip("[]"), int(port), start_serving=False
            )
            taken = f"{host}:{cast('tuple[str, int]', server.sockets[0].getsockname())[1]}"
            self._listeners[taken] = (server, way)
            await server.start_serving()
        except OSError as error:
            self._listeners.pop(listen, None)
            raise self._refused(listen, int(port), error) from None
        self._save()
        return taken

    def _refused(self, listen: str, port: int, error: OSError) -> BadRequest:
        owner = procfs.owner_of_port(port)
        by = f"; process {owner.pid} has it: {owner.command}" if owner and owner.pid else ""
        return BadRequest(f"cannot listen on {listen}: {error.strerror or error}{by}", "busy")

    async def unforward(self, listen: str) -> None:
        known = self._listeners.pop(listen, None)
        if known is not None:
            known[0].close()
            self._save()

    def _save(self) -> None:
        table = {
            listen: {"target": way.target, "announce": way.announce}
            for listen, (_, way) in self._listeners.items()
            if not listen.endswith(":0")
        }
        state.write_json(self._data.forwards, table)

    async def handle(self, _connection: Connection, operation: str, fields: Fields) -> Answer:
        """The control socket's operations."""
        match operation:
            case "forward":
                announce = fields.flag("announce", default=False)
                listen = await self.forward(fields.text("listen"), fields.text("target"), announce=announce)
                return {"listen": listen}, []
            case "unforward":
                await self.unforward(fields.text("listen"))
                return {}, []
            case "list":
                table = {listen: way.target for listen, (_, way) in self._listeners.items()}
                return {"forwards": table, "connections": self.open_connections}, []
            case _:
                raise BadRequest(f"there is no operation {operation[:80]!r}", "unknown-operation")


async def _serve(data: state.DataDirectory) -> None:
    loop = asyncio.get_running_loop()
    finish = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finish.set)
    async with asyncio.TaskGroup() as group:
        forwarder = Forwarder(data, group)
        await forwarder.restore()
        relay = await upstream.listen(data.upstream_socket)
        server = Server(data.forwarder_socket, forwarder.handle)
        serving = group.create_task(server.serve(group))
        log("the forwarder serves")
        await finish.wait()
        serving.cancel()
        relay.close()
        for connection in list(server.connections):
            connection.cut()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="meshwright-forwarder", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data = state.DataDirectory(parser.parse_args(argv).data.resolve())
    data.prepare()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_serve(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
