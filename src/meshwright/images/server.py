"""A small HTTP/1.1 server for our sample programs: one thread per connection, a clean end on SIGTERM.

Threads instead of asyncio: importing asyncio alone doubles the memory of such a process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable

from meshwright.images.http11 import (
    BODY_LIMIT,
    CHUNKED,
    REASONS,
    BadMessageError,
    ClosedError,
    Headers,
    Wire,
    declared_length,
    head_bytes,
    is_token,
    parse_fields,
    read_body,
    unquote,
)

BIND_VARIABLE = "MESHWRIGHT_BIND_ADDRESS"
"""Environment variable with the address that a program listens on."""

# Longer than Envoy's own idle time-out of an upstream connection (1 h), so that it is never us who close a
# connection on which a proxy is just about to send a request.
_IDLE_SECONDS = 3900.0
_HEAD_SECONDS = 30.0
_BODY_SECONDS = 60.0
_WRITE_SECONDS = 60.0
_DRAIN_SECONDS = 60.0
_MOST_CONNECTIONS = 2048
# A tenth of Python's own: a request that waits for its turn between threads waits less (p99 halves at 64 clients).
_SWITCH_SECONDS = 0.0005
_STACK_BYTES = 1024 * 1024
_TARGET_LIMIT = 32 * 1024


class Request:
    """One request, its body already read."""

    __slots__ = ("body", "headers", "http10", "method", "path", "peer", "query", "target")

    def __init__(self, method: str, target: str, headers: Headers, *, http10: bool, peer: str) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.http10 = http10
        self.peer = peer
        self.body = b""
        if "://" in target and not target.startswith("/"):  # absolute form, as sent to a proxy
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        raw_path, _, self.query = target.partition("#")[0].partition("?")
        self.path = unquote(raw_path)


class Response:
    """What a handler returns; a body that is not bytes is sent piece by piece (chunked)."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes | Iterable[bytes] = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.status = status
        self.body = body
        self.headers = list(headers)


Handler = Callable[[Request], Response]


