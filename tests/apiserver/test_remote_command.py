"""Exec and attach over real WebSockets: bytes, exit codes, terminals, and clients that misbehave."""

import asyncio
import json
import logging
import os
import ssl
import struct
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import urlencode

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from meshwright.apiserver.channels import CLOSE, RESIZE, STATUS, STDERR, STDIN, STDOUT, V4, V5
from tests.apiserver.machine import LOST, HostPrograms, running_pod
from tests.apiserver.objects import Json, pods
from tests.apiserver.server import READER_TOKEN, Running, running

SECONDS = 30


@dataclass
class Here:
    """A server with one pod."""

    server: Running
    machine: HostPrograms

    @asynccontextmanager
    async def open(
        self, *argv: str, part: str = "exec", protocol: str = V5, token: str = "", **options: str
    ) -> AsyncGenerator[ClientConnection]:
        query = urlencode([*(("command", word) for word in argv), *options.items()])
        url = f"wss://127.0.0.1:{self.server.port}{pods('default', 'one')}/{part}?{query}"
        tls: ssl.SSLContext = self.server.tls
        async with websockets.connect(
            url,
            ssl=tls,
            additional_headers={"Authorization": f"Bearer {token or self.server.token}"},
            subprotocols=[websockets.Subprotocol(protocol)],
            compression=None,
            max_size=None,
            ping_interval=None,
        ) as socket:
            yield socket


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("remote")
    machine = HostPrograms(folder / "log")
    with running(folder, machine=machine) as server:
        running_pod(server.admin, "default", "one", app={"state": {"running": {}}}, late={"state": {"waiting": {}}})
        yield Here(server, machine)


async def heard(socket: ClientConnection) -> dict[int, bytes]:
    """All that comes on each channel until the server closes."""
    channels: dict[int, list[bytes]] = {}
    async for message in socket:
        assert isinstance(message, bytes)
        channels.setdefault(message[0], []).append(message[1:])
    assert socket.close_code == 1000
    return {channel: b"".join(pieces) for channel, pieces in channels.items()}


async def ran(here: Here, *argv: str, protocol: str = V5, **options: str) -> tuple[dict[int, bytes], Json]:
    async with asyncio.timeout(SECONDS), here.open(*argv, protocol=protocol, **options) as socket:
        said = await heard(socket)
    return said, json.loads(said[STATUS])


@pytest.mark.parametrize("protocol", [V5, V4])
def test_outputs_come_apart_and_the_exit_code_arrives(here: Here, protocol: str) -> None:
    said, status = asyncio.run(
        ran(here, "sh", "-c", "echo out; echo err >&2; exit 7", protocol=protocol, stdout="1", stderr="1")
    )
    assert (said[STDOUT], said[STDERR]) == (b"out\n", b"err\n")
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    _, status = asyncio.run(ran(here, "true", protocol=protocol, stdout="true"))
    assert status["status"] == "Success"


def test_large_binary_goes_both_ways_and_a_closed_stdin_ends_it(here: Here) -> None:
    sent = os.urandom(20_000_000)

    async def talk() -> bytes:
        async with (
            asyncio.timeout(SECONDS),
            here.open("cat", stdin="1", stdout="1") as socket,
            asyncio.TaskGroup() as tasks,
        ):
            reading = tasks.create_task(heard(socket))
            for start in range(0, len(sent), 1_000_000):
                await socket.send(bytes((STDIN,)) + sent[start : start + 1_000_000])
            await socket.send(bytes((CLOSE, STDIN)))
        return reading.result()[STDOUT]

    assert asyncio.run(talk()) == sent


def test_a_terminal_has_a_size_and_learns_new_ones(here: Here) -> None:
    script = "import os,sys,time\nsys.stdin.readline()\nprint(*os.get_terminal_size(), os.isatty(2), flush=True)"

    async def talk() -> bytes:
        async with (
            asyncio.timeout(SECONDS),
            here.open(sys.executable, "-c", script, tty="1", stdin="1", stdout="1") as socket,
        ):
            await socket.send(bytes((RESIZE,)) + b'{"Width":123,"Height":45}')
            await socket.send(bytes((RESIZE,)) + b"rubbish")
            await socket.send(bytes((STDIN,)) + b"go\n")
            return (await heard(socket))[STDOUT]

    assert b"123 45 True" in asyncio.run(talk())


def test_a_program_that_is_not_there_is_told(here: Here) -> None:
    _, status = asyncio.run(ran(here, "no-such-program", stdout="1"))
    assert status["reason"] == "InternalError"
    assert "no-such-program" in status["message"]


def test_a_program_that_is_lost_is_told(here: Here) -> None:
    said, status = asyncio.run(ran(here, "echo", LOST, stdout="1"))
    assert said[STDOUT] == b"lost\n"
    assert status["message"] == "Internal error occurred: the machine is gone"


