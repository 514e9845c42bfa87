"""The server's side of one HTTP/2 connection; framing, windows and limits are those of `http2`."""

from meshwright.xds.http2 import HeaderBlock, Http2Connection, Stream
from meshwright.xds.http2_events import RequestStarted
from meshwright.xds.http2_headers import are_regular, is_request
from meshwright.xds.http2_wire import ErrorCode, reset


class Http2Server(Http2Connection):
    """The side that takes requests."""

    __slots__ = ()

    def _headers_complete(self, block: HeaderBlock) -> None:
        headers = self._decode(bytes(block.block))
        number, stream = block.stream, self._streams.get(block.stream)
        if stream is not None:  # trailers
            if stream.remote_ended or not block.ends_stream or not are_regular(headers):
                code = ErrorCode.STREAM_CLOSED if stream.remote_ended else ErrorCode.PROTOCOL_ERROR
                self._end_stream_badly(number, code)
            else:
                self._remote_end(stream)
            return
        if number <= self._highest:
            return  # closed by us while these were on their way
        self._highest = number
        if len(self._streams) >= self._limits.streams:
            self._output.append(reset(number, ErrorCode.REFUSED_STREAM))
            return
        if not is_request(headers):
            self._output.append(reset(number, ErrorCode.PROTOCOL_ERROR))
            return
        stream = self._streams[number] = Stream(number, self._initial_window)
        self._events.append(RequestStarted(number, headers))
        if block.ends_stream:
            self._remote_end(stream)
