"""Sends probes from inside a pod or from the host: `probe.py JSON`, prints a JSON list of what came back.

A probe: kind (http or tcp), address to connect to, port, host, path, method, headers, case. Each has a connection of
its own. What came back: status (0: the connection was closed, or refused), local (our end of the connection), body.
"""

import json
import socket
import sys
from typing import Any


def answer(probe: dict[str, Any]) -> dict[str, Any]:
    local = ""
    try:
        with socket.create_connection((probe["address"], probe["port"]), timeout=10) as connection:
            address, port = connection.getsockname()
            local = f"{address}:{port}"
            connection.sendall(_bytes(probe))
            text = _read(connection)
    except OSError:
        text = b""
    if probe["kind"] == "tcp":
        return {"status": 200 if text else 0, "local": local}
    words = text.split(b" ", 2)
    return {"status": int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, "local": local}


def _bytes(probe: dict[str, Any]) -> bytes:
    if probe["kind"] == "tcp":
        return b"hello\n"
    lines = [f"{probe['method']} {probe['path']} HTTP/1.1", f"host: {probe['host']}", f"x-case: {probe['case']}"]
    lines += [f"{name}: {value}" for name, value in probe["headers"]]
    lines += ["content-length: 0", "connection: close", "", ""]
    return "\r\n".join(lines).encode()


def _read(connection: socket.socket) -> bytes:
    """The first bytes of an answer are enough."""
    return connection.recv(4096)


print(json.dumps([answer(each) for each in json.loads(sys.argv[1])]))