def text_response(status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    """A response with a text body."""
    return Response(status, text.encode(), [("content-type", content_type)])


def json_response(status: int, value: object, *, indent: int | None = None) -> Response:
    """A response with a JSON body."""
    body = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    return Response(status, body, [("content-type", "application/json")])


def json_object(body: bytes) -> dict[str, object]:
    """The JSON object in a body; ValueError when it holds something else."""
    try:
        value: object = json.loads(body)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("the JSON is not an object")  # noqa: TRY004 - bad input, not a bug
    return {**value}


def read_request(wire: Wire, peer: str) -> Request:
    """Read one request with its body; answers `Expect: 100-continue` on the way."""
    lines = wire.head().split(b"\r\n")
    parts = lines[0].decode("latin-1").split(" ")
    if len(parts) != 3 or not is_token(parts[0]) or not parts[1].isprintable() or not parts[1]:
        raise BadMessageError(400, "the request line is malformed")
    method, target, version = parts
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        known = version.startswith("HTTP/")
        raise BadMessageError(505 if known else 400, "this server speaks HTTP/1.1")
    if len(target) > _TARGET_LIMIT:
        raise BadMessageError(414, "the request target is too long")
    headers = parse_fields(lines[1:])
    request = Request(method, target, headers, http10=version == "HTTP/1.0", peer=peer)
    hosts = len(headers.all("host"))
    if hosts > 1 or (not hosts and not request.http10):
        raise BadMessageError(400, "exactly one Host is needed")
    length = declared_length(headers) or 0
    if length == CHUNKED and request.http10:
        raise BadMessageError(400, "HTTP/1.0 knows no transfer coding")
    if length > BODY_LIMIT:
        raise BadMessageError(413, "the body is too large")
    _answer_expectation(wire, request, length)
    wire.within(_BODY_SECONDS)
    request.body = read_body(wire, length)
    return request


def _answer_expectation(wire: Wire, request: Request, length: int) -> None:
    expected = request.headers.tokens("expect")
    if not expected or request.http10:
        return
    if expected != ["100-continue"]:
        raise BadMessageError(417, "only 100-continue can be expected")
    if length and not wire.pending():
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def send_response(wire: Wire, request: Request | None, response: Response, *, close: bool) -> bool:
    """Write a response; returns whether the connection must be closed afterwards."""
    status, body = response.status, response.body
    fields = [("date", _date()), *response.headers]
    names = {name.lower() for name, _ in fields}
    bodiless = status < 200 or status in {204, 304}
    chunked = not isinstance(body, bytes) and not bodiless and "content-length" not in names
    old = request is not None and request.http10
    if chunked and old:
        close = True  # the end of the stream is then the end of the body
    elif chunked:
        fields.append(("transfer-encoding", "chunked"))
    elif not bodiless and "content-length" not in names:
        fields.append(("content-length", str(len(body) if isinstance(body, bytes) else 0)))
    if close:
        fields.append(("connection", "close"))
    elif old:
        fields.append(("connection", "keep-alive"))
    head = head_bytes(f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", fields)
    wire.within(_WRITE_SECONDS)
    if bodiless or (request is not None and request.method == "HEAD"):
        wire.send(head)
    elif isinstance(body, bytes):
        wire.send(head + body)
    else:
        _send_pieces(wire, head, body, framed=chunked and not old)
    return close


def _send_pieces(wire: Wire, head: bytes, pieces: Iterable[bytes], *, framed: bool) -> None:
    wire.send(head)
    for piece in pieces:
        if piece:
            wire.within(_WRITE_SECONDS)
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
    if framed:
        wire.send(b"0\r\n\r\n")


def _date() -> str:
    """Now as an IMF-fixdate (strftime would use the locale's names)."""
    now = time.gmtime()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.tm_wday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"{day}, {now.tm_mday:02} {months[now.tm_mon - 1]} {now.tm_year} {clock} GMT"


class Server:
    """Listens on one address and port and gives every request to the handler, in the connection's thread."""

    def __init__(self, handler: Handler, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._handler = handler
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1024)
        self._listener.settimeout(0)
        self._changed = threading.Condition()
        self._open: set[Wire] = set()
        self._idle: set[Wire] = set()
        self._stopping = False

    @property
    def address(self) -> tuple[str, int]:
        """Address and port that are listened on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def run(self, stop: int) -> None:
        """Serve until the file descriptor `stop` is readable, then finish the open requests."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(stop, select.POLLIN)
        while not any(descriptor == stop for descriptor, _ in poll.poll()):
            self._accept_all()
        self._accept_all()  # those whose handshake was done before we stopped
        self._listener.close()
        self._drain()

    def _accept_all(self) -> None:
        while True:
            try:
                connection, peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of descriptors, or the peer left: later accepts may do better
                log(f"accept failed: {error}")
                time.sleep(0.05)
                return
            self._start(connection, str(peer[0]))

    def _start(self, connection: socket.socket, peer: str) -> None:
        wire = Wire(connection)
        with self._changed:
            full = len(self._open) >= _MOST_CONNECTIONS
            if not full:
                self._open.add(wire)
        if full:
            wire.close()
            return
        try:
            threading.Thread(target=self._serve, args=(wire, peer), daemon=True).start()
        except RuntimeError as error:  # no more threads
            log(f"cannot serve a connection: {error}")
            self._forget(wire)

    def _forget(self, wire: Wire) -> None:
        wire.close()
        with self._changed:
            self._open.discard(wire)
            self._idle.discard(wire)
            self._changed.notify_all()

    def _serve(self, wire: Wire, peer: str) -> None:
        try:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            while self._next_begins(wire) and self._one(wire, peer):
                pass
        except BadMessageError as error:
            _refuse(wire, error)
        except (ClosedError, TimeoutError, OSError):
            pass  # the client left or went silent: nobody is there to be told
        finally:
            self._forget(wire)

    def _next_begins(self, wire: Wire) -> bool:
        """Wait for the next request on the connection; False when there will be none."""
        if wire.pending():
            return True
        with self._changed:
            # A connection that was accepted just before the end may still bring its first request.
            wire.within(1.0 if self._stopping else _IDLE_SECONDS)
            self._idle.add(wire)
        begins = wire.wait()
        with self._changed:
            self._idle.discard(wire)
        return begins

    def _one(self, wire: Wire, peer: str) -> bool:
        """Serve one request; whether another may follow."""
        wire.within(_HEAD_SECONDS)
        request = read_request(wire, peer)
        try:
            response = self._handler(request)
        except Exception:  # noqa: BLE001 - a bug in a handler costs its request only
            log(traceback.format_exc())
            response = json_response(500, {"error": "the program failed; see its log"})
        options = request.headers.tokens("connection")
        close = "close" in options or (request.http10 and "keep-alive" not in options)
        with self._changed:
            close = close or (self._stopping and not wire.pending())
        return not send_response(wire, request, response, close=close)

    def _drain(self) -> None:
        with self._changed:
            self._stopping = True
            for wire in self._idle:
                try:
                    # What has already arrived can still be read, then comes the end of the stream.
                    wire.socket.shutdown(socket.SHUT_RD)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._open, _DRAIN_SECONDS)


def _refuse(wire: Wire, error: BadMessageError) -> None:
    """Answer a message that cannot be read, then close without a reset that would eat the answer."""
    try:
        send_response(wire, None, json_response(error.status, {"error": error.detail}), close=True)
        wire.socket.shutdown(socket.SHUT_WR)
        wire.within(1.0)
        for _ in range(64):
            wire.some(65536)
    except (ClosedError, TimeoutError, OSError):
        return


def log(text: str) -> None:
    """One line to standard error, at once."""
    sys.stderr.write(text.rstrip("\n") + "\n")
    sys.stderr.flush()


def stop_descriptor() -> int:
    """Turn SIGTERM and SIGINT into a readable file descriptor."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    return reader


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the wake-up descriptor has already got the byte."""


def bind_address() -> str:
    """The address to listen on."""
    return os.environ.get(BIND_VARIABLE, "") or "0.0.0.0"  # noqa: S104 - as in a container


def serve(handler: Handler, name: str, port: int) -> int:
    """Run a program until SIGTERM; the exit code (1 when the port cannot be had)."""
    threading.stack_size(_STACK_BYTES)
    sys.setswitchinterval(_SWITCH_SECONDS)
    address = bind_address()
    stop = stop_descriptor()
    try:
        server = Server(handler, address, port)
    except OSError as error:
        log(f"{name}: cannot listen on {address}:{port}: {error.strerror}")
        return 1
    log(f"{name}: listening on {address}:{server.address[1]}")
    server.run(stop)
    return 0


def port_argument(arguments: list[str], default: int) -> int:
    """The port of the first argument, as the original images take it; exits with 2 when it is not one."""
    if not arguments:
        return default
    if arguments[0].isdecimal() and int(arguments[0]) < 65536:
        return int(arguments[0])
    log(f"not a port: {arguments[0]!r}")
    sys.exit(2)
