"""Starts our sample programs for real, each on a loopback address of its own, and ends them."""

import contextlib
import http.client
import itertools
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping

from meshwright.images.server import Handler, Server
from tests.undertaker import mark

# Two octets by chance: other test processes run at the same time.
_NET = f"127.{random.SystemRandom().randint(16, 250)}.{random.SystemRandom().randint(0, 255)}"
_HOSTS = itertools.count(1)
_CLEAN = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def new_address() -> str:
    """A loopback address that nothing listens on."""
    return f"{_NET}.{next(_HOSTS)}"


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-m", f"meshwright.images.{module}", *arguments]


@contextlib.contextmanager
def running(
    module: str, port: int, *arguments: str, env: Mapping[str, str] | None = None
) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """A program that listens; its address and its process. It must end with 0 after SIGTERM."""
    address = new_address()
    process = subprocess.Popen(
        command(module, *arguments), env=_CLEAN | mark() | {"MESHWRIGHT_BIND_ADDRESS": address} | dict(env or {})
    )
    try:
        wait_for_port(address, port, process)
        yield address, process
    finally:
        process.terminate()
        code = process.wait(30)
    assert code == 0


def wait_for_port(address: str, port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"{process.args} ended with {process.returncode}")


@contextlib.contextmanager
def serving(handler: Handler) -> Generator[tuple[str, int]]:
    """Our server with a handler in a thread of the test."""
    server = Server(handler, new_address(), 0)
    reader, writer = os.pipe()
    address, port = server.address
    thread = threading.Thread(target=server.run, args=(reader,))
    thread.start()
    try:
        yield address, port
    finally:
        os.write(writer, b"x")
        thread.join(30)
        os.close(reader)
        os.close(writer)
    assert not thread.is_alive()


@contextlib.contextmanager
def silent() -> Generator[tuple[str, list[socket.socket]]]:
    """A listener on port 9080 that accepts and never answers; its address and what it accepted."""
    listener = socket.create_server((new_address(), 9080))
    accepted: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[0], accepted
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for each in (listener, *accepted):
            each.close()


def ask(
    address: str,
    port: int,
    target: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()
