"""SPDY/3.1 frames, as far as `kubectl port-forward` uses them: bytes in, frames out, and the other way round.

No sockets here and no time. A decoder keeps at most one control frame; data frames, which may be 16 MiB long, come
out in the pieces in which they came in. Everything that the protocol does not allow raises SpdyError: the headers of
a connection are compressed as one stream, so nothing can be skipped.

There are no flow-control windows: the only client in use (Go's spdystream) neither keeps to them nor opens ours, so
that whoever kept to them would stop after 64 KiB. What bounds memory is that the connection below is not read.
"""

import struct
import zlib
from dataclasses import dataclass

LONGEST_CONTROL = 16_384  # bytes of a control frame, and of the headers in it once they are inflated
LONGEST_DATA = (1 << 24) - 1
MOST_HEADERS = 64
VERSION = 3

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, INTERNAL_ERROR, STREAM_CLOSED = 1, 3, 5, 6, 9

_FIN = 1
_HEAD = struct.Struct(">II")
_NUMBER = struct.Struct(">I")
_LENGTHS = {RST_STREAM: 8, PING: 4, GOAWAY: 8, WINDOW_UPDATE: 8}
_STREAM_BITS = 0x7FFF_FFFF

# The words that headers are likely to have: both sides' compression begins with them (the specification, 2.6.10.1).
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method
get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def dictionary() -> bytes:
    """What both sides' compression begins with."""
    words = [word.replace("_", " ") for word in _WORDS.split()]
    return b"".join(_NUMBER.pack(len(word)) + word.encode() for word in words) + _TAIL.encode()


class SpdyError(Exception):
    """The other side does not speak SPDY/3.1, or more of it than is allowed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """SYN_STREAM. Header names are lower-case."""

    stream: int
    headers: dict[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """SYN_REPLY."""

    stream: int
    headers: dict[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a stream; `fin` with the last one."""

    stream: int
    data: bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM: neither side says more on it."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back, if the number is the other side's."""

    number: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """No new streams come."""


Frame = Opened | Answered | Data | Reset | Ping | GoneAway


class Decoder:
    """Bytes of one direction of one connection, in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=dictionary())
        self._stream = 0
        self._left = 0  # bytes of the data frame that is under way
        self._fin = False

    @property
    def kept(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now, and pieces of data. Raises SpdyError; nothing more can be fed then."""
        self._buffer += data
        frames: list[Frame] = []
        while True:
            if self._left:
                if not self._buffer:
                    return frames
                frames.append(self._piece())
                continue
            frame = self._next()
            if frame is None:
                return frames
            frames += frame

    def _piece(self) -> Data:
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: len(taken)]
        self._left -= len(taken)
        return Data(self._stream, taken, self._fin and not self._left)

    def _next(self) -> list[Frame] | None:
        """The next frame, none of those that say nothing to us; None while it is not whole."""
        if len(self._buffer) < _HEAD.size:
            return None
        first, second = _HEAD.unpack_from(self._buffer)
        flags, length = second >> 24, second & LONGEST_DATA
        if not first >> 31:
            del self._buffer[: _HEAD.size]
            return self._begin_data(first, flags, length)
        if length > LONGEST_CONTROL:
            raise SpdyError(f"a control frame of {length} bytes")
        if len(self._buffer) < _HEAD.size + length:
            return None
        payload = bytes(self._buffer[_HEAD.size : _HEAD.size + length])
        del self._buffer[: _HEAD.size + length]
        if first >> 16 & 0x7FFF != VERSION:
            raise SpdyError(f"version {first >> 16 & 0x7FFF} of the protocol")
        return self._control(first & 0xFFFF, flags, payload)

    def _begin_data(self, stream: int, flags: int, length: int) -> list[Frame]:
        if not stream or flags & ~_FIN:
            raise SpdyError(f"data for stream {stream} with flags {flags}")
        self._stream, self._left, self._fin = stream, length, bool(flags & _FIN)
        return [] if length else [Data(stream, b"", self._fin)]

    def _control(self, kind: int, flags: int, payload: bytes) -> list[Frame]:
        wanted = _LENGTHS.get(kind)
        if wanted is not None and (len(payload) != wanted or flags):
            raise SpdyError(f"a frame of type {kind} with {len(payload)} bytes and flags {flags}")
        match kind:
            case 1 | 2 | 8:
                return self._with_headers(kind, flags, payload)
            case 3:
                stream, status = _HEAD.unpack(payload)
                return [Reset(_stream_of(stream), status)]
            case 6:
                return [Ping(_NUMBER.unpack(payload)[0])]
            case 7:
                return [GoneAway()]
            case 4 | 9:
                return []  # settings and windows: see above
            case _:
                raise SpdyError(f"a frame of the unknown type {kind}")

    def _with_headers(self, kind: int, flags: int, payload: bytes) -> list[Frame]:
        fixed = 10 if kind == SYN_STREAM else 4
        if flags & ~_FIN or len(payload) < fixed:
            raise SpdyError(f"a frame of type {kind} with {len(payload)} bytes and flags {flags}")
        stream = _stream_of(_NUMBER.unpack_from(payload)[0])
        headers = self._headers(payload[fixed:])
        if kind == SYN_STREAM:
            return [Opened(stream, headers, bool(flags))]
        if kind == SYN_REPLY:
            return [Answered(stream, headers, bool(flags))]
        return [Data(stream, b"", fin=True)] if flags else []

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block, LONGEST_CONTROL + 1)
        except zlib.error as error:
            raise SpdyError(f"headers that cannot be inflated: {error}") from None
        if len(text) > LONGEST_CONTROL or self._inflate.unconsumed_tail or self._inflate.eof:
            raise SpdyError("headers that are too long, or a compression that ends")
        return _pairs(text)


