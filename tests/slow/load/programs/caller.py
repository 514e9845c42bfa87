"""A constant load that looks at every single answer: `caller.py JSON`, prints one JSON object at the end.

The argument: `stop` (a file whose appearance ends the load), `streams`: each with name, kind (h1, h1new, h2, h2new,
grpc, tcp, tcpnew), host, port, authority (the Host that is asked for), connections, rate (requests per second of each
connection), wait (how many milliseconds the backend thinks about each). The answer: per stream the numbers of
requests, by version and by rule, connections that the other side closed in order, and every failure with its time
(seconds since the epoch), id, what happened and the headers.
"""

# pyright: basic
# grpcio ships no types.

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from http2_client import Connection, GoneError

PATIENCE = 15.0
MOST_FAILURES = 200


class FailedError(Exception):
    """A request that was not answered as it should; the text says how, `headers` what came."""

    def __init__(self, what: str, headers: str = "") -> None:
        super().__init__(what)
        self.headers = headers


class Closed(Exception):  # noqa: N818 - no error: the other side said in order that this connection ends
    """The connection has ended before this request was sent, or said that it was not looked at."""


class Stream:
    """What one stream of the load has seen."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.host: str = spec["host"]
        self.port: int = spec["port"]
        self.authority: str = spec.get("authority", f"{self.host}:{self.port}")
        self.path = f"/wait/{spec['wait']}/" if "wait" in spec else "/"
        self.pause = 1.0 / spec.get("rate", 10)
        self.requests = 0
        self.versions: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.reopened = 0
        self.cut = 0
        self.failures: list[dict[str, Any]] = []
        self.failed = 0

    def took(self, number: str, text: str) -> None:
        """Verify one answer."""
        parts = text.strip().split(" ")
        if len(parts) != 4 or parts[0] != number:
            raise FailedError(f"another answer: {text[:200]!r}")
        self.versions[parts[1]] += 1
        self.rules[parts[3]] += 1

    def fail(self, number: str, error: Exception) -> None:
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            what = str(error) if isinstance(error, FailedError) else repr(error)
            headers = error.headers if isinstance(error, FailedError) else ""
            self.failures.append({"at": time.time(), "id": number, "what": what, "headers": headers})

    def report(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "versions": dict(self.versions),
            "rules": dict(self.rules),
            "reopened": self.reopened,
            "cut": self.cut,
            "failed": self.failed,
            "failures": self.failures,
        }


@dataclass(frozen=True)
class Reply:
    """What came; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    def good(self) -> str:
        """The body of a 200. Raises FailedError."""
        if self.status != 200:
            raise FailedError(f"{self.status} {self.body[:200]!r}", json.dumps(self.headers))
        return self.body


class Http1:
    """One client connection of HTTP/1.1; opened when there is none."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, number: str) -> str:
        return (await self.fetch(number)).good()

    async def fetch(self, number: str) -> Reply:
        if self.reader is None or self.reader.at_eof():
            self.close()
            self.reader, self.writer = await asyncio.open_connection(self.stream.host, self.stream.port)
        assert self.writer is not None
        fields = f"Host: {self.stream.authority}\r\nx-request-id: {number}\r\n"
        request = f"GET {self.stream.path}{number} HTTP/1.1\r\n{fields}\r\n"
        self.writer.write(request.encode())
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            self.close()
            raise FailedError(f"closed while waiting, after {error.partial[:100]!r}") from None
        if fields.get("connection") == "close":
            self.close()
        return Reply(int(head.split(" ", 2)[1]), fields, body.decode())

    def close(self) -> None:
        if self.writer is not None:
            self.stream.reopened += 1
            self.writer.close()
        self.reader = self.writer = None


class Http2:
    """One client connection of HTTP/2; several requests at a time are on their way."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.connection: Connection | None = None

    async def ask(self, number: str) -> str:
        return (await self.fetch(number)).good()

    async def fetch(self, number: str) -> Reply:
        if self.connection is None or self.connection.leaving:
            self.close()
            self.connection = await Connection.open(self.stream.host, self.stream.port)
        headers = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", self.stream.authority),
            (":path", f"{self.stream.path}{number}"),
            ("x-request-id", number),
        ]
        connection = self.connection
        try:
            head, body = await connection.request(headers)
        except GoneError as error:
            if error.safe:
                raise Closed from None
            raise FailedError(str(error)) from None
        return Reply(int(head[":status"]), head, body.decode())

    def close(self) -> None:
        if self.connection is not None:
            self.stream.reopened += 1
            self.connection.close()
        self.connection = None


class Grpc:
    """One channel."""

    def __init__(self, stream: Stream) -> None:
        options = [("grpc.default_authority", stream.authority), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.aio.insecure_channel(f"{stream.host}:{stream.port}", options=options)
        self.call = self.channel.unary_unary("/load.Load/Ask")

    async def ask(self, number: str) -> str:
        try:
            answer = await self.call(number.encode(), timeout=PATIENCE, metadata=(("x-request-id", number),))
        except grpc.aio.AioRpcError as error:
            headers = f"{error.initial_metadata()} {error.trailing_metadata()}"
            raise FailedError(f"{error.code()}: {error.details()}", headers) from None
        return bytes(answer).decode()

    def close(self) -> None:
        """Channels look after themselves."""


class Lines:
    """One TCP connection that lives as long as the other side lets it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, number: str) -> str:
        fresh = self.reader is None or self.reader.at_eof()
        if fresh:
            self.close()
            self.reader, self.writer = await asyncio.open_connection(self.stream.host, self.stream.port)
        assert self.reader is not None
        assert self.writer is not None
        try:
            self.writer.write(number.encode() + b"\n")
            line = await self.reader.readline()
        except OSError as error:
            line, why = b"", repr(error)
        else:
            why = "closed"
        if line:
            return line.decode()
        self.reader = None
        if fresh:
            raise FailedError(f"a new connection was {why} without an answer")
        self.stream.cut += 1
        raise Closed

    def close(self) -> None:
        if self.writer is not None:
            self.stream.reopened += 1
            self.writer.close()
        self.reader = self.writer = None


KINDS = {
    "h1": (Http1, False),
    "h1new": (Http1, True),
    "h2": (Http2, False),
    "h2new": (Http2, True),
    "grpc": (Grpc, False),
    "tcp": (Lines, False),
    "tcpnew": (Lines, True),
}


async def keep_asking(stream: Stream, stopped: asyncio.Event) -> None:
    """The load of one connection; a request that is late is not made up for."""
    kind, always_new = KINDS[stream.spec["kind"]]
    connection = kind(stream)
    await asyncio.sleep(random.random() * stream.pause)
    while not stopped.is_set():
        began = time.monotonic()
        await one(stream, connection)
        if always_new:
            connection.close()
        await asyncio.sleep(max(0.0, began + stream.pause - time.monotonic()))
    connection.close()


async def one(stream: Stream, connection: Any) -> None:
    number = f"{random.getrandbits(64):016x}"
    stream.requests += 1
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    stream.took(number, await connection.ask(number))
                except Closed:
                    continue
                return
    except (OSError, TimeoutError, FailedError) as error:
        stream.fail(number, error)
        connection.close()


async def main() -> None:
    spec = json.loads(sys.argv[1])
    streams = [Stream(each) for each in spec["streams"]]
    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for stream in streams:
            for _ in range(stream.spec.get("connections", 1)):
                tasks.create_task(keep_asking(stream, stopped))
        while not Path(spec["stop"]).exists():
            await asyncio.sleep(0.1)
        stopped.set()
    print(json.dumps({stream.name: stream.report() for stream in streams}))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
