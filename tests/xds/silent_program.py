"""A client that runs and never acknowledges: `python -m tests.xds.silent_program SOCKET`, until it is killed.

It asks for clusters, takes all that comes and answers signs of life, so nobody hangs up on it. It prints a line when
something has come.
"""

import socket
import sys

from meshwright.model.names import CLUSTER
from meshwright.xds.http2_wire import PREFACE, FrameType, frame, settings, window_update
from tests.xds.hostile_program import asks, begin

HEAD = 9  # bytes before the payload of a frame
ACKNOWLEDGED = 1  # a flag of PING
WINDOW = 1 << 30


def listen(connection: socket.socket) -> None:
    """Take frames until the other side hangs up; only PINGs are answered."""
    kept = b""
    while data := connection.recv(1 << 20):
        kept += data
        while len(kept) >= HEAD and len(kept) >= (size := HEAD + int.from_bytes(kept[:3], "big")):
            kind, flags, payload = kept[3], kept[4], kept[HEAD:size]
            kept = kept[size:]
            if kind == FrameType.PING and not flags & ACKNOWLEDGED:
                connection.sendall(frame(FrameType.PING, ACKNOWLEDGED, 0, payload))
            if kind == FrameType.DATA:
                print(len(payload), flush=True)


def main() -> None:
    """Until killed; it asks again when it is hung up on."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(sys.argv[1])
            hello = PREFACE + settings(()) + window_update(0, WINDOW)
            connection.sendall(hello + begin(1) + window_update(1, WINDOW) + asks(1, CLUSTER))
            listen(connection)


if __name__ == "__main__":
    main()
