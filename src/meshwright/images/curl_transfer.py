"""One transfer of our curl: connect, send, receive, follow redirects."""

from __future__ import annotations

import base64
import socket
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from meshwright.images.client import Url, proxy_for, read_reply_head, reply_length, split_authority
from meshwright.images.curl_options import CurlError, Options, body_of, read_file
from meshwright.images.curl_output import Result
from meshwright.images.http11 import Wire, body_pieces, head_bytes

_AGENT = "curl/8.0.0-meshwright"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SECONDS = 300.0


class Sink(Protocol):
    """Takes the bytes that are to be shown or stored."""

    def write(self, data: bytes) -> None:
        """Write a piece."""
        ...


class Transfer:
    """One URL with all its redirects."""

    def __init__(self, options: Options, url: str, result: Result) -> None:
        self._options = options
        self._result = result
        self._flags = options.flags
        body, kind = body_of(options)
        if "get" in self._flags and body is not None:
            url += ("&" if "?" in url else "?") + body.decode("utf-8", "replace")
            body = None
        self._url, self._body, self._kind = self._parsed(url), body, kind
        default = "HEAD" if "head" in self._flags else "GET" if body is None else "POST"
        self._method = options.last("request") or default
        limit = options.number("max-time", 0)
        self._end = result.begin + limit if limit else None

    def _parsed(self, url: str) -> Url:
        if "://" not in url:
            url = "http://" + url
        self._result.url = url
        scheme = url.partition("://")[0].lower()
        if scheme not in {"http", "https"}:
            raise CurlError(1, f'Protocol "{scheme}" not supported')
        try:
            return Url(url)
        except ValueError as error:
            raise CurlError(3, f"URL rejected: {error}") from error

    def run(self, output: Sink) -> None:
        """Transfer; CurlError, TimeoutError or the errors of `Wire` when that fails."""
        most = int(self._options.number("max-redirs", 50))
        while place := self._once(output):
            if self._result.redirects >= most:
                raise CurlError(47, f"Maximum ({most}) redirects followed")
            self._result.redirects += 1
            self._follow(place)
            self._result.note("redirect")

    def _follow(self, place: str) -> None:
        status = self._result.status
        becomes_get = status == 303 or (status in {301, 302} and self._method == "POST")
        if becomes_get and not self._options.last("request"):
            self._method = "HEAD" if "head" in self._flags else "GET"
            self._body = None
        self._url = self._parsed(place)

    def _once(self, output: Sink) -> str:
        """One request and its answer; the place to go on to, or nothing."""
        wire = self._connect()
        try:
            self._send(wire)
            head, status, headers = read_reply_head(wire)
            self._result.begun = True
            self._result.note("starttransfer")
            self._result.status, self._result.headers = status, headers
            self._result.sizes["header"] += len(head) + 4
            self._say("<", head)
            failed = status >= 400 and "fail" in self._flags
            place = self._place(headers.get("location")) if status in _REDIRECTS else ""
            follow = place if {"location", "location-trusted"} & self._flags else ""
            self._result.redirect_url = "" if follow else place
            self._show_head(output, head)
            length = reply_length("HEAD" if "head" in self._flags else self._method, status, headers)
            if not failed and not follow:
                self._receive(wire, length, output)
        finally:
            wire.close()
        if status >= 400 and {"fail", "fail-with-body"} & self._flags:
            raise CurlError(22, f"The requested URL returned error: {status}")
        return follow

    def _show_head(self, output: Sink, head: bytes) -> None:
        text = head + b"\r\n\r\n"
        if {"include", "head"} & self._flags:
            output.write(text)
        name = self._options.last("dump-header")
        if name == "-":
            output.write(text)
        elif name:
            with open(name, "ab") as file:  # noqa: PTH123 - pathlib costs a MiB
                file.write(text)

    def _receive(self, wire: Wire, length: int, output: Sink) -> None:
        pieces = body_pieces(wire, length)
        if "compressed" in self._flags and self._result.headers.get("content-encoding") in {"gzip", "deflate"}:
            pieces = _inflated(pieces)
        for piece in pieces:
            self._result.sizes["download"] += len(piece)
            output.write(piece)

    def _place(self, location: str) -> str:
        """The URL that a Location means here."""
        base = f"{self._url.scheme}://{self._url.authority}"
        if not location or "://" in location:
            return location
        if location.startswith("//"):
            return f"{self._url.scheme}:{location}"
        if location.startswith("/"):
            return base + location
        folder = self._url.target.partition("?")[0].rpartition("/")[0]
        return f"{base}{folder}/{location}"

    def _left(self) -> float | None:
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _proxy(self) -> tuple[str, int] | None:
        if self._options.last("noproxy") == "*" or self._url.host in self._options.last("noproxy").split(","):
            return None
        given = self._options.last("proxy")
        if given:
            proxy = self._parsed_proxy(given)
            return proxy.host, proxy.port
        return proxy_for(self._url) if "proxy" not in self._options.values else None

    @staticmethod
    def _parsed_proxy(text: str) -> Url:
        try:
            return Url(text if "://" in text else "http://" + text)
        except ValueError as error:
            raise CurlError(5, f"Unsupported proxy: {error}") from error

    def _connect(self) -> Wire:
        proxy = self._proxy()
        address = proxy or self._address()
        limit = self._options.number("connect-timeout", _CONNECT_SECONDS) or _CONNECT_SECONDS
        left = self._left()
        connection = self._open(address, limit if left is None else min(limit, left))
        self._result.connects += 1
        self._result.note("connect")
        self._result.remote = connection.getpeername()[:2]
        self._result.local = connection.getsockname()[:2]
        self._note(f"Connected to {self._url.host} ({self._result.remote[0]}) port {self._result.remote[1]}")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(connection)
        wire.within(self._left())
        if self._url.scheme == "https":
            if proxy:
                self._tunnel(wire)
            wire.socket = self._encrypted(connection)
            self._result.note("appconnect")
        self._result.note("pretransfer")
        return wire

    def _address(self) -> tuple[str, int]:
        host, port = self._url.host, self._url.port
        for rule in self._options.all("connect-to"):
            parts = rule.split(":")
            if len(parts) == 4 and parts[0] in {"", host} and parts[1] in {"", str(port)}:
                host, port = parts[2] or host, int(parts[3] or port)
        for rule in self._options.all("resolve"):
            name, _, rest = rule.removeprefix("+").partition(":")
            number, _, addresses = rest.partition(":")
            if name in {"*", host} and number == str(port):
                return split_authority(addresses.split(",")[0])[0] if "[" in addresses else addresses.split(",")[
                    0
                ], port
        return host, port

    def _open(self, address: tuple[str, int], seconds: float) -> socket.socket:
        family = socket.AF_UNSPEC
        if {"ipv4", "ipv6"} & self._flags:
            family = socket.AF_INET if "ipv4" in self._flags else socket.AF_INET6
        try:
            found = socket.getaddrinfo(*address, family, socket.SOCK_STREAM)
        except OSError as error:
            raise CurlError(6, f"Could not resolve host: {address[0]}") from error
        self._result.note("namelookup")
        end = time.monotonic() + seconds
        failure: OSError | None = None
        for kind, _, _, _, where in found:
            connection = socket.socket(kind, socket.SOCK_STREAM)
            self._note(f"  Trying {where[0]}:{where[1]}...")
            try:
                connection.settimeout(max(0.001, end - time.monotonic()))
                connection.connect(where)
            except OSError as error:
                failure = error
                connection.close()
            else:
                return connection
        if isinstance(failure, TimeoutError):
            raise CurlError(28, f"Connection timed out after {int(seconds * 1000)} milliseconds")
        raise CurlError(7, f"Failed to connect to {address[0]} port {address[1]}: Could not connect to server")

    def _tunnel(self, wire: Wire) -> None:
        authority = f"{self._url.host}:{self._url.port}"
        wire.send(head_bytes(f"CONNECT {authority} HTTP/1.1", [("Host", authority)]))
        _, status, _ = read_reply_head(wire)
        if not 200 <= status < 300:
            raise CurlError(56, f"CONNECT tunnel failed, response {status}")

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        import ssl  # megabytes that only https needs

        try:
            context = ssl.create_default_context(cafile=self._options.last("cacert") or None)
            if "insecure" in self._flags:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self._options.last("cert"):
                context.load_cert_chain(self._options.last("cert"), self._options.last("key") or None)
            context.set_alpn_protocols(["http/1.1"])
            connection.settimeout(self._left())
            return context.wrap_socket(connection, server_hostname=self._url.host)
        except ssl.SSLCertVerificationError as error:
            raise CurlError(60, f"SSL certificate problem: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise CurlError(35, f"TLS connect error: {error.reason}") from error
        except TimeoutError:
            raise
        except OSError as error:
            code = 77 if error.filename or isinstance(error, FileNotFoundError) else 35
            raise CurlError(code, f"TLS connect error: {error.strerror}") from error

    def _fields(self) -> list[tuple[str, str]]:
        fields = [
            ("Host", self._url.authority),
            ("User-Agent", self._options.last("user-agent", _AGENT)),
            ("Accept", "*/*"),
        ]
        options = self._options
        if options.last("user"):
            word = base64.b64encode(options.last("user").encode()).decode()
            fields.insert(1, ("Authorization", f"Basic {word}"))
        if options.last("oauth2-bearer"):
            fields.insert(1, ("Authorization", f"Bearer {options.last('oauth2-bearer')}"))
        for option, name in (("referer", "Referer"), ("cookie", "Cookie")):
            if options.last(option):
                fields.append((name, options.last(option)))
        if "compressed" in self._flags:
            fields.append(("Accept-Encoding", "deflate, gzip"))
        if self._body is not None:
            fields += [("Content-Length", str(len(self._body))), ("Content-Type", self._kind)]
        return merged(fields, self._given_headers())

    def _given_headers(self) -> Iterator[str]:
        for text in self._options.all("header"):
            if text.startswith("@"):
                yield from read_file(text[1:]).decode("latin-1").splitlines()
            else:
                yield text

    def _send(self, wire: Wire) -> None:
        proxied = self._url.scheme == "http" and self._proxy() is not None
        target = f"http://{self._url.authority}{self._url.target}" if proxied else self._url.target
        head = head_bytes(f"{self._method} {target} HTTP/1.1", self._fields())
        self._result.method = self._method
        self._say(">", head.removesuffix(b"\r\n\r\n"))
        wire.send(head + (self._body or b""))
        self._result.sizes["request"] += len(head)
        self._result.sizes["upload"] += len(self._body or b"")

    def _say(self, mark: str, head: bytes) -> None:
        if "verbose" in self._flags:
            for line in [*head.decode("latin-1").split("\r\n"), ""]:
                sys.stderr.write(f"{mark} {line}\n")

    def _note(self, text: str) -> None:
        if "verbose" in self._flags:
            sys.stderr.write(f"* {text}\n")


def merged(fields: list[tuple[str, str]], given: Iterator[str]) -> list[tuple[str, str]]:
    """Own fields and `-H`: a given field replaces ours, `Name:` removes it, `Name;` sends it empty."""
    added: list[tuple[str, str]] = []
    for text in given:
        name, colon, value = text.partition(":")
        empty = not colon and text.endswith(";")
        name = name.removesuffix(";").strip() if empty else name.strip()
        if not name or not (colon or empty):
            continue
        fields = [field for field in fields if field[0].lower() != name.lower()]
        if value.strip() or empty:
            field = (name, value.strip())
            fields, added = ([field, *fields], added) if name.lower() == "host" else (fields, [*added, field])
    return fields + added


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    import zlib  # only with --compressed

    unpacker = zlib.decompressobj(wbits=47)
    try:
        for piece in pieces:
            yield unpacker.decompress(piece)
        yield unpacker.flush()
    except zlib.error as error:
        raise CurlError(61, f"Error while processing content unencoding: {error}") from error
