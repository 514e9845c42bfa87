"""Which header fields a request, a response and trailers may have (RFC 9113, 8.1 to 8.3)."""

import re

from meshwright.xds.http2_wire import Headers

_PSEUDO = {b":method", b":scheme", b":path", b":authority"}
_CONNECTION_SPECIFIC = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
_NAME = re.compile(rb"[\x21-\x39\x3b-\x40\x5b-\x7e]+")  # no colon, no capitals, no control characters
_VALUE = re.compile(rb"(?:[^\x00\r\n \t](?:[^\x00\r\n]*[^\x00\r\n \t])?)?")
_STATUS = re.compile(rb"[1-5][0-9]{2}")


def is_request(headers: Headers) -> bool:
    """Whether these may begin a request."""
    seen: dict[bytes, bytes] = {}
    for at, (name, value) in enumerate(headers):
        if not name.startswith(b":"):
            regular = headers[at:]
            break
        if name not in _PSEUDO or name in seen or not _VALUE.fullmatch(value):
            return False
        seen[name] = value
    else:
        regular = ()
    return bool(seen.get(b":method") and seen.get(b":scheme") and seen.get(b":path")) and are_regular(regular)


def status_of(headers: Headers) -> bytes:
    """The status of a response; empty when these cannot begin one."""
    if not headers or headers[0][0] != b":status" or not are_regular(headers[1:]):
        return b""
    return headers[0][1] if _STATUS.fullmatch(headers[0][1]) else b""


def are_regular(headers: Headers) -> bool:
    """Whether these may be trailers, or stand after the fields that begin with a colon."""
    return all(
        _NAME.fullmatch(name)
        and name not in _CONNECTION_SPECIFIC
        and _VALUE.fullmatch(value)
        and (name != b"te" or value.lower() == b"trailers")
        for name, value in headers
    )
