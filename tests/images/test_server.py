"""The server: HTTP/1.1 as it is meant, and no harm from anything else."""

import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshwright.images.server import Request, Response, json_response, text_response
from tests.images.programs import ask, serving


def answer(request: Request) -> Response:
    if request.path == "/stream":
        return Response(200, (each for each in (b"one", b"", b"two")), [("content-type", "text/plain")])
    if request.path == "/broken":
        raise RuntimeError("a bug")
    if request.path == "/empty":
        return Response(204)
    if request.path == "/injected":
        return Response(200, b"x", [("x-value", "a\r\nx-other: b")])
    return json_response(200, [request.method, request.path, request.query, request.body.decode("latin-1")])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serving(answer) as address:
        yield address


def talk(address: tuple[str, int], data: bytes) -> bytes:
    """Send bytes, say that there are no more, return all that comes back."""
    with socket.create_connection(address, 20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


def test_keeps_the_connection_and_answers_pipelined_requests_in_order(server: tuple[str, int]) -> None:
    received = talk(server, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b'"/a"') < received.index(b'"/b"')


def test_reads_chunked_bodies_with_extensions_and_trailers(server: tuple[str, int]) -> None:
    body = b"4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Trailer: 1\r\n\r\n"
    head = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    received = talk(server, head + body + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b'"wikipedia"' in received
    assert b'"/next"' in received


def test_streams_in_chunks_and_to_old_clients_until_the_end(server: tuple[str, int]) -> None:
    new = talk(server, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    assert new.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    old = talk(server, b"GET /stream HTTP/1.0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nonetwo")
    assert b"chunked" not in old
    assert ask(*server, "/stream")[2] == b"onetwo"


def test_head_has_the_fields_of_get_and_no_body(server: tuple[str, int]) -> None:
    received = talk(server, b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    first, second = received.split(b"HTTP/1.1 200 OK")[1:]
    assert b"content-length: 22\r\n" in first
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"]")


def test_no_content_has_no_length(server: tuple[str, int]) -> None:
    assert b"content-length" not in talk(server, b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n")


def test_says_continue_to_who_waits_for_it(server: tuple[str, int]) -> None:
    with socket.create_connection(server, 20) as connection:
        connection.sendall(b"PUT /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert b'"hi"' in connection.recv(65536)


def test_old_clients_get_one_answer_unless_they_ask_for_more(server: tuple[str, int]) -> None:
    request = b"GET / HTTP/1.0\r\n\r\n"
    assert talk(server, request + request).count(b"200 OK") == 1
    kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert talk(server, kept + kept).count(b"200 OK") == 2


def test_understands_targets_as_sent_to_a_proxy(server: tuple[str, int]) -> None:
    received = talk(server, b"GET http://other:80/p%20q?r=%20 HTTP/1.1\r\nHost: other\r\n\r\n")
    assert b'["GET", "/p q", "r=%20", ""]' in received


def test_a_bug_in_a_handler_costs_one_request(server: tuple[str, int]) -> None:
    assert ask(*server, "/broken")[0] == 500
    assert ask(*server, "/fine")[0] == 200


def test_a_value_cannot_add_a_field(server: tuple[str, int]) -> None:
    headers = ask(*server, "/injected")[1]
    assert "x-other" not in headers


MALFORMED = {
    b"GARBAGE\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n": 400,
    b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n": 400,
    b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n": 400,
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": 505,
    b"GET / SPDY/1\r\nHost: a\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": 501,
    b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n": 413,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n": 417,
    b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000 + b"\r\n\r\n": 431,
}


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: repr(data[:60]))
def test_refuses_what_can_be_read_in_two_ways(server: tuple[str, int], data: bytes) -> None:
    received = talk(server, data)
    assert status_of(received) == MALFORMED[data]
    assert b"connection: close" in received


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"GET ", b"POST ", b"/ ", b"HTTP/1.1", b"\r\n", b"\n", b"Host: a", b":", b"Content-Length: 3"]
        )
        | st.sampled_from([b"Transfer-Encoding: chunked", b"0\r\n\r\n", b"3\r\nabc\r\n", b"\0", b"\xff"])
        | st.binary(max_size=12),
        max_size=24,
    )
)
def test_survives_anything(server: tuple[str, int], parts: list[bytes]) -> None:
    talk(server, b"".join(parts))
    assert ask(*server, "/still")[0] == 200


def test_finishes_open_requests_when_it_stops() -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.5)
        return text_response(200, "done")

    with serving(slow) as address:
        idle = socket.create_connection(address, 20)
        busy = socket.create_connection(address, 20)
        busy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
    received = b""
    while piece := busy.recv(65536):
        received += piece
    assert received.endswith(b"done")
    assert b"connection: close" in received
    assert idle.recv(10) == b""
    idle.close()
    busy.close()
