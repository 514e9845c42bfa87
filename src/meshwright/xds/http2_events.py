"""What comes out of one HTTP/2 connection (`http2.py`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """The headers of a request came."""

    stream: int
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """The headers of a response came, or (`ends`) its trailers. Only a client hears of them."""

    stream: int
    headers: tuple[tuple[bytes, bytes], ...]
    ends: bool


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of a body came."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """The peer will send nothing more on this stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream is gone: the peer cancelled it, or broke a rule that concerns it alone."""

    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Close the transport after the output; `code` is not 0 when a rule was broken."""

    code: int
    text: str


Event = RequestStarted | ResponseHeaders | DataReceived | RequestEnded | StreamReset | ConnectionEnded
