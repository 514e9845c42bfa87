"""helloworld, tcpecho, sleep."""

import signal
import socket
import subprocess

import pytest

from meshwright.images.sleep import seconds
from tests.images.programs import ask, command, running


def test_helloworld() -> None:
    variables = {"SERVICE_VERSION": "v2", "HOSTNAME": "helloworld-v2-abc"}
    with running("helloworld", 5000, env=variables) as (address, _):
        assert ask(address, 5000, "/hello")[2] == b"Hello version: v2, instance: helloworld-v2-abc\n"
        assert ask(address, 5000, "/health")[0] == 200
        assert ask(address, 5000, "/other")[0] == 404


def test_tcpecho_answers_lines_on_every_port() -> None:
    with running("tcpecho", 9001, "9000,9001", "one") as (address, _):
        for port in (9000, 9001):
            with socket.create_connection((address, port), 20) as connection:
                connection.sendall(b"hello\nwor")
                assert connection.recv(100) == b"one hello\n"
                connection.sendall(b"ld\nrest")
                connection.shutdown(socket.SHUT_WR)
                received = b""
                while piece := connection.recv(100):
                    received += piece
                assert received == b"one world\none rest\n"


def test_tcpecho_ends_with_open_connections() -> None:
    with running("tcpecho", 9000, "9000", "two") as (address, process):
        with socket.create_connection((address, 9000), 20) as connection:
            connection.sendall(b"a\n")
            assert connection.recv(100) == b"two a\n"
            process.send_signal(signal.SIGTERM)
            assert connection.recv(100) == b""
        assert process.wait(30) == 0


@pytest.mark.parametrize("arguments", [[], ["9000"], ["x", "one"], ["70000", "one"]])
def test_tcpecho_refuses_other_arguments(arguments: list[str]) -> None:
    done = subprocess.run(command("tcpecho", *arguments), capture_output=True, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("0.5", 0.5), ("2m", 120), ("1d", 86400)])
def test_sleep_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "1w"])
def test_sleep_refuses_other_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        seconds(text)


def test_sleep_sleeps_and_ends() -> None:
    assert subprocess.run(command("sleep", "0.01", "0s"), check=False).returncode == 0
    assert subprocess.run(command("sleep", "long"), check=False, capture_output=True).returncode == 1
    assert subprocess.run(command("sleep"), check=False, capture_output=True).returncode == 1
    process = subprocess.Popen(command("sleep", "infinity"))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in {0, -signal.SIGTERM}
