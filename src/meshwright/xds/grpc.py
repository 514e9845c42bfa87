"""gRPC over HTTP/2: message framing, status and the headers of a response."""

from collections.abc import Iterator
from enum import IntEnum

from meshwright.xds.http2_wire import Headers, data_frames

PREFIX = 5  # bytes before each message: compressed or not, length
CONTENT_TYPE = b"application/grpc"
RESPONSE_HEADERS: Headers = ((b":status", b"200"), (b"content-type", CONTENT_TYPE))


class Status(IntEnum):
    """gRPC's status codes, as far as they are given here."""

    OK = 0
    INVALID_ARGUMENT = 3
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class CallError(Exception):
    """The call ends with this status; the text goes to the peer."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class MessageReader:
    """Pieces of a body become messages. Messages above `limit` bytes end the call before they are stored."""

    __slots__ = (
        "_buffer",
        "_limit",
        "kept",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self.kept = 0
        """How many bytes of a message came that is not complete."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes. Raises CallError."""
        buffer = self._buffer
        buffer += data
        try:
            while len(buffer) >= PREFIX:
                length = int.from_bytes(buffer[1:PREFIX], "big")
                if buffer[0]:
                    raise CallError(Status.UNIMPLEMENTED, "compressed messages are not supported")
                if length > self._limit:
                    text = f"a message of {length} bytes; the limit is {self._limit}"
                    raise CallError(Status.RESOURCE_EXHAUSTED, text)
                if len(buffer) < PREFIX + length:
                    return
                message = bytes(buffer[PREFIX : PREFIX + length])
                if len(buffer) == PREFIX + length:
                    buffer = self._buffer = bytearray()  # an emptied one would keep its memory
                else:
                    del buffer[: PREFIX + length]
                yield message
        finally:
            self.kept = len(buffer)


def prefix(length: int) -> bytes:
    """What stands before a message of `length` bytes that is not compressed."""
    return b"\0" + length.to_bytes(4, "big")


class Framed:
    """A message that goes to many peers: its bytes on the wire are made once. `acknowledgement` is the message with
    which a peer will most likely answer, if that can be known.
    """

    __slots__ = ("_answer", "_answer_on", "_frames", "_frames_on", "_largest", "acknowledgement", "body", "size")

    def __init__(self, message: bytes, acknowledgement: bytes = b"") -> None:
        self.body = prefix(len(message)) + message
        self.size = len(self.body)
        self.acknowledgement = acknowledgement
        self._frames, self._frames_on, self._largest = b"", 0, 0
        self._answer, self._answer_on = b"", 0

    def frames(self, stream: int, largest: int) -> bytes:
        """DATA frames of at most `largest` bytes each."""
        if self._frames_on != stream or self._largest != largest:
            self._frames = data_frames(stream, self.body, largest)
            self._frames_on, self._largest = stream, largest
        return self._frames

    def answer_frame(self, stream: int) -> bytes:
        """The acknowledgement as the one DATA frame that it comes in."""
        if self._answer_on != stream:
            self._answer = data_frames(stream, prefix(len(self.acknowledgement)) + self.acknowledgement)
            self._answer_on = stream
        return self._answer


def trailers(status: Status, text: str = "") -> Headers:
    """The end of a call."""
    ends = [(b"grpc-status", str(int(status)).encode())]
    if text:
        ends.append((b"grpc-message", _percent(text)))
    return ends


def is_grpc(content_type: bytes) -> bool:
    """Whether a request of this content type is a gRPC call with protobuf messages."""
    return content_type in {CONTENT_TYPE, CONTENT_TYPE + b"+proto"}


def _percent(text: str) -> bytes:
    """The grpc-message encoding: printable ASCII but `%` as it is, every other byte as %XX; cut at 1,000 bytes."""
    return b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte  # noqa: PLR2004 - ASCII
        for byte in text.encode()[:1_000]
    )
