"""One HTTP/1.1 exchange on a connected socket: enough for probes and for Envoy's admin interface.

The connection is used once. The head of an answer may have 64 KiB, of its body the first `BODY_LIMIT` bytes are kept.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

from meshwright.agent.byte_stream import ByteStream, StreamError

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 4 * 1024 * 1024
DOWNLOAD_LIMIT = 512 * 1024 * 1024
_PIECE = 256 * 1024
_WITHOUT_BODY = (204, 304)
Sink = Callable[[bytes], None]


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


async def download(connection: socket.socket, request: HttpRequest, take: Sink) -> HttpAnswer:
    """As `exchange`, for a large answer: its body goes to `take` piece by piece, and is not in what is returned.

    Raises OSError or HttpError, also for more than `DOWNLOAD_LIMIT` bytes.
    """
    try:
        stream = ByteStream(connection)
        await stream.send(_encode(request))
        answer = await _head(stream)
        await _pour(stream, answer, _Measured(take))
    except StreamError as error:
        raise HttpError(f"the answer ends too early: {error}") from None
    finally:
        connection.close()
    return answer


class _Measured:
    """A sink that has had enough at `DOWNLOAD_LIMIT`."""

    def __init__(self, take: Sink) -> None:
        self._take = take
        self._count = 0

    def __call__(self, piece: bytes) -> None:
        self._count += len(piece)
        if self._count > DOWNLOAD_LIMIT:
            raise HttpError("the answer is too long")
        self._take(piece)


async def _pour(stream: ByteStream, answer: HttpAnswer, take: Sink) -> None:
    if answer.status in _WITHOUT_BODY:
        return
    length = answer.header("content-length")
    if answer.header("transfer-encoding").lower() == "chunked":
        while size := await _chunk_size(stream):
            await _pour_exactly(stream, size, take)
            await stream.until(b"\r\n", HEAD_LIMIT)
    elif length.isdecimal():
        await _pour_exactly(stream, int(length), take)
    else:
        while piece := await stream.rest(_PIECE):
            take(piece)


async def _pour_exactly(stream: ByteStream, count: int, take: Sink) -> None:
    while count:
        piece = await stream.exactly(min(count, _PIECE))
        count -= len(piece)
        take(piece)


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
        length = await _chunk_size(stream)
        if length == 0:
            break
        body += await stream.exactly(min(length, BODY_LIMIT))
        await stream.until(b"\r\n", HEAD_LIMIT)
    return bytes(body)


async def _chunk_size(stream: ByteStream) -> int:
    line = await stream.until(b"\r\n", HEAD_LIMIT)
    size = line.split(b";")[0].strip()
    try:
        return max(0, int(size, 16))
    except ValueError:
        raise HttpError(f"not a chunk size: {size[:40]!r}") from None
