"""A client without manners: `python -m tests.xds.hostile_program SOCKET` attacks until it is killed.

It connects again and again and floods, opens streams that it never reads, begins messages that it never ends, asks
for more than anybody has; and it holds one connection on which it reads a byte a second.
"""

import contextlib
import itertools
import socket
import sys
import threading
import time
from collections.abc import Iterator
from random import Random

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import CLUSTER, ENDPOINTS, TypeUrl
from meshwright.xds.grpc import prefix
from meshwright.xds.http2_wire import (
    END_HEADERS,
    PREFACE,
    ErrorCode,
    FrameType,
    frame,
    header_block,
    reset,
    settings,
    window_update,
)
from meshwright.xds.server import ADS_PATH
from tests.xds.conversations import Speaker, mutate, word

REQUEST = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", ADS_PATH.encode()),
    (b"content-type", b"application/grpc"),
)
GREETING = PREFACE + settings(()) + window_update(0, 1 << 30)


def begin(stream: int) -> bytes:
    """A call."""
    return frame(FrameType.HEADERS, END_HEADERS, stream, header_block(REQUEST, first=False))


def message(stream: int, body: bytes, *, length: int | None = None) -> bytes:
    """A gRPC message in DATA frames."""
    whole = prefix(len(body) if length is None else length) + body
    return b"".join(frame(FrameType.DATA, 0, stream, whole[at : at + 16_384]) for at in range(0, len(whole), 16_384))


def asks(stream: int, url: TypeUrl, *names: str) -> bytes:
    """A subscription."""
    return message(stream, DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names).SerializeToString())


def attacks(random: Random) -> Iterator[bytes]:
    """One after the other, for ever."""
    for number in itertools.count():
        names = [f"{number}-{each}" for each in range(20_000)]
        yield GREETING + frame(FrameType.PING, 0, 0, bytes(8)) * 5_000
        yield GREETING + settings(()) * 5_000
        yield GREETING + b"".join(begin(each) + reset(each, ErrorCode.CANCEL) for each in range(1, 4_000, 2))
        yield GREETING + b"".join(
            frame(FrameType.HEADERS, END_HEADERS, each, b"\x20" * 16_000) for each in range(1, 200, 2)
        )
        yield GREETING + b"".join(begin(each) + asks(each, CLUSTER) for each in range(1, 80, 2))
        yield GREETING + begin(1) + asks(1, ENDPOINTS, *names) * 20
        yield GREETING + begin(1) + message(1, bytes(7_000_000), length=8_000_000) * 1
        yield GREETING + begin(1) + asks(1, CLUSTER) + frame(FrameType.WINDOW_UPDATE, 0, 1, word(1)) * 5_000
        yield PREFACE + b"".join(mutate(random, Speaker(random).speak(20).frames))
        yield random.randbytes(1_000)


def attack(path: str, data: bytes) -> None:
    """Say it all, and listen a little."""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(0.2)
        connection.connect(path)
        connection.sendall(data)
        while connection.recv(65_536):
            pass


def dawdle(path: str) -> None:
    """Ask for everything, and read a byte a second; again when that is not put up with."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(path)
            connection.sendall(GREETING + begin(1) + asks(1, CLUSTER))
            while connection.recv(1):
                time.sleep(1)
        time.sleep(0.1)


def main() -> None:
    """Until killed."""
    path = sys.argv[1]
    threading.Thread(target=dawdle, args=(path,), daemon=True).start()
    for number, data in enumerate(attacks(Random(1))):
        attack(path, data)
        print(number, flush=True)


if __name__ == "__main__":
    main()
