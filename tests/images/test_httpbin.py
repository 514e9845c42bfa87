"""httpbin: what its users read out of the answers."""

import base64
import gzip
import http.client
import json
import signal
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.images.programs import ask, running

PORT = 8080


@pytest.fixture(scope="module")
def go() -> Iterator[str]:
    with running("httpbin", PORT, env={"HOSTNAME": "httpbin-v1-abc"}) as (address, _):
        yield address


@pytest.fixture(scope="module")
def classic() -> Iterator[str]:
    with running("httpbin", 8000, "--classic", "-b", "0.0.0.0:8000", "httpbin:app", "-k", "gevent") as (address, _):
        yield address


def get_json(address: str, path: str, port: int = PORT, **headers: str) -> Any:
    return json.loads(ask(address, port, path, headers={k.replace("_", "-"): v for k, v in headers.items()})[2])


def test_get_tells_what_was_asked(go: str) -> None:
    answer = get_json(go, "/get?a=1&a=2&b=x%20y", X_Custom="v", X_Forwarded_For="10.0.0.9, 10.0.0.1")
    assert answer["args"] == {"a": ["1", "2"], "b": ["x y"]}
    assert answer["headers"]["X-Custom"] == ["v"]
    assert answer["headers"]["Host"] == [f"{go}:{PORT}"]
    assert answer["method"] == "GET"
    assert answer["origin"] == "10.0.0.9"
    assert answer["url"] == f"http://{go}:{PORT}/get?a=1&a=2&b=x%20y"


def test_the_older_flavour_has_strings(classic: str) -> None:
    answer = get_json(classic, "/get?a=1&a=2&b=3", 8000, X_Custom="v", X_Forwarded_Proto="https")
    assert answer["args"] == {"a": ["1", "2"], "b": "3"}
    assert answer["headers"]["X-Custom"] == "v"
    assert set(answer) == {"args", "headers", "origin", "url"}
    assert answer["url"].startswith("https://")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_bodies(go: str, method: str) -> None:
    path = "/" + method.lower()
    answer = json.loads(ask(go, PORT, path, method, b'{"q": [1]}', {"Content-Type": "application/json"})[2])
    assert (answer["data"], answer["json"], answer["form"], answer["files"]) == ('{"q": [1]}', {"q": [1]}, {}, {})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = json.loads(ask(go, PORT, path, method, b"a=1&b=%C3%A4", form)[2])
    assert answer["form"] == {"a": ["1"], "b": ["ä"]}
    answer = json.loads(ask(go, PORT, path, method, b"\xff\0", {"Content-Type": "image/x"})[2])
    assert answer["data"] == "data:image/x;base64," + base64.b64encode(b"\xff\0").decode()
    assert ask(go, PORT, path)[0] == 405


