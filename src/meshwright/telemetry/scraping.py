"""One question to an Envoy's admin interface over its unix socket."""

import asyncio
from pathlib import Path

from meshwright.processes import unixsockets

SECONDS = 5.0
MOST_BYTES = 64 * 1024 * 1024
COUNTERS = "/stats/prometheus?usedonly&filter=^istio.(request_duration|messages_total|tcp_)"
EVERYTHING = "/stats/prometheus?usedonly&filter=^istio."
OK = b"200"
HEADERS = "host: envoy-admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class ScrapeError(Exception):
    """The Envoy does not answer as it should; the text says how."""


async def scrape(admin_socket: Path, target: str, method: str = "GET") -> str:
    """The body of the answer. Raises ScrapeError."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(sock=unixsockets.connect(admin_socket))
            try:
                writer.write(f"{method} {target} HTTP/1.1\r\n{HEADERS}".encode())
                return _body(await reader.read(MOST_BYTES) + await _rest(reader))
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise ScrapeError(f"{admin_socket}: {error or 'not in time'}") from None


async def _rest(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    while piece := await reader.read(MOST_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def _body(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or words[1] != OK:  # noqa: PLR2004 - version and status
        raise ScrapeError(f"an answer that begins with {answer[:40]!r}")
    if b"transfer-encoding: chunked" in head.lower():
        body = _joined(body)
    return body.decode("utf-8", "replace")


def _joined(chunked: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    while (end := chunked.find(b"\r\n", at)) > 0 and (size := int(chunked[at:end], 16)):
        pieces.append(chunked[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(pieces)
