"""DNS messages, as much as a mesh needs: read a query, write an answer, understand EDNS's size.

Everything read comes from strangers: MalformedQuery is raised for whatever does not parse, nothing else.
"""

import ipaddress
import struct
from dataclasses import dataclass

A = 1
AAAA = 28
OPT = 41
ANY = 255

NOERROR = 0
FORMERR = 1
SERVFAIL = 2
NXDOMAIN = 3

_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_TTL_SECONDS = 30
_PLAIN_SIZE = 512
_LARGEST_SIZE = 1232  # fits one unfragmented packet on every usual network
_POINTER_TO_QUESTION = b"\xc0\x0c"


class MalformedQuery(Exception):  # noqa: N818 - not an error of ours
    """These bytes are no query that can be answered; `number` is its id when that much was there."""

    def __init__(self, number: int | None) -> None:
        super().__init__("malformed query")
        self.number = number


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `name` is in lower case without the last dot; `question` are its bytes as they were sent."""

    number: int
    name: str
    kind: int
    question: bytes
    recursion: bool
    size: int
    edns: bool


def parse(data: bytes) -> Query:
    """Read a query. MalformedQuery when it is none."""
    if len(data) < _HEADER.size:
        raise MalformedQuery(None)
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & 0x8000:
        raise MalformedQuery(None)  # an answer; answering that could go on for ever
    if flags & 0x7800 or questions != 1 or answers or authorities:
        raise MalformedQuery(number)
    try:
        name, end = _read_name(data, _HEADER.size)
        kind, _ = struct.unpack_from(">HH", data, end)
        size, edns = _read_edns(data, end + 4, additional)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise MalformedQuery(number) from None
    question = data[_HEADER.size : end + 4]
    return Query(number, name, kind, question, bool(flags & 0x0100), size, edns)


def _read_name(data: bytes, start: int) -> tuple[str, int]:
    labels: list[str] = []
    position = start
    while (length := data[position]) != 0:
        if length > 63 or position - start > 255:
            raise IndexError  # a compressed or endless name has no place in a question
        label = data[position + 1 : position + 1 + length]
        if len(label) != length:
            raise IndexError
        labels.append(label.decode("latin-1").lower())
        position += 1 + length
    return ".".join(labels), position + 1


def _read_edns(data: bytes, position: int, records: int) -> tuple[int, bool]:
    """The size of answers that the asker takes, from an OPT record if there is one (records: at most a few)."""
    for _ in range(min(records, 4)):
        _, position = _read_name(data, position)
        kind, size, _, length = _RECORD.unpack_from(data, position)
        position += _RECORD.size + length
        if kind == OPT:
            return max(_PLAIN_SIZE, min(size, _LARGEST_SIZE)), True
    return _PLAIN_SIZE, False


def answer(query: Query, code: int, addresses: tuple[str, ...] = (), *, tcp: bool = False) -> bytes:
    """An answer of ours, with authority. One that does not fit the asker's size is cut and says so (TC)."""
    records = [_record(address) for address in addresses]
    tail = b"\0" + struct.pack(">HHIH", OPT, _LARGEST_SIZE, 0, 0) if query.edns else b""
    limit = 65_535 if tcp else query.size
    fixed = _HEADER.size + len(query.question) + len(tail)
    room = (limit - fixed) // max((len(record) for record in records), default=1)
    truncated = room < len(records)
    records = records[:room]
    flags = 0x8480 | (0x0100 if query.recursion else 0) | (0x0200 if truncated else 0) | code
    header = _HEADER.pack(query.number, flags, 1, len(records), 0, 1 if query.edns else 0)
    return b"".join((header, query.question, *records, tail))


def _record(address: str) -> bytes:
    parsed = ipaddress.ip_address(address)
    kind = A if parsed.version == 4 else AAAA
    return _POINTER_TO_QUESTION + _RECORD.pack(kind, 1, _TTL_SECONDS, len(parsed.packed)) + parsed.packed


def refusal(number: int, code: int) -> bytes:
    """An answer to something that could not be read further than its id."""
    return _HEADER.pack(number, 0x8080 | code, 0, 0, 0, 0)


def truncated(query: Query) -> bytes:
    """An empty answer that says: ask again by TCP."""
    flags = 0x8280 | (0x0100 if query.recursion else 0)
    return _HEADER.pack(query.number, flags, 1, 0, 0, 0) + query.question