def test_multipart(go: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    body = part % (b"x", b"", b"1") + part % (b"f", b'; filename="n.txt"', b"two\r\nlines") + b"--b--\r\n"
    kind = {"Content-Type": 'multipart/form-data; boundary="b"'}
    answer = json.loads(ask(go, PORT, "/post", "POST", body, kind)[2])
    assert answer["form"] == {"x": ["1"]}
    assert answer["files"] == {"f": ["two\r\nlines"]}
    assert ask(go, PORT, "/post", "POST", body, {"Content-Type": "multipart/form-data"})[0] == 400


def test_anything(go: str) -> None:
    status, _, body = ask(go, PORT, "/anything/a/b?c=d", "PROPFIND", b"x")
    answer = json.loads(body)
    assert status == 200
    assert (answer["method"], answer["data"], answer["args"]) == ("PROPFIND", "x", {"c": ["d"]})


@pytest.mark.parametrize("code", [200, 204, 304, 401, 404, 418, 429, 500, 503, 555])
def test_status(go: str, code: int) -> None:
    status, headers, _ = ask(go, PORT, f"/status/{code}", "POST")
    assert status == code
    assert ("www-authenticate" in headers) == (code == 401)


def test_status_by_chance(go: str) -> None:
    assert {ask(go, PORT, "/status/200,503")[0] for _ in range(50)} == {200, 503}
    assert {ask(go, PORT, "/status/200:1,503:0")[0] for _ in range(20)} == {200}


@pytest.mark.parametrize(
    "path",
    [
        "/status/x",
        "/status/99",
        "/status/",
        "/status/200:x",
        "/status/200:-1",
        "/delay/x",
        "/delay/nan",
        "/bytes/x",
        "/bytes/9999999999999999999999",
        "/redirect/x",
        "/redirect-to",
        "/redirect-to?url=/x&status_code=200",
        "/response-headers?a%20b=1",
        "/base64/%21%21",
        "/unstable?failure_rate=2",
        "/basic-auth/a",
    ],
)
def test_a_wrong_path_is_told(go: str, path: str) -> None:
    status, _, body = ask(go, PORT, path)
    assert status in {400, 401}
    assert "error" in json.loads(body) or status == 401


def test_redirects(go: str) -> None:
    def place(path: str) -> tuple[int, str]:
        status, headers, _ = ask(go, PORT, path)
        return status, headers["location"]

    assert place("/redirect/2") == (302, "/relative-redirect/1")
    assert place("/relative-redirect/1") == (302, "/get")
    assert place("/absolute-redirect/1") == (302, f"http://{go}:{PORT}/get")
    assert place("/redirect-to?url=http%3A%2F%2Fa%2Fb&status_code=307") == (307, "http://a/b")
    assert place("/status/301") == (301, "/redirect/1")


def test_authentication(go: str) -> None:
    word = base64.b64encode(b"u:p").decode()
    assert ask(go, PORT, "/basic-auth/u/p")[0] == 401
    assert ask(go, PORT, "/basic-auth/u/p", headers={"Authorization": "Basic ???"})[0] == 401
    answer = get_json(go, "/basic-auth/u/p", Authorization=f"Basic {word}")
    assert answer == {"authenticated": True, "user": "u", "authorized": True}
    assert ask(go, PORT, "/hidden-basic-auth/u/p")[0] == 404
    assert ask(go, PORT, "/bearer")[0] == 401
    assert get_json(go, "/bearer", Authorization="Bearer t") == {"authenticated": True, "token": "t"}


def test_response_headers_and_cookies(go: str) -> None:
    headers = ask(go, PORT, "/response-headers?x-a=1&Content-Type=text/plain")[1]
    assert (headers["x-a"], headers["content-type"]) == ("1", "text/plain")
    status, headers, _ = ask(go, PORT, "/cookies/set?a=1&b=2")
    assert status == 302
    assert headers.get_all("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert get_json(go, "/cookies", Cookie="a=1; b=2") == {"cookies": {"a": "1", "b": "2"}}


def test_bodies_of_many_kinds(go: str) -> None:
    assert len(ask(go, PORT, "/bytes/1000")[2]) == 1000
    assert ask(go, PORT, "/bytes/9?seed=1")[2] == ask(go, PORT, "/bytes/9?seed=1")[2]
    assert len(ask(go, PORT, "/stream-bytes/1000?chunk_size=10")[2]) == 1000
    assert [json.loads(line)["id"] for line in ask(go, PORT, "/stream/3")[2].splitlines()] == [0, 1, 2]
    assert json.loads(gzip.decompress(ask(go, PORT, "/gzip")[2]))["gzipped"] is True
    assert json.loads(zlib.decompress(ask(go, PORT, "/deflate")[2]))["deflated"] is True
    assert ask(go, PORT, "/base64/aGVsbG8=")[2] == b"hello"
    assert len(get_json(go, "/uuid")["uuid"]) == 36
    assert get_json(go, "/hostname") == {"hostname": "httpbin-v1-abc"}
    assert ask(go, PORT, "/drip?numbytes=3&duration=0.1&code=201")[::2] == (201, b"***")
    assert ask(go, PORT, "/delay/0.01")[0] == 200
    for page in ("/", "/html", "/robots.txt", "/deny", "/json", "/dump/request", "/headers", "/ip", "/user-agent"):
        assert ask(go, PORT, page)[0] == 200
    assert ask(go, PORT, "/nothing")[0] == 404


def test_conditions(go: str) -> None:
    assert ask(go, PORT, "/etag/a", headers={"If-None-Match": '"b", "a"'})[0] == 304
    assert ask(go, PORT, "/etag/a", headers={"If-Match": '"b"'})[0] == 412
    assert ask(go, PORT, "/etag/a")[1]["etag"] == '"a"'
    assert ask(go, PORT, "/cache", headers={"If-Modified-Since": "x"})[0] == 304
    assert ask(go, PORT, "/cache/60")[1]["cache-control"] == "public, max-age=60"


def test_other_origins_may_read(go: str) -> None:
    fields = {"Origin": "http://a", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-b"}
    status, headers, _ = ask(go, PORT, "/put", "OPTIONS", headers=fields)
    assert status == 200
    assert headers["access-control-allow-origin"] == "http://a"
    assert headers["access-control-allow-headers"] == "x-b"


def test_sigterm_lets_an_open_request_end() -> None:
    answers: list[tuple[int, str | None]] = []
    with running("httpbin", PORT) as (address, process):
        connection = http.client.HTTPConnection(address, PORT, timeout=30)
        connection.request("GET", "/drip?numbytes=5&duration=1")
        response = connection.getresponse()  # the head is here, the body is not

        def read() -> None:
            answers.append((len(response.read()), response.headers["content-length"]))

        thread = threading.Thread(target=read)
        thread.start()
        process.send_signal(signal.SIGTERM)
        thread.join(30)
        assert process.wait(30) == 0
        connection.close()
    assert answers == [(5, "5")]
