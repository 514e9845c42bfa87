"""One HTTP/1.1 exchange on a connected socket: enough for probes and for Envoy's admin interface.

The connection is used once. The head of an answer may have 64 KiB, of its body the first `BODY_LIMIT` bytes are kept.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 4 * 1024 * 1024


class HttpError(Exception):
    """The other side did not answer in HTTP."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`headers` are sent as they are; Host must be among them."""

    target: str
    headers: tuple[tuple[str, str], ...]
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


async def exchange(
    connection: socket.socket, request: HttpRequest, tls: ssl.SSLContext | None = None, *, with_body: bool = True
) -> HttpAnswer:
    """Send the request, read the answer, close. Raises OSError or HttpError; the caller sets the time limit."""
    reader, writer = await asyncio.open_connection(
        sock=connection, limit=HEAD_LIMIT, ssl=tls, server_hostname="" if tls else None
    )
    try:
        lines = [f"{request.method} {request.target} HTTP/1.1", "Connection: close"]
        if request.method == "POST":
            lines.append("Content-Length: 0")
        lines += [f"{name}: {value}" for name, value in request.headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        await writer.drain()
        answer = await _head(reader)
        if not with_body:
            return answer
        return HttpAnswer(answer.status, answer.headers, await _body(reader, answer))
    finally:
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> HttpAnswer:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise HttpError("the answer has no complete head") from None
        first, *fields = head.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():  # noqa: PLR2004
            raise HttpError(f"not an HTTP answer: {first[:80]!r}")
        status = int(parts[1])
        if status == 101 or status >= 200:  # noqa: PLR2004 - other 1xx answers announce the real one
            pairs = (field.partition(":") for field in fields if ":" in field)
            return HttpAnswer(status, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))


async def _body(reader: asyncio.StreamReader, answer: HttpAnswer) -> bytes:
    if answer.header("transfer-encoding").lower() == "chunked":
        return await _chunks(reader)
    length = answer.header("content-length")
    if length.isdigit():
        return await _exactly(reader, min(int(length), BODY_LIMIT))
    body = bytearray()
    while len(body) < BODY_LIMIT and (piece := await reader.read(HEAD_LIMIT)):
        body += piece
    return bytes(body)


async def _exactly(reader: asyncio.StreamReader, count: int) -> bytes:
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError:
        raise HttpError("the answer ends before its body is complete") from None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while len(body) < BODY_LIMIT:
        size = (await reader.readline()).split(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError:
            raise HttpError(f"not a chunk size: {size[:40]!r}") from None
        if length == 0:
            break
        body += await _exactly(reader, min(length, BODY_LIMIT))
        await reader.readline()
    return bytes(body)
