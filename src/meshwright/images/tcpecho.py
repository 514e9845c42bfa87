"""Istio's TCP echo server: `tcpecho 9000[,9001...] PREFIX` answers each line with the prefix before it."""

from __future__ import annotations

import select
import socket
import sys
import threading

from meshwright.images.server import bind_address, log, stop_descriptor

_LONGEST_LINE = 64 * 1024
_DRAIN_SECONDS = 30.0


class Echo:
    """Answers lines on every connection, one thread each."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()

    def start(self, connection: socket.socket) -> None:
        """Serve one connection in a thread of its own."""
        with self._changed:
            self._open.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answer(connection)
        except OSError:
            pass  # the client left
        finally:
            connection.close()
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()

    def _answer(self, connection: socket.socket) -> None:
        rest = b""
        while data := connection.recv(65536):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                connection.sendall(b"".join(self._prefix + b" " + line + b"\n" for line in lines))
            if len(rest) > _LONGEST_LINE:
                return
        if rest:
            connection.sendall(self._prefix + b" " + rest + b"\n")

    def drain(self) -> None:
        """Take no more input, answer what has come, then return."""
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._open, _DRAIN_SECONDS)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    listener.settimeout(0)
    return listener


def run(listeners: list[socket.socket], prefix: str) -> None:
    """Serve until SIGTERM."""
    echo = Echo(prefix.encode())
    stop = stop_descriptor()
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    by_number = {listener.fileno(): listener for listener in listeners}
    for number in by_number:
        poll.register(number, select.POLLIN)
    while True:
        ready = [number for number, _ in poll.poll()]
        if stop in ready:
            break
        for number in ready:
            try:
                echo.start(by_number[number].accept()[0])
            except OSError as error:
                log(f"accept failed: {error}")
    for listener in listeners:
        listener.close()
    echo.drain()


def main() -> int:
    """Run the server; the exit code is 2 when the arguments are wrong, 1 when a port cannot be had."""
    arguments = sys.argv[1:]
    ports = arguments[0].split(",") if len(arguments) == 2 else []
    if not ports or not all(port.isdecimal() and int(port) < 65536 for port in ports):
        log("usage: tcpecho PORT[,PORT...] PREFIX")
        return 2
    threading.stack_size(256 * 1024)
    address = bind_address()
    try:
        listeners = [listen(address, int(port)) for port in ports]
    except OSError as error:
        log(f"tcpecho: cannot listen on {address}: {error.strerror}")
        return 1
    log(f"tcpecho: listening on {address}:{arguments[0]}")
    run(listeners, arguments[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
