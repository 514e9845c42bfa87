"""Random conversations of an HTTP/2 client, frame by frame: valid ones, and what becomes of them by mutation."""

import struct
from dataclasses import dataclass, field
from random import Random

import hpack

from meshwright.xds.http2_wire import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PREFACE,
    PRIORITY_FLAG,
    FrameType,
    frame,
)

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/service/Method"),
    (b":authority", b"xds"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
MORE = [
    (b"x-empty", b""),
    (b"x-text", b"two words"),
    (b"grpc-timeout", b"10S"),
    (b"user-agent", b"e" * 300),
    (b"x-bin", bytes(range(0x80, 0x100))),
]
RESPONSE = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS = [(b"grpc-status", b"0"), (b"grpc-message", b"fine")]


def word(number: int) -> bytes:
    """Four bytes."""
    return struct.pack(">I", number)


@dataclass
class Spoken:
    """What a conversation should mean to whoever hears it."""

    headers: dict[int, tuple[tuple[bytes, bytes], ...]] = field(
        default_factory=dict[int, tuple[tuple[bytes, bytes], ...]]
    )
    data: dict[int, bytes] = field(default_factory=dict[int, bytes])
    ended: set[int] = field(default_factory=set[int])
    reset: set[int] = field(default_factory=set[int])


class Speaker:
    """Says valid things by chance. As a server it answers the streams 1, 3, 5 ... that its client has opened."""

    def __init__(self, random: Random, *, serves: tuple[int, ...] = ()) -> None:
        self.random = random
        self.serves = list(serves)
        self.is_server = bool(serves)
        self.frames: list[bytes] = [
            frame(FrameType.SETTINGS, 0, 0, self.settings()),
            frame(FrameType.SETTINGS, ACK, 0),
        ]
        self.spoken = Spoken()
        self._open: list[int] = []
        self._next = 1
        self._encoder = hpack.Encoder()

    def speak(self, count: int) -> "Speaker":
        """Say so many things."""
        acts = (self.begin, self.begin, self.say, self.say, self.say, self.end, self.give_up, self.other, self.other)
        for _ in range(count):
            self.random.choice(acts)()
        return self

    # ------------------------------------------------------------ streams

    def begin(self) -> None:
        """A request, or a response."""
        if self.is_server:
            if not self.serves:
                return
            number = self.serves.pop(0)
            if self.random.random() < 0.2:
                self.headers(number, [(b":status", b"103"), (b"link", b"x")], ends=False)
            fields = [*RESPONSE, *self.some()]
        else:
            number = self._next
            self._next += self.random.choice((2, 2, 2, 4))
            fields = [*REQUEST, *self.some()]
        ends = self.random.random() < 0.2
        self.headers(number, fields, ends=ends)
        self.spoken.headers[number] = tuple(fields)
        if ends:
            self.spoken.ended.add(number)
        else:
            self._open.append(number)

    def say(self) -> None:
        """Some data, perhaps the last."""
        if not self._open:
            return
        number, ends = self.random.choice(self._open), self.random.random() < 0.1
        data = bytes((self.random.randrange(256),)) * self.random.choice((0, 1, 5, 300, 9_000, 16_000))
        flags, payload = self.padded(data)
        self.frames.append(frame(FrameType.DATA, flags | (END_STREAM if ends else 0), number, payload))
        self.spoken.data[number] = self.spoken.data.get(number, b"") + data
        if ends:
            self._open.remove(number)
            self.spoken.ended.add(number)

    def end(self) -> None:
        """Trailers."""
        if self._open:
            number = self._open.pop(self.random.randrange(len(self._open)))
            self.headers(number, TRAILERS, ends=True)
            self.spoken.ended.add(number)

    def give_up(self) -> None:
        """A reset."""
        if self._open and self.random.random() < 0.5:
            number = self._open.pop(self.random.randrange(len(self._open)))
            self.frames.append(frame(FrameType.RST_STREAM, 0, number, word(self.random.randrange(14))))
            self.spoken.reset.add(number)

    def headers(self, number: int, fields: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        """One header block, in one frame or several."""
        block = self._encoder.encode(fields, huffman=self.random.random() < 0.5)
        cuts = sorted(self.random.randrange(len(block) + 1) for _ in range(self.random.choice((0, 0, 1, 3))))
        parts = [block[a:b] for a, b in zip([0, *cuts], [*cuts, len(block)], strict=True)]
        first, flags = parts[0], END_STREAM if ends else 0
        if not self.is_server and self.random.random() < 0.3:
            flags |= PRIORITY_FLAG
            first = word(self.random.choice((0, number + 2, 0x80000000))) + b"\x10" + first
        more, first = self.padded(first)
        flags |= more | (END_HEADERS if len(parts) == 1 else 0)
        self.frames.append(frame(FrameType.HEADERS, flags, number, first))
        for at, part in enumerate(parts[1:], start=2):
            self.frames.append(frame(FrameType.CONTINUATION, END_HEADERS if at == len(parts) else 0, number, part))

    # ------------------------------------------------------------ the rest

    def other(self) -> None:
        """Something that concerns no stream's content."""
        random = self.random
        some = random.choice(self._open) if self._open else 0
        said = random.choice(
            (
                lambda: frame(FrameType.SETTINGS, 0, 0, self.settings()),
                lambda: frame(FrameType.PING, random.choice((0, ACK)), 0, random.randbytes(8)),
                lambda: frame(
                    FrameType.PRIORITY, 0, random.randrange(101, 200), word(random.randrange(100)) + b"\x05"
                ),
                lambda: frame(FrameType.WINDOW_UPDATE, 0, some, word(random.randrange(1, 100_000))),
                lambda: frame(FrameType.WINDOW_UPDATE, 0, 0, word(random.randrange(1, 100_000))),
                lambda: (
                    b"\0\0\3" + bytes((random.randrange(0x20, 0xFF), random.randrange(256))) + word(some) + b"abc"
                ),
            )
        )
        self.frames.append(said())

    def settings(self) -> bytes:
        """Some settings with values that are allowed."""
        random = self.random
        known = {
            1: (0, 100, 4_096, 65_536),
            2: (0,) if self.is_server else (0, 1),
            3: (0, 1, 1_000),
            4: (0, 1, 65_535, 1 << 20),
            5: (16_384, 70_000, 2**24 - 1),
            6: (0, 5_000),
            0x99: (1, 2**32 - 1),
        }
        keys = random.sample(sorted(known), random.randrange(4))
        return b"".join(struct.pack(">HI", key, random.choice(known[key])) for key in keys)

    def padded(self, payload: bytes) -> tuple[int, bytes]:
        """Flags and payload, sometimes with padding; hyperframe takes none without content."""
        if not payload or self.random.random() < 0.7:
            return 0, payload
        padding = self.random.choice((0, 1, 255))
        return PADDED, bytes((padding,)) + payload + bytes(padding)

    def some(self) -> list[tuple[bytes, bytes]]:
        """A few more header fields."""
        return self.random.sample(MORE, self.random.randrange(3))


def mutate(random: Random, frames: list[bytes]) -> list[bytes]:
    """Some frames spoiled, lost, repeated, exchanged or put in."""
    frames = list(frames)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(frames))
        match random.randrange(8):
            case 0:
                del frames[at]
            case 1:
                frames.insert(at, frames[random.randrange(len(frames))])
            case 2:
                other = random.randrange(len(frames))
                frames[at], frames[other] = frames[other], frames[at]
            case 3:
                spoiled = bytearray(frames[at])
                spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
                frames[at] = bytes(spoiled)
            case 4:  # another payload
                head, payload = frames[at][:9], frames[at][9:]
                payload = random.choice(
                    (payload[:-1], payload[: len(payload) // 2], b"", payload + b"\0", payload * 2)
                )
                frames[at] = len(payload[:16_384]).to_bytes(3, "big") + head[3:] + payload[:16_384]
            case 5:  # another type or other flags
                spoiled = bytearray(frames[at])
                spoiled[random.choice((3, 4))] = random.choice((*range(11), 0x20, 0x24, 0x2D, 0xFF))
                frames[at] = bytes(spoiled)
            case 6:  # another stream
                frames[at] = frames[at][:5] + word(random.choice((0, 1, 2, 3, 5, 99, 2**31 - 1))) + frames[at][9:]
            case _:
                frames.insert(at, random.choice(HOSTILE))
        if not frames:
            return [b""]
    return frames


HOSTILE = [
    frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, word(2) + b"\x82"),
    frame(FrameType.WINDOW_UPDATE, 0, 0, word(0)),
    frame(FrameType.WINDOW_UPDATE, 0, 1, word(0)),
    frame(FrameType.WINDOW_UPDATE, 0, 0, word(2**31 - 1)),
    frame(FrameType.WINDOW_UPDATE, 0, 1, word(2**31 - 1)),
    frame(FrameType.WINDOW_UPDATE, 0, 3, word(2**31 - 1)),
    frame(FrameType.WINDOW_UPDATE, 0, 99, word(1)),
    frame(FrameType.WINDOW_UPDATE, 0, 2, word(1)),
    frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31)),
    frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1)),
    frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 5, 16_383)),
    frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 5, 2**24)),
    frame(FrameType.SETTINGS, 0, 0, struct.pack(">HI", 2, 2)),
    frame(FrameType.SETTINGS, 0, 0, b"12345"),
    frame(FrameType.SETTINGS, 0, 1, b""),
    frame(FrameType.SETTINGS, ACK, 0, b"123456"),
    frame(FrameType.PING, 0, 1, b"12345678"),
    frame(FrameType.PING, 0, 0, b"1234567"),
    frame(FrameType.RST_STREAM, 0, 0, word(8)),
    frame(FrameType.RST_STREAM, 0, 99, word(8)),
    frame(FrameType.RST_STREAM, 0, 1, b"123"),
    frame(FrameType.PRIORITY, 0, 0, b"12345"),
    frame(FrameType.PRIORITY, 0, 7, word(7) + b"\0"),
    frame(FrameType.PRIORITY, 0, 7, b"1234"),
    frame(FrameType.GOAWAY, 0, 0, b"1234567"),
    frame(FrameType.GOAWAY, 0, 0, word(0) + word(2) + b"bye"),
    frame(FrameType.GOAWAY, 0, 1, word(0) + word(0)),
    frame(FrameType.DATA, 0, 0, b"12345"),
    frame(FrameType.DATA, 0, 2, b"12345"),
    frame(FrameType.DATA, 0, 99, b"12345"),
    frame(FrameType.DATA, END_STREAM, 1, b"12345"),
    frame(FrameType.DATA, PADDED, 1, b"\x05abcd"),
    frame(FrameType.DATA, PADDED, 1, b""),
    frame(FrameType.CONTINUATION, END_HEADERS, 1, b"\x82"),
    frame(FrameType.HEADERS, 0, 97, b"\x82"),
    frame(FrameType.HEADERS, END_HEADERS, 0, b"\x82"),
    frame(FrameType.HEADERS, END_HEADERS, 98, b"\x82"),
    frame(FrameType.HEADERS, END_HEADERS, 97, b"\xff\xff\xff\xff\xff\xff\xff"),  # an index beyond every table
    frame(FrameType.HEADERS, END_HEADERS, 97, b"\xc0"),  # an index of an entry that is not there
    frame(FrameType.HEADERS, END_HEADERS, 97, b"\x3f\xff\xff\x03"),  # a table too large
    frame(FrameType.HEADERS, END_HEADERS, 97, b"\x00\x01a"),  # cut off
    frame(FrameType.HEADERS, END_HEADERS, 97, b"\x00\x85\xff\xff\xff\xff\xff\x01x"),  # no Huffman code
    frame(FrameType.HEADERS, END_HEADERS | PRIORITY_FLAG, 97, word(97) + b"\0\x82"),
    frame(FrameType.HEADERS, END_HEADERS | PRIORITY_FLAG, 97, b"1234"),
    frame(FrameType.HEADERS, END_HEADERS | PADDED, 97, b"\xff\x82"),
    b"\xff\xff\xff\0\0\0\0\0\1",
    PREFACE,
]