def _stream_of(number: int) -> int:
    if not 0 < number <= _STREAM_BITS:
        raise SpdyError(f"stream {number}")
    return number


def _pairs(text: bytes) -> dict[str, str]:
    words: list[str] = []
    try:
        count = _NUMBER.unpack_from(text)[0]
        if count > MOST_HEADERS:
            raise SpdyError(f"{count} headers")
        offset = _NUMBER.size
        for _ in range(2 * count):
            length = _NUMBER.unpack_from(text, offset)[0]
            offset += _NUMBER.size + length
            if offset > len(text):
                raise SpdyError("headers that end too early")
            words.append(text[offset - length : offset].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise SpdyError(f"headers that cannot be read: {error}") from None
    names = words[::2]
    if offset != len(text) or len(set(names)) != count or any(not name or name != name.lower() for name in names):
        raise SpdyError("headers with empty, repeated or upper-case names, or something behind them")
    return dict(zip(names, words[1::2], strict=True))


class Encoder:
    """Frames of one direction of one connection; they must be sent in the order in which they are made."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=dictionary())

    def opened(self, stream: int, headers: dict[str, str], *, fin: bool = False) -> bytes:
        """SYN_STREAM."""
        return _control(SYN_STREAM, _HEAD.pack(stream, 0) + b"\0\0" + self._block(headers), fin=fin)

    def answered(self, stream: int, headers: dict[str, str] | None = None) -> bytes:
        """SYN_REPLY."""
        return _control(SYN_REPLY, _NUMBER.pack(stream) + self._block(headers or {}))

    def _block(self, headers: dict[str, str]) -> bytes:
        text = _NUMBER.pack(len(headers)) + b"".join(
            _NUMBER.pack(len(word)) + word for pair in headers.items() for word in map(str.encode, pair)
        )
        return self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, payload: bytes, *, fin: bool = False) -> bytes:
    return _HEAD.pack(1 << 31 | VERSION << 16 | kind, int(fin) << 24 | len(payload)) + payload


def data(stream: int, content: bytes, *, fin: bool = False) -> bytes:
    """A data frame of at most LONGEST_DATA bytes."""
    return _HEAD.pack(stream, int(fin) << 24 | len(content)) + content


def reset(stream: int, status: int) -> bytes:
    """RST_STREAM."""
    return _control(RST_STREAM, _HEAD.pack(stream, status))


def ping(number: int) -> bytes:
    """PING, or the answer to one."""
    return _control(PING, _NUMBER.pack(number))


def gone_away(last: int, status: int = 0) -> bytes:
    """GOAWAY: `last` is the last stream that was taken."""
    return _control(GOAWAY, _HEAD.pack(last, status))
