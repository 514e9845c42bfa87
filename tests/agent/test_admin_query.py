"""What may be asked of an Envoy's admin interface, and answers of every form."""

import asyncio
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshwright.agent.admin_query import answer_of, checked
from meshwright.processes.messages import BadRequest


@pytest.mark.parametrize(
    "target", ["/config_dump?include_eds", "/clusters?format=json", "/certs", "/listeners", "/server_info"]
)
def test_reading_is_a_get(target: str) -> None:
    assert checked(target).method == "GET"


def test_levels_are_the_only_thing_that_changes() -> None:
    assert checked("/logging?paths=http:debug,rbac:trace").method == "POST"


@pytest.mark.parametrize(
    "target",
    [
        "/quitquitquit",
        "/drain_listeners",
        "/healthcheck/fail",
        "/runtime_modify?x=y",
        "/logging/../quitquitquit",
        "/certs HTTP/1.1\r\nHost: x\r\n\r\nPOST /quitquitquit",
        "/clusters?a b",
        "/config_dump?" + "x" * 2000,
        "",
    ],
)
def test_nothing_else(target: str) -> None:
    with pytest.raises(BadRequest):
        checked(target)


@contextmanager
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="mwq") as name:
        yield Path(name)


def asked(answer: bytes) -> tuple[int, bytes]:
    """What `answer_of` makes of this answer."""

    async def run(path: Path) -> tuple[int, bytes]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(serve, path):
            status, body = await answer_of(path, "/certs")
        with os.fdopen(body, "rb") as file:
            return status, file.read()

    with folder() as place:
        return asyncio.run(run(place / "s"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ],
)
def test_bodies_of_every_form(answer: bytes) -> None:
    assert asked(answer) == (200, b"hello")


def test_a_large_answer_comes_whole() -> None:
    size = 3_000_000
    body = b"0123456789" * (size // 10)
    assert asked(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (size, body)) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_answers_are_told(answer: bytes) -> None:
    with pytest.raises(BadRequest, match="does not answer"):
        asked(answer)


def test_nobody_there() -> None:
    with folder() as place, pytest.raises(BadRequest, match="does not answer"):
        asyncio.run(answer_of(place / "none", "/certs"))
