"""Sends probes from inside a pod or from the host: `probe.py JSON`, prints a JSON list of what came back.

A probe: kind (http, tcp or https: the caller's own TLS, of which only the first message is sent), address to connect
to, port, host, path, method, headers, case. Each has a connection of its own; those without HTTP follow one another.
What came back: status (0: the connection was closed, or refused), began and ended (seconds), body.
"""

import contextlib
import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SAID = b"line "  # what a server of lines says first; a proxy that ends TLS says something else


def answer(probe: dict[str, Any]) -> dict[str, Any]:
    began = time.time()
    try:
        with socket.create_connection((probe["address"], probe["port"]), timeout=10) as connection:
            connection.sendall(_bytes(probe))
            text = _read(connection, to_the_end=probe["kind"] == "http")
    except OSError:
        text = b""
    times = {"began": began, "ended": time.time()}
    if probe["kind"] != "http":
        return {"status": 200 if text.startswith(SAID) else 0, "body": "", **times}
    words = text.split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return {"status": status, "body": text.partition(b"\r\n\r\n")[2].decode(errors="replace"), **times}


def _bytes(probe: dict[str, Any]) -> bytes:
    if probe["kind"] == "tcp":
        return b"hello\n"
    if probe["kind"] == "https":
        return _client_hello(probe["host"].partition(":")[0])
    lines = [f"{probe['method']} {probe['path']} HTTP/1.1", f"host: {probe['host']}"]
    lines += [f"x-case: {probe['case']}", f"x-test-id: {probe['case']}"]
    lines += [f"{name}: {value}" for name, value in probe["headers"]]
    lines += ["content-length: 0", "connection: close", "", ""]
    return "\r\n".join(lines).encode()


def _client_hello(server_name: str) -> bytes:
    """What a TLS client says first; the end of line is for a server that answers lines."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read() + b"\n"


def _read(connection: socket.socket, *, to_the_end: bool) -> bytes:
    """The first bytes of an answer, or all of it."""
    text = connection.recv(4096)
    while to_the_end and (more := connection.recv(65536)):
        text += more
    return text


def answers(probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of the probes."""
    with ThreadPoolExecutor(8) as threads:
        requests = [threads.submit(answer, each) if each["kind"] == "http" else None for each in probes]
    return [done.result() if done else answer(each) for done, each in zip(requests, probes, strict=True)]


print(json.dumps(answers(json.loads(sys.argv[1]))))
