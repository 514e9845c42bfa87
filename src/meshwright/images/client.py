"""A small HTTP/1.1 client for our sample programs: deadlines, kept connections, `http_proxy`."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterable

from meshwright.images.http11 import (
    UNTIL_CLOSE,
    BadMessageError,
    ClosedError,
    Headers,
    Wire,
    declared_length,
    head_bytes,
    parse_fields,
    read_body,
)

_KEEP_SECONDS = 30.0
_KEEP_MOST = 16
_SAFE_AGAIN = frozenset({"GET", "HEAD"})


class FetchError(Exception):
    """No answer: the text says why; `timed_out` tells a deadline from everything else."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Url:
    """An http or https URL cut into its parts; ValueError when it is none."""

    __slots__ = ("host", "port", "scheme", "target")

    def __init__(self, text: str) -> None:
        scheme, mark, rest = text.partition("://")
        self.scheme = scheme.lower()
        if not mark or self.scheme not in {"http", "https"}:
            raise ValueError(f"not an http or https URL: {text}")
        rest = rest.partition("#")[0]
        cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        authority, self.target = rest[:cut].rpartition("@")[2], rest[cut:]
        if not self.target.startswith("/"):
            self.target = "/" + self.target
        self.host, port = split_authority(authority)
        if not self.host or not (port.isdecimal() or not port) or int(port or 0) > 65535:
            raise ValueError(f"the URL has no usable host and port: {text}")
        self.port = int(port) if port else (443 if self.scheme == "https" else 80)

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them: the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def split_authority(text: str) -> tuple[str, str]:
    """`host:port` to both texts; an IPv6 address may stand in brackets; the port may be empty."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = text.partition(":")
    return host, port


def proxy_for(url: Url) -> tuple[str, int] | None:
    """The proxy that the environment names for a URL (`http_proxy`, `https_proxy`, `no_proxy`)."""
    name = f"{url.scheme}_proxy"
    value = os.environ.get(name) or os.environ.get(name.upper())
    if not value:
        return None
    for rule in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        domain = rule.strip().removeprefix("*").removeprefix(".").lower()
        if rule.strip() == "*" or (domain and ("." + url.host.lower()).endswith("." + domain)):
            return None
    proxy = Url(value if "://" in value else "http://" + value)
    return proxy.host, proxy.port


class Reply:
    """A whole answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def read_reply_head(wire: Wire) -> tuple[bytes, int, Headers]:
    """The raw head, status and fields of the next final answer; interim answers are skipped."""
    while True:
        head = wire.head()
        lines = head.split(b"\r\n")
        version, _, rest = lines[0].decode("latin-1").partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdecimal():
            raise BadMessageError(502, "the status line is malformed")
        if int(code) == 101 or int(code) >= 200:
            return head, int(code), parse_fields(lines[1:])


def reply_length(method: str, status: int, headers: Headers) -> int:
    """How long the answer's body is, in the terms of `http11.body_pieces`."""
    if method == "HEAD" or status in {204, 304}:
        return 0
    length = declared_length(headers)
    return UNTIL_CLOSE if length is None else length


class Client:
    """Sends requests and keeps idle connections for the next ones; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], list[tuple[Wire, float]]] = {}

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            kept = [wire for wires in self._kept.values() for wire, _ in wires]
            self._kept.clear()
        for wire in kept:
            wire.close()

    def fetch(
        self,
        url: str,
        timeout: float,
        headers: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        body: bytes = b"",
    ) -> Reply:
        """Send one request and return the whole answer within `timeout` seconds, or raise FetchError."""
        end = time.monotonic() + timeout
        parts = Url(url)
        proxy = proxy_for(parts) if parts.scheme == "http" else None
        target = f"http://{parts.authority}{parts.target}" if proxy else parts.target
        fields = [("host", parts.authority), *headers]
        if body or method not in _SAFE_AGAIN:
            fields.append(("content-length", str(len(body))))
        message = head_bytes(f"{method} {target} HTTP/1.1", fields) + body
        try:
            return self._exchange(method, message, proxy or (parts.host, parts.port), end, parts)
        except TimeoutError as error:
            raise FetchError(f"no answer from {url} within {timeout:g} s", timed_out=True) from error
        except (ClosedError, BadMessageError, OSError) as error:
            raise FetchError(f"{url}: {error}") from error

    def _exchange(self, method: str, message: bytes, address: tuple[str, int], end: float, parts: Url) -> Reply:
        wire = self._take(address) if parts.scheme == "http" else None
        if wire is not None:
            try:
                return self._once(wire, method, message, address, end)
            except ClosedError:
                if method not in _SAFE_AGAIN:  # it may have been carried out
                    raise
        wire = Wire(socket.create_connection(address, max(0.001, end - time.monotonic())))
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            wire.socket = _encrypted(wire.socket, parts.host)
        return self._once(wire, method, message, address, end)

    def _once(self, wire: Wire, method: str, message: bytes, address: tuple[str, int], end: float) -> Reply:
        keep = False
        try:
            wire.within(end - time.monotonic())
            wire.send(message)
            _, status, headers = read_reply_head(wire)
            length = reply_length(method, status, headers)
            reply = Reply(status, headers, read_body(wire, length))
            keep = length != UNTIL_CLOSE and "close" not in headers.tokens("connection")
        finally:
            if keep:
                self._keep(address, wire)
            else:
                wire.close()
        return reply

    def _take(self, address: tuple[str, int]) -> Wire | None:
        """A kept connection that is still silent and open, if there is one."""
        while True:
            with self._lock:
                kept = self._kept.get(address)
                if not kept:
                    return None
                wire, since = kept.pop()
            poll = select.poll()
            poll.register(wire.socket, select.POLLIN)
            if time.monotonic() - since < _KEEP_SECONDS and not poll.poll(0):
                return wire
            wire.close()  # too old, or the peer closed it (nothing else can be readable between requests)

    def _keep(self, address: tuple[str, int], wire: Wire) -> None:
        with self._lock:
            kept = self._kept.setdefault(address, [])
            if len(kept) < _KEEP_MOST and not wire.pending() and not _is_tls(wire):
                kept.append((wire, time.monotonic()))
                return
        wire.close()


def _is_tls(wire: Wire) -> bool:
    return type(wire.socket) is not socket.socket


def _encrypted(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # megabytes that only https needs

    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
