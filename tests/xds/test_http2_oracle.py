"""Our HTTP/2 beside the h2 library: both hear the same conversations, valid ones and broken ones."""

import re
from dataclasses import dataclass, field
from random import Random

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.xds.http2 import Http2Connection
from meshwright.xds.http2_client import Http2Client
from meshwright.xds.http2_events import (
    ConnectionEnded,
    DataReceived,
    RequestEnded,
    RequestStarted,
    ResponseHeaders,
    StreamReset,
)
from meshwright.xds.http2_server import Http2Server
from meshwright.xds.http2_wire import ACK, END_HEADERS, PADDED, PREFACE, PRIORITY_FLAG, ErrorCode, FrameType
from tests.xds.conversations import REQUEST, Speaker, Spoken, mutate

STREAMS = tuple(range(1, 40, 2))  # what a client under test has asked


@dataclass
class Heard:
    """What one side made of it. `code` = why it ended the connection."""

    spoken: Spoken = field(default_factory=Spoken)
    code: int | None = None
    refused: dict[int, int] = field(default_factory=dict[int, int])


class Ours:
    """Our side, as a server or as a client that has asked."""

    def __init__(self, *, serves: bool) -> None:
        self.heard = Heard()
        self.http: Http2Connection
        if serves:
            self.http = Http2Server()
        else:
            client = self.http = Http2Client()
            for _ in STREAMS:
                client.start(REQUEST)
        self.http.take_output()

    def hear(self, data: bytes) -> None:
        spoken = self.heard.spoken
        for event in self.http.receive(data, 0.0):
            match event:
                case RequestStarted(stream, headers):
                    spoken.headers[stream] = headers
                case ResponseHeaders(stream, headers, ends):
                    spoken.headers.setdefault(stream, headers)
                    if ends:
                        spoken.ended.add(stream)
                case DataReceived(stream, piece):
                    spoken.data[stream] = spoken.data.get(stream, b"") + piece
                case RequestEnded(stream):
                    spoken.ended.add(stream)
                case StreamReset(stream, _):
                    spoken.reset.add(stream)
                case ConnectionEnded(code, _):
                    self.heard.code = code
        output = self.http.take_output()
        while output:
            size, kind, stream = int.from_bytes(output[:3], "big"), output[3], int.from_bytes(output[5:9], "big")
            if kind == FrameType.RST_STREAM:
                self.heard.refused[stream] = int.from_bytes(output[9:13], "big")
            output = output[9 + size :]


class Theirs:
    """The h2 library in the same place, with the same settings."""

    def __init__(self, *, serves: bool) -> None:
        config = h2.config.H2Configuration(client_side=not serves, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        codes = h2.settings.SettingCodes
        self.h2.local_settings = h2.settings.Settings(
            client=not serves,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: 100,
                codes.INITIAL_WINDOW_SIZE: 1 << 20,
                codes.MAX_HEADER_LIST_SIZE: 16_384,
            },
        )
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window((4 << 20) - 65_535)
        self.h2.max_inbound_frame_size = 16_384
        if not serves:
            for stream in STREAMS:
                self.h2.send_headers(stream, REQUEST)
        self.heard = Heard()
        self.text = ""

    def hear(self, data: bytes) -> None:
        if self.heard.code is not None:
            return
        try:
            for event in self.h2.receive_data(data):
                self.take(event)
        except h2.exceptions.ProtocolError as error:
            self.heard.code, self.text = int(error.error_code), str(error)
        self.h2.data_to_send()

    def take(self, event: h2.events.Event) -> None:
        spoken = self.heard.spoken
        match event:
            case h2.events.RequestReceived() | h2.events.ResponseReceived():
                spoken.headers[event.stream_id] = tuple((bytes(a), bytes(b)) for a, b in event.headers)
            case h2.events.DataReceived():
                stream = event.stream_id
                spoken.data[stream] = spoken.data.get(stream, b"") + event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            case h2.events.StreamEnded():
                spoken.ended.add(event.stream_id)
            case h2.events.StreamReset():
                spoken.reset.add(event.stream_id)
                if not event.remote_reset:
                    self.heard.refused[event.stream_id] = int(event.error_code)
            case _:
                pass


def prepared(*, serves: bool) -> tuple[Ours, Theirs]:
    ours, theirs = Ours(serves=serves), Theirs(serves=serves)
    if serves:
        ours.hear(PREFACE)
        theirs.hear(PREFACE)
    return ours, theirs


def said(frames: list[bytes]) -> str:
    return "\n".join(f"{each[:9].hex(' ')} | {each[9:40]!r}" for each in frames)


@pytest.mark.parametrize("side", ["server", "client"])
@given(seed=st.integers(0, 2**64), cut=st.integers(1, 40_000))
@settings(max_examples=150, deadline=None)
def test_both_understand_the_same(side: str, seed: int, cut: int) -> None:
    serves = side == "server"
    speaker = Speaker(Random(seed), serves=() if serves else STREAMS).speak(30)
    ours, theirs = prepared(serves=serves)
    data = b"".join(speaker.frames)
    for at in range(0, len(data), cut):
        ours.hear(data[at : at + cut])
        theirs.hear(data[at : at + cut])
    assert theirs.heard.code is None
    assert ours.heard.code is None, said(speaker.frames)
    for heard in (ours.heard, theirs.heard):
        assert heard.refused == {}
        assert heard.spoken.headers == speaker.spoken.headers
        assert {key: value for key, value in heard.spoken.data.items() if value} == {
            key: value for key, value in speaker.spoken.data.items() if value
        }
        assert heard.spoken.ended == speaker.spoken.ended
        assert heard.spoken.reset == speaker.spoken.reset


