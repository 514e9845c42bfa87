"""`pilot-agent request GET stats`, as Istio's tasks ask an Envoy in its own container: its admin interface.

Only what is local: the socket stands in the proxy's container and nowhere else.
"""

from __future__ import annotations

import socket
import sys

from meshwright.images.client import read_reply_head, reply_length
from meshwright.images.http11 import BadMessageError, ClosedError, Wire, body_pieces, head_bytes

SOCKET = "/run/meshwright/admin.sock"
_METHODS = ("GET", "POST")
_SECONDS = 30.0
_FIELDS = (("host", "admin"), ("connection", "close"))
_USAGE = "usage: pilot-agent request GET|POST PATH, e.g. pilot-agent request GET stats\n"


def ask(method: str, target: str, path: str = SOCKET) -> int:
    """Print what Envoy answers; 1 when it answers with an error or not at all."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    try:
        connection.connect(path)
        wire = Wire(connection)
        wire.within(_SECONDS)
        wire.send(head_bytes(f"{method} /{target.lstrip('/')} HTTP/1.1", _FIELDS))
        _, status, headers = read_reply_head(wire)
        for piece in body_pieces(wire, reply_length(method, status, headers)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except (OSError, ClosedError, BadMessageError) as error:
        sys.stderr.write(f"pilot-agent: this container's Envoy does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if status < 400 else 1


def main() -> int:
    """Run with the words of the command line."""
    words = sys.argv[1:]
    if len(words) != 3 or words[0] != "request" or words[1].upper() not in _METHODS:
        sys.stderr.write(_USAGE)
        return 2
    return ask(words[1].upper(), words[2])


if __name__ == "__main__":
    sys.exit(main())
