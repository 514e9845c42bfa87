"""Answers everything it is asked: `backend.py HTTP HTTP2 GRPC TCP` (four ports).

HTTP/1.1 and HTTP/2: `/ID` or `/wait/MILLISECONDS/ID`; gRPC: any method, bytes in and out; TCP: a line. The answer
is always `ID VERSION POD RULE`, RULE being the request's header x-rule or "-". After SIGTERM what was asked is still
answered. An HTTP/1.1 connection that is idle for IDLE seconds (of the environment) is closed, as most servers do.
"""

# pyright: basic
# grpcio ships no types.

import asyncio
import os
import signal
import sys
from typing import ClassVar

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events

VERSION, POD = os.environ.get("VERSION", "-"), os.environ.get("HOSTNAME", "-")
BIND = os.environ.get("MESHWRIGHT_BIND_ADDRESS", "0.0.0.0")
IDLE = float(os.environ.get("IDLE", "3600"))
PATIENCE = 10.0


def answer(asked: str, rule: str = "-") -> bytes:
    return f"{asked.rsplit('/', 1)[-1]} {VERSION} {POD} {rule}".encode()


async def think(path: str) -> None:
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "wait":
        await asyncio.sleep(int(parts[2]) / 1000)


class Http1:
    """HTTP/1.1 without bodies of requests."""

    def __init__(self) -> None:
        self.stopping = False
        self.idle: set[asyncio.StreamWriter] = set()
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while not self.stopping:
                self.idle.add(writer)
                async with asyncio.timeout(IDLE):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.idle.discard(writer)
                await self.respond(head, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.idle.discard(writer)
            self.open -= 1
            writer.close()

    async def respond(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ", 2)[1]
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        await think(path)
        body = answer(path, fields.get("x-rule", "-"))
        last = "connection: close\r\n" if self.stopping else ""
        writer.write(f"HTTP/1.1 200 OK\r\n{last}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    def stop(self) -> None:
        self.stopping = True
        for writer in self.idle:
            writer.close()


class Http2(asyncio.Protocol):
    """One HTTP/2 connection, prior knowledge."""

    every: ClassVar[set["Http2"]] = set()

    def __init__(self) -> None:
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.transport: asyncio.Transport | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.every.add(self)
        self.http.initiate_connection()
        self.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.every.discard(self)
        self.transport = None

    def data_received(self, data: bytes) -> None:
        for event in self.http.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                task = asyncio.get_running_loop().create_task(self.respond(event.stream_id, event.headers or []))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        self.flush()

    async def respond(self, stream: int, headers: list) -> None:
        fields = {_text(name): _text(value) for name, value in headers}
        await think(fields[":path"])
        if self.transport is not None:
            body = answer(fields[":path"], fields.get("x-rule", "-"))
            self.http.send_headers(stream, [(":status", "200"), ("content-length", str(len(body)))])
            self.http.send_data(stream, body, end_stream=True)
            self.flush()

    def flush(self) -> None:
        if self.transport is not None and (data := self.http.data_to_send()):
            self.transport.write(data)

    async def stop(self) -> None:
        for task in list(self.tasks):
            await task
        if self.transport is not None:
            self.http.close_connection()
            self.flush()
            self.transport.close()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


class Lines:
    """TCP: each line is answered."""

    def __init__(self) -> None:
        self.readers: set[asyncio.StreamReader] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.readers.add(reader)
        try:
            while line := await reader.readline():
                writer.write(answer(line.decode().strip()) + b"\n")
                await writer.drain()
        except OSError:
            return
        finally:
            self.readers.discard(reader)
            writer.close()

    def stop(self) -> None:
        for reader in self.readers:
            reader.feed_eof()  # what has come is answered, then the connection ends


class Calls(grpc.GenericRpcHandler):
    """Every unary method."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        rule = dict(handler_call_details.invocation_metadata or ()).get("x-rule", "-")

        async def call(request: bytes, _context: object) -> bytes:
            return answer(request.decode(), str(rule))

        return grpc.unary_unary_rpc_method_handler(call)


async def main() -> None:
    http, http2, calls, tcp = sys.argv[1:5]
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    ones, lines = Http1(), Lines()
    servers = [
        await asyncio.start_server(ones.serve, BIND, int(http)),
        await asyncio.get_running_loop().create_server(Http2, BIND, int(http2)),
        await asyncio.start_server(lines.serve, BIND, int(tcp)),
    ]
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Calls(),))
    server.add_insecure_port(f"{BIND}:{calls}")
    await server.start()
    await stopped.wait()
    for each in servers:
        each.close()
    ones.stop()
    lines.stop()
    await server.stop(PATIENCE)
    for connection in list(Http2.every):
        await connection.stop()
    while ones.open or lines.readers:
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
