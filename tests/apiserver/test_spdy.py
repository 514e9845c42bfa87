"""SPDY frames: whatever pieces they come in, the same frames come out; whatever else comes, memory stays bounded."""

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.apiserver import spdy
from meshwright.apiserver.spdy import (
    Answered,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoneAway,
    Opened,
    Ping,
    Reset,
    SpdyError,
)

streams = st.integers(1, 2**31 - 1)
headers = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda name: name == name.lower()),
    st.text(st.characters(codec="utf-8"), max_size=50),
    max_size=5,
)
frames = st.one_of(
    st.builds(Opened, streams, headers, st.booleans()),
    st.builds(Answered, streams, headers, st.just(value=False)),
    st.builds(Data, streams, st.binary(max_size=200), st.booleans()),
    st.builds(Reset, streams, st.integers(0, 11)),
    st.builds(Ping, st.integers(0, 2**32 - 1)),
    st.builds(GoneAway),
)


def encoded(encoder: Encoder, frame: Frame) -> bytes:
    match frame:
        case Opened(stream, said, fin):
            return encoder.opened(stream, said, fin=fin)
        case Answered(stream, said, _):
            return encoder.answered(stream, said)
        case Data(stream, content, fin):
            return spdy.data(stream, content, fin=fin)
        case Reset(stream, status):
            return spdy.reset(stream, status)
        case Ping(number):
            return spdy.ping(number)
        case GoneAway():
            return spdy.gone_away(0)


def joined(decoded: list[Frame]) -> list[Frame]:
    """Pieces of one data frame as one: a frame ends where its bytes do, which only the tests must not care for."""
    whole: list[Frame] = []
    for frame in decoded:
        last = whole[-1] if whole else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream and not last.fin:
            whole[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            whole.append(frame)
    return whole


@given(st.lists(frames, max_size=12), st.lists(st.integers(0, 3000), max_size=12))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(sent: list[Frame], cuts: list[int]) -> None:
    encoder, decoder = Encoder(), Decoder()
    wire = b"".join(encoded(encoder, frame) for frame in sent)
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    got = [frame for begin, end in itertools.pairwise(places) for frame in decoder.feed(wire[begin:end])]
    assert joined(got) == joined(sent)


@given(st.lists(frames, max_size=4), st.binary(max_size=400))
def test_rubbish_is_refused_or_ignored_but_never_hoarded(sent: list[Frame], rubbish: bytes) -> None:
    encoder, decoder = Encoder(), Decoder()
    for frame in sent:
        decoder.feed(encoded(encoder, frame))
    try:
        decoder.feed(rubbish)
    except SpdyError:
        return
    assert decoder.kept <= spdy.LONGEST_CONTROL + 8


def test_the_dictionary_is_the_one_of_the_specification() -> None:
    assert zlib.adler32(spdy.dictionary()) == 0xE3C6A7C2


def test_data_is_passed_on_before_its_frame_is_whole() -> None:
    decoder = Decoder()
    wire = spdy.data(1, b"x" * 1_000_000, fin=True)
    assert decoder.feed(wire[:1000]) == [Data(1, b"x" * 992, fin=False)]
    assert [frame.fin for frame in decoder.feed(wire[1000:]) if isinstance(frame, Data)] == [True]


def control(kind: int, payload: bytes, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack(">II", 1 << 31 | version << 16 | kind, flags << 24 | len(payload)) + payload


def with_block(text: bytes) -> bytes:
    packer = zlib.compressobj(zdict=spdy.dictionary())
    return control(1, struct.pack(">II", 1, 0) + b"\0\0" + packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))


def pair(name: bytes, value: bytes) -> bytes:
    return struct.pack(">I", len(name)) + name + struct.pack(">I", len(value)) + value


@pytest.mark.parametrize(
    "wire",
    [
        control(6, b"\0\0\0\1", version=2),
        control(6, b"\0\0\0"),
        control(6, b"\0\0\0\1", flags=1),
        control(5, b""),
        control(11, b""),
        control(3, struct.pack(">II", 0, 1)),
        control(3, struct.pack(">II", 1 << 31, 1)),
        control(1, b"\0\0\0\1"),
        control(1, struct.pack(">II", 1, 0) + b"\0\0" + b"no zlib"),
        control(1, struct.pack(">II", 1, 0) + b"\0\0", flags=2),
        struct.pack(">II", 1 << 31 | 3 << 16 | 1, spdy.LONGEST_CONTROL + 1),
        struct.pack(">II", 0, 1) + b"x",
        struct.pack(">II", 1, 2 << 24 | 1) + b"x",
        with_block(struct.pack(">I", 100)),
        with_block(struct.pack(">I", 1) + pair(b"Upper", b"")),
        with_block(struct.pack(">I", 1) + pair(b"", b"x")),
        with_block(struct.pack(">I", 2) + pair(b"a", b"1") + pair(b"a", b"2")),
        with_block(struct.pack(">I", 1) + pair(b"a", b"1") + b"more"),
        with_block(struct.pack(">I", 1) + struct.pack(">I", 1 << 31)),
        with_block(struct.pack(">I", 1) + pair(b"a", b"\xff")),
        with_block(struct.pack(">I", 1) + pair(b"a", b"0" * 1_000_000)),
    ],
)
def test_what_the_protocol_forbids_is_refused(wire: bytes) -> None:
    with pytest.raises(SpdyError):
        Decoder().feed(wire)