# What h2 calls the end of the connection and we the end of the stream (RFC 9113, 8.1.1 and 6.9), by h2's words.
STREAM_ALONE = re.compile(
    "mandatory|pseudo-header|:authority or Host|Trailers must|uppercase header|Illegal character"
    "|TE header|header name"
    "|before headers|[Ii]nformational|Connection-specific|surrounding whitespace|content-length"
    "|non-compliant data|-only headers|in state 4|Header block|must not|header value"
)
# What h2 refuses and we let pass.
LET_PASS = {
    "streams may be skipped, and closed ones spoken of": "StreamIDTooLow|StreamClosed|in state 6",
    "who says goodbye may finish what has begun": "in state ConnectionState.CLOSED",
    "a reserved bit is ignored": "non-compliant data",
    "frames of types that we do not know are not looked into": "Frame data missing or invalid",
    "the head of a frame is judged when all of it is here": "invalid header",
    "padding without content is allowed": "invalid padding",
    "authority is not needed on a unix socket": ":authority or Host",
}
# Other words for the end of the connection: (ours, theirs).
OTHER_CODE = {
    (ErrorCode.COMPRESSION_ERROR, ErrorCode.PROTOCOL_ERROR),  # HPACK
    (ErrorCode.FRAME_SIZE_ERROR, ErrorCode.PROTOCOL_ERROR),  # two rules broken at once, or lengths
    (ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.PROTOCOL_ERROR),  # a header list too long that is wrong besides
    (ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR),  # padding
    (ErrorCode.PROTOCOL_ERROR, ErrorCode.FLOW_CONTROL_ERROR),  # before the first SETTINGS
    (ErrorCode.PROTOCOL_ERROR, ErrorCode.COMPRESSION_ERROR),
    (ErrorCode.PROTOCOL_ERROR, ErrorCode.STREAM_CLOSED),
}


# A reset of a stream that was never opened, a push that nobody wants, a continuation of another stream: h2 lets them
# pass on streams that are closed.
NEVER_HERE = {FrameType.RST_STREAM, FrameType.PUSH_PROMISE, FrameType.CONTINUATION}


def judge(ours: Ours, theirs: Theirs, frames: list[bytes], *, serves: bool) -> bool:
    """Whether both may go on. Fails where they differ without a reason."""
    mine, other = ours.heard, theirs.heard
    at = said(frames)
    if mine.code is not None and other.code is not None:
        assert mine.code == other.code or (mine.code, other.code) in OTHER_CODE, at
        return False
    if mine.code is not None:  # earlier, or stricter
        assert other.refused.keys() - mine.refused.keys() or _is_earlier_or_stricter(frames), at
        return False
    if other.code is not None:
        alone = mine.refused and STREAM_ALONE.search(theirs.text)
        passed = any(re.search(words, theirs.text) for words in LET_PASS.values())
        if mine.spoken.reset or mine.refused:  # a stream that is gone has no window
            passed |= "flow control window past" in theirs.text
        assert alone or passed, f"{theirs.text}\n{at}"
        return False
    if mine.refused != other.refused:
        assert mine.refused.keys() == other.refused.keys() or not serves, at  # h2 takes a status that is no number
        return False
    for key in ("headers", "ended"):
        assert getattr(mine.spoken, key) == getattr(other.spoken, key), at
    for key in mine.spoken.data.keys() | other.spoken.data.keys():
        assert mine.spoken.data.get(key, b"") == other.spoken.data.get(key, b""), at
    return True


def _is_earlier_or_stricter(frames: list[bytes]) -> bool:
    """Whether we may end a connection with the last of these frames while h2 still goes on."""
    first, last = frames[0], frames[-1]
    if first[3:4] != bytes((FrameType.SETTINGS,)) or first[4] & ACK:
        return True  # a connection begins with SETTINGS
    if len(last) < 9 or int.from_bytes(last[:3], "big") > 16_384 or _is_cut(frames):
        return True  # a frame that is too long is not waited for
    if last[3] == FrameType.HEADERS and not last[4] & END_HEADERS:
        return True  # a frame that may not come here is not waited for until its block is complete
    if last[3] == FrameType.HEADERS and last[4] & PADDED and last[4] & PRIORITY_FLAG:
        return True  # h2 takes padding for priority fields that are not there
    if last[3] == FrameType.SETTINGS:
        keys = [last[at : at + 2] for at in range(9, len(last), 6)]
        return len(set(keys)) < len(keys)  # of a setting that comes twice h2 looks at the last
    return last[3] in NEVER_HERE


def _is_cut(frames: list[bytes]) -> bool:
    """Whether a frame says another length than it has, so that what follows means something else."""
    return any(int.from_bytes(each[:3], "big") != len(each) - 9 for each in frames)


def compare(seed: int, *, serves: bool) -> None:
    """One broken conversation, frame by frame."""
    random = Random(seed)
    frames = mutate(random, Speaker(random, serves=() if serves else STREAMS).speak(20).frames)
    ours, theirs = prepared(serves=serves)
    for at, each in enumerate(frames, start=1):
        ours.hear(each)
        theirs.hear(each)
        if not judge(ours, theirs, frames[:at], serves=serves):
            return


@pytest.mark.parametrize("side", ["server", "client"])
@given(seed=st.integers(0, 2**64))
@settings(max_examples=500, deadline=None)
def test_both_refuse_the_same(side: str, seed: int) -> None:
    compare(seed, serves=side == "server")
