"""HTTP/2 on the wire (RFC 9113): numbers, frame builders, header blocks that need no encoder state."""

from collections.abc import Sequence
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER = 9
DEFAULT_WINDOW = 65_535
LARGEST_WINDOW = 2**31 - 1
SMALLEST_MAX_FRAME = 16_384
LARGEST_MAX_FRAME = 2**24 - 1
DEFAULT_TABLE = 4_096


class FrameType(IntEnum):
    """Types of frames; others are ignored."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class ErrorCode(IntEnum):
    """Why a stream or connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class Setting(IntEnum):
    """The settings that matter to either side."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

Headers = Sequence[tuple[bytes, bytes]]


class ConnectionViolation(Exception):  # noqa: N818 - it is the peer's error, not ours
    """The peer broke the protocol so that the connection cannot go on."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def frame(kind: FrameType, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return frame_header(len(payload), kind, flags, stream) + payload


def frame_header(length: int, kind: FrameType, flags: int, stream: int) -> bytes:
    """The nine bytes before a payload of `length` bytes."""
    return length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")


def data_frames(stream: int, body: bytes, largest: int = SMALLEST_MAX_FRAME) -> bytes:
    """A piece of a body as DATA frames of at most `largest` bytes."""
    pieces = (body[at : at + largest] for at in range(0, len(body), largest))
    return b"".join(frame(FrameType.DATA, 0, stream, piece) for piece in pieces)


def settings(values: Sequence[tuple[Setting, int]]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values)
    return frame(FrameType.SETTINGS, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(FrameType.WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream: int, code: ErrorCode) -> bytes:
    """A RST_STREAM frame."""
    return frame(FrameType.RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last_stream: int, code: ErrorCode, text: str = "") -> bytes:
    """A GOAWAY frame; `text` is for a person who reads the peer's log."""
    payload = last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + text.encode()[:256]
    return frame(FrameType.GOAWAY, 0, 0, payload)


def header_block(headers: Headers, *, first: bool) -> bytes:
    """HPACK of `headers` as plain literals, which touch no table.

    The `first` block of a connection begins with a table size of 0, so nothing that the peer
    says of its table later can matter.
    """
    literals = (b"\x00" + _string(name) + _string(value) for name, value in headers)
    return (b"\x20" if first else b"") + b"".join(literals)


def _string(text: bytes) -> bytes:
    """HPACK string without Huffman code: length as an integer with a 7-bit prefix, then the bytes."""
    length = len(text)
    if length < 0x7F:  # noqa: PLR2004 - the prefix
        return bytes((length,)) + text
    head = bytearray((0x7F,))
    length -= 0x7F
    while length > 0x7F:  # noqa: PLR2004 - the prefix
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + text
