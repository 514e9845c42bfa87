"""The client's side of one HTTP/2 connection; framing, windows and limits are those of `http2`."""

from meshwright.xds.http2 import (
    DEFAULT_LIMITS,
    HeaderBlock,
    Http2Connection,
    Limits,
    ResponseHeaders,
    Stream,
)
from meshwright.xds.http2_wire import PREFACE, ErrorCode, Headers, Setting, settings

NO_PUSH = settings(((Setting.ENABLE_PUSH, 0),))


class Http2Client(Http2Connection):
    """The side that makes requests: `start` one, then `send_data`; hear `ResponseHeaders` and `DataReceived`.

    A response ends with `ResponseHeaders(ends=True)`, with `RequestEnded` (no trailers), or with `StreamReset`.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._greeted = True  # a server has no preface
        self._answered: set[int] = set()  # streams whose response has begun
        self._output = [PREFACE, *self._output, NO_PUSH]

    def start(self, headers: Headers) -> int:
        """Begin a request and say on which stream."""
        number = self._highest + 2 if self._highest else 1
        self._highest = number
        self._streams[number] = Stream(number, self._initial_window)
        self.send_headers(number, headers)
        return number

    def _headers_complete(self, block: HeaderBlock) -> None:
        headers = self._decode(bytes(block.block))
        self._refuse_idle(block.stream)
        stream = self._streams.get(block.stream)
        if stream is None:
            return  # given up by us while these were on their way
        trailing = block.stream in self._answered
        if stream.remote_ended or (trailing and not block.ends_stream):
            self._end_stream_badly(block.stream, ErrorCode.PROTOCOL_ERROR)
            return
        self._answered.add(block.stream)
        self._events.append(ResponseHeaders(block.stream, headers, ends=block.ends_stream))
        stream.remote_ended = block.ends_stream
