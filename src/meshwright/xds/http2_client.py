"""The client's side of one HTTP/2 connection; framing, windows and limits are those of `http2`."""

from meshwright.xds.http2 import DEFAULT_LIMITS, HeaderBlock, Http2Connection, Limits, Stream
from meshwright.xds.http2_events import ResponseHeaders, StreamReset
from meshwright.xds.http2_headers import are_regular, status_of
from meshwright.xds.http2_wire import PREFACE, ErrorCode, Headers, Setting, settings

NO_PUSH = settings(((Setting.ENABLE_PUSH, 0),))


class Http2Client(Http2Connection):
    """The side that makes requests: `start` one, then `send_data`; hear `ResponseHeaders` and `DataReceived`.

    A response ends with `ResponseHeaders(ends=True)`, with `RequestEnded` (no trailers), or with `StreamReset`.
    """

    __slots__ = ()

    _LARGEST_PUSH = 0

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._greeted = True  # a server has no preface
        self._output = [PREFACE, *self._output, NO_PUSH]

    def start(self, headers: Headers) -> int:
        """Begin a request and say on which stream."""
        number = self._highest + 2 if self._highest else 1
        self._highest = number
        self._streams[number] = Stream(number, self._initial_window, begun=False)
        self.send_headers(number, headers)
        return number

    def _headers_complete(self, block: HeaderBlock) -> None:
        headers = self._decode(bytes(block.block))
        self._refuse_idle(block.stream)
        stream = self._streams.get(block.stream)
        if stream is None:
            return  # given up by us while these were on their way
        status = b"" if stream.begun else status_of(headers)
        if status.startswith(b"1") and not block.ends_stream:
            return  # informational; the response is still to come
        whole = (block.ends_stream and are_regular(headers)) if stream.begun else status >= b"200"
        if stream.remote_ended or not whole:
            code = ErrorCode.STREAM_CLOSED if stream.remote_ended else ErrorCode.PROTOCOL_ERROR
            self._end_stream_badly(block.stream, code)
            return
        stream.begun = True
        self._events.append(ResponseHeaders(block.stream, headers, ends=block.ends_stream))
        stream.remote_ended = block.ends_stream

    def _goodbye(self, last: int) -> None:
        for number in [each for each in self._streams if each > last]:
            del self._streams[number]
            self._events.append(StreamReset(number, ErrorCode.REFUSED_STREAM))
