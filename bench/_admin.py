"""Questions to an Envoy's admin interface on its unix socket."""

import http.client
import socket
from pathlib import Path


def ask(path: Path, what: str) -> str:
    """GET `what`; the body."""
    client = http.client.HTTPConnection("admin", timeout=10)
    client.sock = socket.socket(socket.AF_UNIX)
    try:
        client.sock.settimeout(10)
        client.sock.connect(str(path))
        client.request("GET", what)
        return client.getresponse().read().decode()
    finally:
        client.close()
