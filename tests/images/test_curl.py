"""Our curl: outputs and exit codes that scripts rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshwright.images.curl_options import CurlError, body_of, parse
from meshwright.images.server import Request, Response, json_response
from tests.images.programs import command, new_address, running, serving, silent


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running("httpbin", 8080) as (address, _):
        yield f"http://{address}:8080"


def curl(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        command("curl", *words), env=variables, capture_output=True, text=True, check=False, timeout=50
    )


def test_prints_the_body(base: str) -> None:
    done = curl("-sS", f"{base}/base64/aGVsbG8=")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello", "")


def test_the_scheme_may_be_left_away(base: str) -> None:
    assert curl(base.removeprefix("http://") + "/base64/aGVsbG8=").stdout == "hello"


def test_writes_out(base: str, tmp_path: Path) -> None:
    form = r"%{http_code} %{size_download} %{num_redirects} %{content_type} %header{content-length} 100%%\n%{none}|"
    done = curl("-s", "-o", str(tmp_path / "body"), "-w", form, f"{base}/bytes/7")
    assert done.stdout == "200 7 0 application/octet-stream 7 100%\n|"
    assert (tmp_path / "body").stat().st_size == 7
    assert float(curl("-so", "/dev/null", "-w", "%{time_total}", base).stdout) > 0


def test_shows_heads(base: str) -> None:
    assert curl("-si", f"{base}/base64/aGVsbG8=").stdout.startswith("HTTP/1.1 200 OK\n")
    done = curl("-sI", f"{base}/get")
    assert done.stdout.startswith("HTTP/1.1 200 OK\n")
    assert done.stdout.endswith("\n\n")
    verbose = curl("-sv", f"{base}/get", "-H", "X-A: b").stderr
    assert "> GET /get HTTP/1.1\n" in verbose
    assert "> X-A: b\n" in verbose
    assert "< HTTP/1.1 200 OK\n" in verbose


def test_sends_data(base: str) -> None:
    sent = json.loads(curl("-s", "-d", "a=1", "--data-urlencode", "b=x y", f"{base}/post").stdout)
    assert sent["form"] == {"a": ["1"], "b": ["x y"]}
    words = ("-X", "PUT", "-H", "Content-Type: application/json", "--data-raw", "@x")
    sent = json.loads(curl("-s", *words, f"{base}/put").stdout)
    assert (sent["method"], sent["data"], sent["headers"]["Content-Type"]) == ("PUT", "@x", ["application/json"])
    sent = json.loads(curl("-s", "-G", "-d", "a=1", f"{base}/get?z=0").stdout)
    assert sent["args"] == {"z": ["0"], "a": ["1"]}
    sent = json.loads(curl("-s", "-F", "a=1", "-F", "f=@/etc/hostname", f"{base}/post").stdout)
    assert (sent["form"], list(sent["files"])) == ({"a": ["1"]}, ["f"])


def test_sends_fields(base: str) -> None:
    words = (
        "-A",
        "me",
        "-e",
        "http://r",
        "-b",
        "c=1",
        "-u",
        "u:p",
        "-H",
        "Host: other",
        "-H",
        "Accept:",
        "-H",
        "X-E;",
    )
    headers = json.loads(curl("-s", *words, f"{base}/headers").stdout)["headers"]
    assert headers["Host"] == ["other"]
    assert headers["User-Agent"] == ["me"]
    assert headers["Referer"] == ["http://r"]
    assert headers["Cookie"] == ["c=1"]
    assert headers["Authorization"] == ["Basic dTpw"]
    assert headers["X-E"] == [""]
    assert "Accept" not in headers


def test_follows_redirects(base: str) -> None:
    form = "%{http_code} %{num_redirects} %{url_effective}"
    assert curl("-sLo", "/dev/null", "-w", form, f"{base}/redirect/3").stdout == f"200 3 {base}/get"
    assert curl("-so", "/dev/null", "-w", "%{redirect_url}", f"{base}/redirect/1").stdout == f"{base}/get"
    assert curl("-sL", "--max-redirs", "2", f"{base}/redirect/3").returncode == 47
    sent = json.loads(curl("-sL", "-d", "a=1", f"{base}/redirect-to?url=/anything&status_code=303").stdout)
    assert (sent["method"], sent["data"]) == ("GET", "")
    sent = json.loads(curl("-sL", "-d", "a=1", f"{base}/redirect-to?url=/anything&status_code=307").stdout)
    assert (sent["method"], sent["form"]) == ("POST", {"a": ["1"]})


def test_decompresses(base: str) -> None:
    assert json.loads(curl("-s", "--compressed", f"{base}/gzip").stdout)["gzipped"] is True


def test_exit_codes(base: str) -> None:
    failed = curl("-fsS", f"{base}/status/404")
    assert (failed.returncode, failed.stdout) == (22, "")
    assert failed.stderr == "curl: (22) The requested URL returned error: 404\n"
    assert curl("-s", f"{base}/status/404").returncode == 0
    assert curl("-s", "http://no.such.host.invalid/").returncode == 6
    refused = curl("-s", "-w", "%{http_code} %{exitcode}", f"http://{new_address()}:9/")
    assert (refused.returncode, refused.stdout, refused.stderr) == (7, "000 7", "")
    assert curl("-s", "-m", "0.2", f"{base}/delay/1").returncode == 28
    assert curl("ftp://x/").returncode == 1
    assert curl("http://x:y/").returncode == 3
    assert curl("--no-such-option", base).returncode == 2
    assert curl().returncode == 2
    assert curl("-so", "/no/such/folder/x", f"{base}/get").returncode == 23


def test_a_server_that_says_nothing() -> None:
    with silent() as (address, accepted):
        process = subprocess.Popen(command("curl", f"http://{address}:9080/"), stderr=subprocess.PIPE, env={})
        while not accepted:
            assert process.poll() is None
        accepted[0].recv(65536)
        accepted[0].close()
        errors = process.communicate(timeout=30)[1]
        assert process.returncode == 52
    assert b"(52) Empty reply from server" in errors


def test_retries() -> None:
    statuses = [503, 503, 200]

    def answer(_: Request) -> Response:
        return json_response(statuses.pop(0), "x")

    with serving(answer) as (host, port):
        words = ("--retry", "3", "--retry-delay", "0.01", "-w", "%{http_code}", "-o", "/dev/null")
        assert curl("-s", *words, f"http://{host}:{port}/").stdout == "200"


def test_goes_where_it_is_told(base: str) -> None:
    address = base.removeprefix("http://").partition(":")[0]
    done = curl("-s", "--resolve", f"shop.example:8080:{address}", "http://shop.example:8080/headers")
    assert json.loads(done.stdout)["headers"]["Host"] == ["shop.example:8080"]
    done = curl("-s", "--connect-to", f"shop.example:80:{address}:8080", "http://shop.example/headers")
    assert json.loads(done.stdout)["headers"]["Host"] == ["shop.example"]


def test_honours_proxies(base: str) -> None:
    for done in (curl("-s", "-x", base, "http://shop/get"), curl("-s", "http://shop/get", http_proxy=base)):
        assert json.loads(done.stdout)["url"] == "http://shop/get"
    assert curl("-s", "--noproxy", "*", f"{base}/uuid", http_proxy="http://127.0.0.1:9").returncode == 0


def test_stops_when_its_reader_does(base: str) -> None:
    process = subprocess.Popen(command("curl", "-s", f"{base}/bytes/90000"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) in {0, 23}


def test_https(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop.example -days 2"
    words = [*make.split(), "-addext", "subjectAltName=DNS:shop.example", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    server = subprocess.Popen(
        [sys.executable, "-c", TLS_SERVER, str(cert), str(key), new_address()], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address, port = server.stdout.readline().split()
        place = ("--resolve", f"shop.example:{port}:{address}", f"https://shop.example:{port}/")
        assert curl("-s", *place).returncode == 60
        assert curl("-s", "--cacert", str(cert), *place).stdout == "secret"
        assert curl("-sk", *place).stdout == "secret"
        assert curl("-s", "--cacert", str(tmp_path / "none"), *place).returncode == 77
        server.stdout.close()
    finally:
        server.terminate()
        server.wait(10)


TLS_SERVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server((sys.argv[3], 0))
print(*listener.getsockname(), flush=True)
while True:
    connection, _ = listener.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nsecret")
    except OSError:
        pass
"""


def test_option_parsing() -> None:
    options = parse(["-sSLo", "f", "-H", "a: b", "-Ha:c", "-XPUT", "--url", "u2", "--no-silent", "u1", "--", "-u3"])
    assert options.urls == ["u1", "-u3", "u2"]
    assert options.flags == {"show-error", "location"}
    assert options.all("header") == ["a: b", "a:c"]
    assert (options.last("output"), options.last("request")) == ("f", "PUT")
    with pytest.raises(CurlError):
        parse(["-o"])
    assert body_of(parse(["-d", "a", "-d", "b"])) == (b"a&b", "application/x-www-form-urlencoded")
    assert body_of(parse(["--json", "{}"])) == (b"{}", "application/json")
    assert body_of(parse(["u"])) == (None, "")
