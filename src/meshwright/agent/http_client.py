"""One HTTP/1.1 exchange on a connected socket: enough for probes and for Envoy's admin interface.

The connection is used once. The head of an answer may have 64 KiB, of its body the first `BODY_LIMIT` bytes are kept.
"""

import socket
import ssl
from dataclasses import dataclass, replace

from meshwright.agent.byte_stream import ByteStream, StreamError

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 4 * 1024 * 1024
_WITHOUT_BODY = (204, 304)


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
    """Send the request on a non-blocking socket, read the answer, close the socket in any case.

    Raises OSError or HttpError; the caller sets the time limit.
    """
    try:
        stream = ByteStream(connection)
        if tls is not None:
            await stream.start_tls(tls)
        await stream.send(_encode(request))
        answer = await _head(stream)
        return replace(answer, body=await _body(stream, answer)) if with_body else answer
    except StreamError as error:
        raise HttpError(f"the answer ends too early: {error}") from None
    finally:
        connection.close()


def _encode(request: HttpRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1", "Connection: close"]
    if request.method == "POST":
        lines.append("Content-Length: 0")
    lines += [f"{name}: {value}" for name, value in request.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _head(stream: ByteStream) -> HttpAnswer:
    while True:
        head = await stream.until(b"\r\n\r\n", HEAD_LIMIT)
        first, *fields = head.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdecimal():  # noqa: PLR2004
            raise HttpError(f"not an HTTP answer: {first[:80]!r}")
        status = int(parts[1])
        if status == 101 or status >= 200:  # noqa: PLR2004 - other 1xx answers announce the real one
            pairs = (field.partition(":") for field in fields if ":" in field)
            return HttpAnswer(status, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))


async def _body(stream: ByteStream, answer: HttpAnswer) -> bytes:
    if answer.status in _WITHOUT_BODY:
        return b""
    if answer.header("transfer-encoding").lower() == "chunked":
        return await _chunks(stream)
    length = answer.header("content-length")
    if length.isdecimal():
        return await stream.exactly(min(int(length), BODY_LIMIT))
    return await stream.rest(BODY_LIMIT)


async def _chunks(stream: ByteStream) -> bytes:
    body = bytearray()
    while len(body) < BODY_LIMIT:
        line = await stream.until(b"\r\n", HEAD_LIMIT)
        size = line.split(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError:
            raise HttpError(f"not a chunk size: {size[:40]!r}") from None
        if length <= 0:
            break
        body += await stream.exactly(min(length, BODY_LIMIT))
        await stream.until(b"\r\n", HEAD_LIMIT)
    return bytes(body)
