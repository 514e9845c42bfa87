"""Connections that turn into SPDY: exec and port-forward as clients before WebSockets did it, over a real socket."""

import json
import socket
import ssl
import struct
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from meshwright.apiserver import spdy
from meshwright.apiserver.spdy import Answered, Data, Decoder, Encoder, Ping, Reset
from tests.apiserver.machine import HostPrograms, running_pod
from tests.apiserver.objects import pods
from tests.apiserver.server import READER_TOKEN, Running, running

SECONDS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("spdy")
    with running(folder, machine=HostPrograms(folder / "log")) as started:
        running_pod(started.admin, "default", "one")
        yield started


@dataclass
class Connection:
    """The client's side."""

    tls: ssl.SSLSocket
    head: bytes
    encoder: Encoder = field(default_factory=Encoder)
    decoder: Decoder = field(default_factory=Decoder)
    said: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    over: set[int] = field(default_factory=set[int])
    answered: set[int] = field(default_factory=set[int])
    pings: list[int] = field(default_factory=list[int])

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def open(self, stream: int, *, fin: bool = False, **headers: str) -> None:
        self.tls.sendall(self.encoder.opened(stream, headers, fin=fin))

    def until(self, *streams: int) -> None:
        while not set(streams) <= self.over and self.read():
            pass

    def read(self) -> bool:
        data = self.tls.recv(65536)
        for frame in self.decoder.feed(data):
            match frame:
                case Data(stream, content, fin):
                    self.said[stream] += content
                    self.over |= {stream} if fin else set()
                case Reset(stream, _):
                    self.over.add(stream)
                case Answered(stream):
                    self.answered.add(stream)
                case Ping(number):
                    self.pings.append(number)
                case _:
                    pass
        return bool(data)


@contextmanager
def connected(server: Running, what: str, versions: str, token: str = "") -> Generator[Connection]:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as plain,
        server.tls.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        lines = [
            f"POST {pods('default', 'one')}/{what} HTTP/1.1",
            "Host: x",
            "Content-Length: 0",
            "Connection: Upgrade",
            "Upgrade: SPDY/3.1",
            *(f"X-Stream-Protocol-Version: {version}" for version in versions.split()),
            f"Authorization: Bearer {token or server.token}",
        ]
        tls.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += tls.recv(1)
        yield Connection(tls, head)


def test_exec(server: Running) -> None:
    script = "exec?command=sh&command=-c&command=cat;echo+err+%3E%262;exit+7&stdin=1&stdout=1&stderr=1"
    with connected(server, script, "v4.channel.k8s.io v3.channel.k8s.io") as client:
        assert client.status == 101
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in client.head
        for stream, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
            client.open(stream, streamtype=kind)
        client.open(9, streamtype="other")
        client.tls.sendall(spdy.ping(11) + spdy.data(3, b"hello"))
        client.tls.sendall(spdy.data(3, b"", fin=True))
        client.until(1, 5, 7, 9)
        assert client.answered == {1, 3, 5, 7}
        assert client.pings == [11]
        assert (client.said[5], client.said[7]) == (b"hello", b"err\n")
        assert json.loads(client.said[1])["details"]["causes"][0]["message"] == "7"


def test_port_forward(server: Running) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connected(server, "portforward", "portforward.k8s.io") as client,
    ):
        listener.settimeout(SECONDS)
        assert client.status == 101
        port = str(listener.getsockname()[1])
        client.open(1, fin=True, streamtype="error", port=port, requestid="0")
        client.open(3, streamtype="data", port=port, requestid="0")
        inner, _ = listener.accept()
        with inner:
            client.tls.sendall(spdy.data(3, b"ping", fin=True))
            inner.settimeout(SECONDS)
            assert inner.makefile("rb").read() == b"ping"
            inner.sendall(b"pong")
        client.until(1, 3)
        assert (client.said[1], client.said[3]) == (b"", b"pong")


@pytest.mark.parametrize(
    ("what", "versions", "token", "status"),
    [
        ("exec?command=ls&stdout=1", "v9.channel.k8s.io", "", 400),
        ("exec?command=ls&stdout=1&container=none", "v4.channel.k8s.io", "", 400),
        ("exec?command=ls&stdout=1", "v4.channel.k8s.io", "wrong", 401),
        ("exec?command=ls&stdout=1", "v4.channel.k8s.io", READER_TOKEN, 403),
        ("portforward", "v4.channel.k8s.io", "", 400),
        ("nothing", "v4.channel.k8s.io", "", 404),
    ],
)
def test_refusals_are_told_in_http(server: Running, what: str, versions: str, token: str, status: int) -> None:
    with connected(server, what, versions, token) as client:
        assert client.status == status
        body = b""
        while piece := client.tls.recv(65536):
            body += piece
        assert json.loads(body)["kind"] == "Status"


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">II", 1 << 31 | 3 << 16 | 99, 0)])
@pytest.mark.parametrize(
    ("what", "version"),
    [("exec?command=cat&stdin=1&stdout=1", "v4.channel.k8s.io"), ("portforward", "portforward.k8s.io")],
)
def test_what_is_no_spdy_ends_the_connection(server: Running, what: str, version: str, rubbish: bytes) -> None:
    with connected(server, what, version) as client:
        client.tls.sendall(rubbish)
        while client.read():
            pass
