"""What the curl images start with, nc, fortio, and the lines that httpbin writes about requests."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

from meshwright.agent.program import finder
from meshwright.images import pilot_agent, tools
from meshwright.images.fortio import Load, Options, UsageError, report
from meshwright.images.netcat import Options as NetcatOptions
from meshwright.images.netcat import UsageError as NetcatError
from meshwright.wiring.commands import resolved
from tests.images.programs import ask, command, new_address, running


def run(module: str, *words: str, text: str = "", path: str | None = None) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": os.environ["PATH"] if path is None else path, "LANG": "C.UTF-8"}
    return subprocess.run(
        command(module, *words), input=text, capture_output=True, text=True, timeout=60, check=False, env=env
    )


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with running("tcpecho", 9000, "9000", "one") as (address, _):
        yield address


@pytest.fixture(scope="module")
def httpbin() -> Iterator[str]:
    with running("httpbin", 8080) as (address, _):
        yield address


# ------------------------------------------------------------ the entry point of the curl images
def test_a_program_runs_and_everything_else_is_curls() -> None:
    assert tools.words(["sh", "-c", "true"]) == ["sh", "-c", "true"]
    for words in (["-s", "http://reviews"], ["http://reviews"], ["--version"]):
        assert tools.words(words)[-len(words) :] == words
        assert "curl" in " ".join(tools.words(words)[: -len(words)])
    assert run("tools", "echo", "hi").stdout == "hi\n"
    assert "curl" in run("tools", "--version").stdout


def test_a_machine_without_the_programs_has_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert tools.words(["sleep", "1"])[1:] == ["-I", "-m", "meshwright.images.sleep", "1"]
    assert tools.words(["nc", "a", "1"])[1:] == ["-I", "-m", "meshwright.images.netcat", "a", "1"]
    assert tools.words(["-s", "x"])[1:] == ["-I", "-m", "meshwright.images.curl", "-s", "x"]
    assert run("tools", "sleep", "0.01", path="/nowhere").returncode == 0


# ------------------------------------------------------------ what shells find
@pytest.mark.parametrize(("name", "module"), tools.OURS.items())
def test_a_shell_on_a_machine_without_a_program_finds_ours(name: str, module: str) -> None:
    file = tools.FOLDER / name
    assert f"-m {module} " in file.read_text()
    env = {"PATH": str(tools.FOLDER), tools.INTERPRETER: sys.executable}
    done = subprocess.run(
        ["/bin/sh", "-c", f"{name} --no-such-option"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env,
    )
    assert done.returncode not in (0, 126, 127), "it was found and started"


def test_a_shell_talks_by_nc(echo: str) -> None:
    env = {"PATH": f"{os.environ['PATH']}:{tools.FOLDER}", tools.INTERPRETER: sys.executable}
    words = f"echo hello | nc -w 5 {echo} 9000"
    assert subprocess.check_output(["/bin/sh", "-c", words], text=True, timeout=60, env=env) == "one hello\n"


def test_a_program_of_ours_is_none_of_the_machine() -> None:
    path = f"/nowhere:{tools.FOLDER}"
    assert resolved(("nc", "a", "1"), path)[1:] == ("-I", "-m", "meshwright.images.netcat", "a", "1")
    assert not finder({"PATH": path})("nc")


# ------------------------------------------------------------ nc
def test_nc_sends_its_input_and_prints_what_is_answered(echo: str) -> None:
    done = run("netcat", echo, "9000", text="hello\nworld\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one hello\none world\n", "")
    assert run("netcat", "-vz", "-w", "2", echo, "9000").stderr == f"{echo} 9000 open\n"


def test_nc_without_an_answer_ends_in_time_or_says_why(echo: str) -> None:
    refused = run("netcat", echo, "9999")
    assert (refused.returncode, refused.stderr) == (1, f"nc: {echo} 9999: Connection refused\n")
    silent = new_address()
    with socket.create_server((silent, 9000)):
        assert run("netcat", "-w1", silent, "9000", text="hello\n").returncode == 0


@pytest.mark.parametrize("words", ["", "host", "host x", "host 0", "host 70000", "-l 90", "-w x host 80", "a b c"])
def test_nc_refuses_other_words(words: str) -> None:
    with pytest.raises(NetcatError):
        NetcatOptions(words.split())


# ------------------------------------------------------------ fortio
def test_fortio_counts_codes(httpbin: str) -> None:
    done = run("fortio", "load", "-c", "3", "-qps", "0", "-n", "20", "-loglevel", "Warning", f"{httpbin}:8080/get")
    assert done.returncode == 0, done.stderr
    assert "Code 200 : 20 (100.0 %)" in done.stdout
    assert re.search(r"^All done 20 calls .* qps$", done.stdout, re.MULTILINE)
    mixed = run("fortio", "load", "-n", "4", "-qps=100", f"http://{httpbin}:8080/status/503")
    assert "Code 503 : 4 (100.0 %)" in mixed.stdout
    nobody = run("fortio", "load", "-n", "2", "-qps", "0", f"http://{new_address()}:8080/")
    assert "Code  -1 : 2 (100.0 %)" in nobody.stdout


def test_fortio_keeps_its_rate_and_its_time(httpbin: str) -> None:
    load = Load(Options(["-qps", "50", "-t", "500ms", "-c", "4", f"http://{httpbin}:8080/get"]))
    seconds = load.run()
    assert sum(load.codes.values()) == 25, "a call every 20 ms for half a second"
    assert "Code 200 : 25 (100.0 %)" in report(load, seconds)


def test_fortio_curl_shows_head_and_body(httpbin: str) -> None:
    done = run("fortio", "curl", "-quiet", "-H", "X-A: b", f"http://{httpbin}:8080/get")
    head, _, body = done.stdout.partition("\n\n")
    assert head.splitlines()[0] == "HTTP/1.1 200"
    assert json.loads(body)["headers"]["X-A"] == ["b"]
    assert run("fortio", "curl", f"http://{httpbin}:8080/status/404").returncode == 1


def test_fortio_as_a_server_says_what_it_was_told() -> None:
    with running("fortio", 8080, "server") as (address, _):
        assert ask(address, 8080, "/", "POST", b"hello", {"Content-Type": "text/x"})[2] == b"hello"


@pytest.mark.parametrize("words", ["", "ftp://x", "a b", "-n x http://a", "-t 5x http://a", "-H x http://a"])
def test_fortio_refuses_other_words(words: str) -> None:
    with pytest.raises(UsageError):
        Load(Options(words.split()))


# ------------------------------------------------------------ lines about requests
def lines_of(*arguments: str) -> list[str]:
    """What a httpbin on port 8000 writes to standard output while it is asked twice."""
    address = new_address()
    env = {"PATH": os.environ["PATH"], "MESHWRIGHT_BIND_ADDRESS": address}
    piped = subprocess.PIPE
    with subprocess.Popen(command("httpbin", *arguments), env=env, stdout=piped, stderr=piped, text=True) as process:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        try:
            ask(address, 8000, "/headers?a=1", headers={"User-Agent": 'cu"rl'})
            ask(address, 8000, "/status/503")
        finally:
            process.terminate()
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return said.splitlines()


def test_gunicorn_tells_of_requests_where_it_is_asked_to() -> None:
    first, second = lines_of("--classic", "--access-logfile", "-", "-b", "0.0.0.0:8000", "httpbin:app")
    form = r"127\.[0-9.]+ - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    assert re.fullmatch(form + r'"GET /headers\?a=1 HTTP/1\.1" 200 \d+ "-" "cu\\"rl"', first)
    assert re.fullmatch(form + r'"GET /status/503 HTTP/1\.1" 503 \d+ "-" "-"', second)
    assert lines_of("--classic", "-b", "0.0.0.0:8000") == []


def test_go_httpbin_tells_of_every_request() -> None:
    first, second = lines_of("-port", "8000")
    assert re.match(r'time=\S+Z level=INFO msg="200 GET /headers [0-9.]+ms" status=200 method=GET ', first)
    assert 'uri="/headers?a=1"' in first
    assert "status=503" in second


# ------------------------------------------------------------ pilot-agent
def test_pilot_agent_asks_the_envoy_of_its_container(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    asked: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/admin.sock"
        listener.bind(path)
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\na: 1\n\r\n0\r\n\r\n")

        envoy = threading.Thread(target=answer)
        envoy.start()
        assert pilot_agent.ask("GET", "stats?filter=pending", path) == 0
        envoy.join()
    assert asked == [b"GET /stats?filter=pending HTTP/1.1"]
    assert capsysbinary.readouterr().out == b"a: 1\n"
    assert pilot_agent.ask("GET", "stats", "/nowhere.sock") == 1
    assert b"does not answer" in capsysbinary.readouterr().err


@pytest.mark.parametrize("words", ["", "request GET", "request DELETE stats", "wait"])
def test_pilot_agent_refuses_other_words(words: str) -> None:
    done = run("pilot_agent", *words.split())
    assert (done.returncode, done.stderr[:6]) == (2, "usage:")


def test_programs_of_images_are_found_for_exec() -> None:
    ours = [sys.executable, "-I", "-m"]
    assert list(resolved(("pilot-agent", "request", "GET", "stats"), "/nowhere")) == [
        *ours, "meshwright.images.pilot_agent", "request", "GET", "stats",
    ]  # fmt: skip
    assert list(resolved(("/usr/bin/fortio", "load"), "/nowhere")) == [*ours, "meshwright.images.fortio", "load"]
    assert resolved(("/bin/sh", "-c", "true")) == ("/bin/sh", "-c", "true")
    assert resolved(("no-such-program",)) == ("no-such-program",)
