"""The client: deadlines, kept connections, proxies."""

import contextlib
import socket
import threading
from collections.abc import Generator

import pytest

from meshwright.images.client import Client, FetchError, Url, proxy_for
from meshwright.images.server import Request, Response, json_response
from tests.images.programs import new_address, serving, silent


@contextlib.contextmanager
def scripted(*answers: bytes) -> Generator[tuple[str, list[bytes]]]:
    """Accepts one connection per answer, reads a request, sends the answer, closes; base URL and requests."""
    listener = socket.create_server((new_address(), 0))
    requests: list[bytes] = []

    def run() -> None:
        for answer in answers:
            connection = listener.accept()[0]
            requests.append(connection.recv(65536))
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    host, port = listener.getsockname()
    yield f"http://{host}:{port}", requests
    thread.join(20)
    listener.close()


def peers(request: Request) -> Response:
    return json_response(200, [request.method, request.target, request.headers.get("host"), request.body.decode()])


def test_one_connection_serves_many_requests() -> None:
    listener = socket.create_server((new_address(), 0))
    host, port = listener.getsockname()

    def run() -> None:
        with listener.accept()[0] as connection:  # there is no second accept
            for _ in range(3):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    thread = threading.Thread(target=run)
    thread.start()
    with contextlib.closing(Client()) as client:
        assert [client.fetch(f"http://{host}:{port}/", 10).body for _ in range(3)] == [b"ok"] * 3
    thread.join(20)
    listener.close()


def test_a_connection_that_died_meanwhile_is_replaced() -> None:
    fine = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with scripted(fine, fine, fine) as (url, requests), contextlib.closing(Client()) as client:
        for _ in range(3):
            assert client.fetch(url, 10).status == 200
    assert len(requests) == 3


def test_reads_chunks_interim_answers_and_bodies_until_the_end() -> None:
    answers = (
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n",
    )
    with scripted(*answers) as (url, _), contextlib.closing(Client()) as client:
        assert client.fetch(url, 10).body == b"ab"
        assert client.fetch(url, 10).body == b"until the end"
        assert client.fetch(url, 10).status == 503


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_a_bad_answer_is_an_error(answer: bytes) -> None:
    with scripted(answer) as (url, _), pytest.raises(FetchError) as caught:
        Client().fetch(url, 10)
    assert not caught.value.timed_out


def test_silence_ends_at_the_deadline() -> None:
    with silent() as (address, _), pytest.raises(FetchError) as caught:
        Client().fetch(f"http://{address}:9080/", 0.2)
    assert caught.value.timed_out


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(FetchError):
        Client().fetch(f"http://{new_address()}:9/", 5)


def test_the_environment_names_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(peers) as (host, port), contextlib.closing(Client()) as client:
        monkeypatch.setenv("http_proxy", f"http://{host}:{port}")
        reply = client.fetch("http://reviews:9080/reviews/0?x=1", 10)
        assert reply.body == b'["GET", "http://reviews:9080/reviews/0?x=1", "reviews:9080", ""]'
        monkeypatch.setenv("no_proxy", f"example.com,{host}")
        reply = client.fetch(f"http://{host}:{port}/direct", 10, method="POST", body=b"b")
        assert reply.body == f'["POST", "/direct", "{host}:{port}", "b"]'.encode()


@pytest.mark.parametrize(
    ("rules", "host", "proxied"),
    [
        ("", "reviews", True),
        ("*", "reviews", False),
        ("reviews", "reviews", False),
        ("views", "reviews", True),
        (".example.com", "a.example.com", False),
        ("*.example.com, other", "a.example.com", False),
        ("example.com", "EXAMPLE.com", False),
    ],
)
def test_no_proxy_rules(monkeypatch: pytest.MonkeyPatch, *, rules: str, host: str, proxied: bool) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy:3128")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", rules)
    assert proxy_for(Url(f"http://{host}/")) == (("proxy", 3128) if proxied else None)


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("http://a", "a", 80, "/"),
        ("https://a/b?c#d", "a", 443, "/b?c"),
        ("http://u:p@a:8080?x=1", "a", 8080, "/?x=1"),
        ("http://[::1]:81/", "::1", 81, "/"),
    ],
)
def test_cuts_urls(text: str, host: str, port: int, target: str) -> None:
    url = Url(text)
    assert (url.host, url.port, url.target) == (host, port, target)


@pytest.mark.parametrize("text", ["a", "ftp://a", "http://", "http://a:b/", "http://a:70000/"])
def test_refuses_what_is_no_url(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Url(text)
