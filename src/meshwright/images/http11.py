"""HTTP/1.1 messages on a socket: what our sample programs' server and client share.

Written for a small memory footprint (six Bookinfo processes together stay far below 100 MiB), so only light
modules of the standard library are imported: no http, email, urllib, asyncio, dataclasses. Reading is strict
(RFC 9112): whatever could be read in two ways is refused, because these programs sit behind proxies.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from socket import socket as Socket  # noqa: N812 - the class, beside attributes that are called socket

HEAD_LIMIT = 64 * 1024
"""Most bytes of a request or status line with its header fields."""
BODY_LIMIT = 16 * 1024 * 1024
"""Most bytes of a body that is kept in memory."""
CHUNKED = -1
"""Body length: chunked transfer coding."""
UNTIL_CLOSE = -2
"""Body length: everything until the peer closes."""

_PIECE = 64 * 1024
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LINE_ENDS = {0: " ", 10: " ", 13: " "}
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")

REASONS = {
    100: "Continue",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    418: "I'm a teapot",
    422: "Unprocessable Content",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


class BadMessageError(Exception):
    """The peer sent something that is not the HTTP/1.1 we accept; `status` is what a server answers."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ClosedError(Exception):
    """The peer closed (or reset) the connection in the middle of a message."""


class Headers:
    """Header fields in the order of the wire; names are compared without regard to case."""

    __slots__ = ("items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self.items: list[tuple[str, str]] = list(items)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field, or `default`."""
        lowered = name.lower()
        for key, value in self.items:
            if key.lower() == lowered:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        lowered = name.lower()
        return [value for key, value in self.items if key.lower() == lowered]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def tokens(self, name: str) -> list[str]:
        """The lower-case members of a comma-separated list field."""
        members = ",".join(self.all(name)).lower().split(",")
        return [member.strip() for member in members if member.strip()]


class Wire:
    """A connected socket with a read buffer and one deadline for all reads and writes.

    Methods raise `ClosedError` when the peer is gone and `TimeoutError` when the deadline passes.
    """

    __slots__ = ("_buffer", "_deadline", "socket")

    def __init__(self, connection: Socket) -> None:
        self.socket = connection
        self._buffer = bytearray()
        self._deadline: float | None = None

    def within(self, seconds: float | None) -> None:
        """Let everything from now on end within so many seconds (None: for ever)."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _arm(self) -> None:
        if self._deadline is None:
            self.socket.settimeout(None)
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)

    def _fill(self) -> None:
        self._arm()
        try:
            data = self.socket.recv(_PIECE)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClosedError(str(error)) from error
        if not data:
            raise ClosedError("end of stream")
        self._buffer += data

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self._arm()
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClosedError(str(error)) from error

    def pending(self) -> bool:
        """Whether bytes are already buffered (a pipelined request)."""
        return bool(self._buffer)

    def wait(self) -> bool:
        """Wait for the first byte of the next message; False when the peer closed instead."""
        try:
            while not self._buffer:
                self._fill()
        except ClosedError:
            return False
        return True

    def head(self, limit: int = HEAD_LIMIT) -> bytes:
        """The bytes up to the empty line that ends a head, without that line."""
        searched = 0
        while True:
            while self._buffer.startswith(b"\r\n"):  # an empty line before a message is to be ignored
                del self._buffer[:2]
            end = self._buffer.find(b"\r\n\r\n", searched)
            if end >= 0:
                break
            if len(self._buffer) > limit:
                raise BadMessageError(431, "the header section is too large")
            searched = max(0, len(self._buffer) - 3)
            self._fill()
        if end > limit:
            raise BadMessageError(431, "the header section is too large")
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return head

    def line(self, limit: int = 4096) -> bytes:
        """The bytes up to CRLF, without it."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > limit:
                raise BadMessageError(400, "a line is too long")
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def some(self, most: int) -> bytes:
        """At least one byte, at most so many."""
        if not self._buffer:
            self._fill()
        piece = bytes(self._buffer[:most])
        del self._buffer[:most]
        return piece

    def close(self) -> None:
        """Close the socket; never fails."""
        try:
            self.socket.close()
        except OSError:  # the peer may have reset it
            return


def parse_fields(lines: list[bytes]) -> Headers:
    """Header lines to `Headers`; refuses folded lines, blanks before the colon and control characters."""
    items: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise BadMessageError(400, "a header field is malformed")
        text = value.strip(b" \t").decode("latin-1")
        if "\0" in text or "\r" in text or "\n" in text:
            raise BadMessageError(400, "a header value holds a control character")
        items.append((name.decode("ascii"), text))
    return Headers(items)


def is_token(text: str) -> bool:
    """Whether the text is a token of RFC 9110 (a method or a field name)."""
    return bool(text) and text.isascii() and _TOKEN.issuperset(text.encode())


def declared_length(headers: Headers) -> int | None:
    """The body length that the fields declare: bytes, `CHUNKED`, or None when they say nothing."""
    codings = headers.tokens("transfer-encoding")
    lengths = {part.strip() for value in headers.all("content-length") for part in value.split(",")}
    if codings:
        if lengths:
            raise BadMessageError(400, "Content-Length and Transfer-Encoding exclude each other")
        if codings != ["chunked"]:
            raise BadMessageError(501, "only the chunked transfer coding is known")
        return CHUNKED
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length or len(length) > 18 or not _DIGITS.issuperset(length):
        raise BadMessageError(400, "Content-Length is malformed")
    return int(length)


def body_pieces(wire: Wire, length: int) -> Iterator[bytes]:
    """Yield the body as it comes; `length` is bytes, `CHUNKED` or `UNTIL_CLOSE`."""
    if length == CHUNKED:
        yield from _chunks(wire)
        return
    if length == UNTIL_CLOSE:
        while wire.wait():
            yield wire.some(_PIECE)
        return
    while length:
        piece = wire.some(min(length, _PIECE))
        length -= len(piece)
        yield piece


def _chunks(wire: Wire) -> Iterator[bytes]:
    while True:
        size_text = wire.line().partition(b";")[0].strip(b" \t").decode("latin-1")
        if not size_text or len(size_text) > 15 or not _HEX.issuperset(size_text):
            raise BadMessageError(400, "a chunk size is malformed")
        size = int(size_text, 16)
        if not size:
            break
        yield from body_pieces(wire, size)
        if wire.line(2):
            raise BadMessageError(400, "a chunk is longer than its size")
    trailers = 0
    while line := wire.line():
        trailers += len(line)
        if trailers > HEAD_LIMIT:
            raise BadMessageError(431, "the trailer section is too large")


def read_body(wire: Wire, length: int, limit: int = BODY_LIMIT) -> bytes:
    """The whole body; more than `limit` bytes is a `BadMessageError` (413)."""
    if length > limit:
        raise BadMessageError(413, "the body is too large")
    body = bytearray()
    for piece in body_pieces(wire, length):
        body += piece
        if len(body) > limit:
            raise BadMessageError(413, "the body is too large")
    return bytes(body)


def head_bytes(first: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A start line and fields as bytes on the wire, with the empty line; a value cannot end its line."""
    lines = [first, *(f"{name}: {value.translate(_LINE_ENDS)}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def unquote(text: str, *, plus: bool = False) -> str:
    """Decode percent-escapes as UTF-8 (and `+` as a blank in forms); malformed escapes stay as they are."""
    if plus:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    out = bytearray()
    first, *parts = text.split("%")
    out += first.encode()
    for part in parts:
        if len(part) >= 2 and _HEX.issuperset(part[:2]):
            out.append(int(part[:2], 16))
            out += part[2:].encode()
        else:
            out += b"%" + part.encode()
    return out.decode("utf-8", "replace")


def quote(text: str, safe: str = "") -> str:
    """Percent-encode everything but letters, digits, `-._~` and `safe`."""
    keep = frozenset(b"-._~" + safe.encode())
    return "".join(
        chr(byte) if byte in keep or (byte < 128 and chr(byte).isalnum()) else f"%{byte:02X}"
        for byte in text.encode()
    )


def parse_form(text: str) -> list[tuple[str, str]]:
    """`a=1&b=2` (a query or an urlencoded form) to pairs, in order."""
    pairs: list[tuple[str, str]] = []
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote(name, plus=True), unquote(value, plus=True)))
    return pairs