def test_a_program_ends_when_its_client_goes(here: Here) -> None:
    async def talk() -> int:
        async with asyncio.timeout(SECONDS), here.open("sleep", "1000", stdout="1"):
            while not (alive := set(here.machine.started) - set(here.machine.ended)):
                await asyncio.sleep(0.01)
        [pid] = alive
        async with asyncio.timeout(SECONDS):
            while pid not in here.machine.ended:
                await asyncio.sleep(0.01)
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(talk()), 0)


def test_what_a_client_does_not_read_a_program_cannot_write(here: Here, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"import os\nn=0\nwhile True:\n  n+=os.write(1,b'x'*65536)\n  open({str(count)!r},'w').write(str(n))"

    async def talk() -> int:
        async with asyncio.timeout(SECONDS), here.open(sys.executable, "-c", script, stdout="1") as socket:
            seen = -1
            while (now := int((count.read_text() if count.exists() else "") or 0)) != seen or not now:
                seen = now
                await asyncio.sleep(0.5)
            socket.transport.abort()
            return seen

    assert asyncio.run(talk()) < 20_000_000, "buffers of the kernel and of one connection, no more"


def test_what_a_program_does_not_read_a_client_cannot_send(here: Here) -> None:
    async def talk() -> int:
        sent = 0
        async with asyncio.timeout(SECONDS), here.open("sleep", "1000", stdin="1", stdout="1") as socket:
            try:
                while True:
                    async with asyncio.timeout(1):
                        await socket.send(bytes(1_000_000))
                    sent += 1_000_000
            except TimeoutError:
                raw = socket.transport.get_extra_info("socket")
                raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # as a killed client with data to read
                socket.transport.abort()
        async with asyncio.timeout(SECONDS):
            while set(here.machine.started) - set(here.machine.ended):
                await asyncio.sleep(0.05)
        return sent

    assert asyncio.run(talk()) < 50_000_000


def test_attach_shows_what_comes_from_now_on(here: Here) -> None:
    here.machine.log.write_bytes(b"before\n")

    async def talk() -> bytes | str:
        async with asyncio.timeout(SECONDS), here.open(part="attach", container="app", stdout="1") as socket:
            await asyncio.sleep(0.3)
            with here.machine.log.open("ab") as log:
                log.write(b"after\n")
            return await socket.recv()

    assert asyncio.run(talk()) == bytes((STDOUT,)) + b"after\n"


@pytest.mark.parametrize(
    ("argv", "options", "status"),
    [
        (("ls",), {"stdout": "1", "container": "none"}, 400),
        (("ls",), {"stdout": "1", "container": "late"}, 400),
        (("ls",), {}, 400),
        ((), {"stdout": "1"}, 400),
        (("ls",), {"stdout": "1", "protocol": "v9.channel.k8s.io"}, 400),
        (("ls",), {"stdout": "1", "token": "wrong"}, 401),
        (("ls",), {"stdout": "1", "token": READER_TOKEN}, 403),
        ((), {"stdin": "1", "part": "attach"}, 400),
        (("ls",), {"stdout": "maybe"}, 400),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(
    here: Here, argv: tuple[str, ...], options: dict[str, str], status: int
) -> None:
    async def talk() -> websockets.exceptions.InvalidStatus:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with here.open(*argv, **options):
                pass
        return refused.value

    before = len(here.machine.started)
    response = asyncio.run(talk()).response
    assert response.status_code == status
    assert json.loads(response.body)["kind"] == "Status"
    assert len(here.machine.started) == before


def test_old_clients_hear_why_their_request_is_refused(here: Here) -> None:
    where = pods("default", "one") + "/exec?command=ls&stdout=true"
    assert "choose one of: [app late]" in here.server.admin.post(where + "&container=none", {}).json["message"]
    assert "needs a WebSocket" in here.server.admin.post(where, {}).json["message"]
    assert here.server.admin.post(pods("default", "none") + "/exec?command=ls&stdout=1", {}).status == 404
    assert here.server.reader.post(where, {}).status == 403


def test_a_refused_websocket_is_one_line_of_the_log_and_no_error(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    """What was asked for and why it was refused is in it; the command, which may hold a secret, is not."""
    url = f"wss://127.0.0.1:{here.server.port}{pods('default', 'nobody')}/exec?command=hush-hush&stdout=1"

    async def refused() -> None:
        head = {"Authorization": f"Bearer {here.server.token}"}
        v5 = websockets.Subprotocol(V5)
        async with websockets.connect(url, ssl=here.server.tls, additional_headers=head, subprotocols=[v5]):
            raise AssertionError("there is no such pod")

    with caplog.at_level(logging.DEBUG), pytest.raises(websockets.InvalidStatus) as told:
        asyncio.run(refused())
    assert told.value.response.status_code == 404
    ours = [each for each in caplog.records if not each.name.startswith(("websockets", "asyncio"))]
    [line] = [each for each in ours if each.levelno >= logging.INFO]
    assert (line.name, line.levelname) == ("meshwright.apiserver.application", "INFO")
    path = f"{pods('default', 'nobody')}/exec"
    message = 'pods "nobody" not found'
    assert line.getMessage() == f"404 for a WebSocket to {path!r}: {message!r}"
    assert not [each for each in ours if "hush-hush" in each.getMessage()]
