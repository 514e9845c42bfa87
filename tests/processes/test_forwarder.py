"""The host forwarder carries bytes both ways, half-closed connections, resets, and refuses cleanly."""

import asyncio
import socket
import struct
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from meshwright.processes import state
from meshwright.processes.forwarder import Forwarder
from meshwright.processes.messages import BadRequest

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def forwarded(
    gateway: Conversation, listen: str = "127.0.0.1:0", *, announce: bool = False
) -> AsyncGenerator[tuple[Forwarder, str, int]]:
    """A forwarder before a gateway that talks like `gateway`; the forwarder, host and port."""
    with tempfile.TemporaryDirectory(prefix="mwf") as name:
        data = state.DataDirectory(Path(name))
        data.prepare()
        target = Path(name) / "gw.sock"
        server = await asyncio.start_unix_server(gateway, target)
        async with asyncio.TaskGroup() as group:
            forwarder = Forwarder(data, group)
            listen = await forwarder.forward(listen, str(target), announce=announce)
            host, _, port = listen.rpartition(":")
            try:
                yield forwarder, host.strip("[]"), int(port)
            finally:
                await forwarder.unforward(listen)
                server.close()


async def no_connections(forwarder: Forwarder) -> None:
    while forwarder.open_connections:
        await asyncio.sleep(0.01)


def test_large_transfer_both_ways_with_half_close() -> None:
    """The gateway answers only after the client's end of bytes, 8 MiB each way, and reads slowly."""

    async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: list[bytes] = []
        while piece := await reader.read(1 << 16):
            pieces.append(piece)
            await asyncio.sleep(0)
        writer.write(b"".join(pieces)[::-1])
        writer.write_eof()
        await writer.drain()
        writer.close()

    async def run() -> None:
        payload = bytes(range(256)) * (8 << 12)
        async with forwarded(reverse) as (forwarder, host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(payload)
            writer.write_eof()
            assert await reader.read() == payload[::-1]
            writer.close()
            await no_connections(forwarder)

    asyncio.run(run())


def test_a_fast_sender_is_slowed_down_by_a_slow_reader() -> None:
    """What is kept in between is bounded: the sender cannot send it all while nobody reads."""

    async def run() -> None:
        go = asyncio.Event()
        received = 0

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            await go.wait()
            while piece := await reader.read(1 << 20):
                received += len(piece)
            writer.close()

        async with forwarded(slow) as (forwarder, host, port):
            loop = asyncio.get_running_loop()
            with socket.create_connection((host, port)) as client:
                client.settimeout(0.0)
                sent, idle = 0, 0
                while idle < 20:
                    try:
                        sent += client.send(b"x" * 65_536)
                        idle = 0
                    except BlockingIOError:
                        idle += 1
                        await asyncio.sleep(0.02)
                    assert sent < 64 << 20, "somebody keeps everything"
                go.set()
                await loop.sock_sendall(client, b"end")
                client.shutdown(socket.SHUT_WR)
                assert await loop.sock_recv(client, 1) == b""
            assert received == sent + 3
            await no_connections(forwarder)

    asyncio.run(run())


def test_a_reset_passes_through_and_leaks_nothing() -> None:
    async def run() -> None:
        seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readexactly(5)
                await reader.read()
                seen.set_result("end")
            except OSError:
                seen.set_result("reset")
            finally:
                writer.close()

        async with forwarded(wait) as (forwarder, host, port):
            client = socket.create_connection((host, port))
            client.sendall(b"12345")
            await asyncio.sleep(0.1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert await seen in {"reset", "end"}
            await no_connections(forwarder)

    asyncio.run(run())


def test_a_gateway_that_closes_closes_the_client() -> None:
    async def farewell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async def run() -> None:
        async with forwarded(farewell) as (forwarder, host, port):
            reader, writer = await asyncio.open_connection(host, port)
            assert await reader.read() == b"bye"
            writer.close()
            await no_connections(forwarder)

    asyncio.run(run())


def test_no_gateway_is_a_clean_refusal_and_the_address_is_remembered() -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="mwf") as name:
            data = state.DataDirectory(Path(name))
            data.prepare()
            async with asyncio.TaskGroup() as group:
                forwarder = Forwarder(data, group)
                listen = await forwarder.forward("127.0.0.1:0", f"{name}/none.sock")
                reader, writer = await asyncio.open_connection("127.0.0.1", int(listen.rpartition(":")[2]))
                with suppress(ConnectionResetError):
                    assert await reader.read() == b"", "nobody is there who could have said something"
                writer.close()
                with suppress(ConnectionResetError):
                    await writer.wait_closed()
                await no_connections(forwarder)
                assert state.read_json(data.forwards) == {listen: {"target": f"{name}/none.sock", "announce": False}}
                with pytest.raises(BadRequest, match="is not an address"):
                    await forwarder.forward("nonsense", "/x")
                await forwarder.unforward(listen)
                assert state.read_json(data.forwards) == {}

    asyncio.run(run())


def test_a_busy_port_is_refused_with_its_owner() -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="mwf") as name, socket.create_server(("127.0.0.1", 0)) as taken:
            data = state.DataDirectory(Path(name))
            data.prepare()
            async with asyncio.TaskGroup() as group:
                forwarder = Forwarder(data, group)
                with pytest.raises(BadRequest, match=r"process \d+ has it: .*python"):
                    await forwarder.forward(f"127.0.0.1:{taken.getsockname()[1]}", "/x")

    asyncio.run(run())


@pytest.mark.parametrize(("listen", "source", "words"), [
    ("127.0.0.1:0", "127.0.0.9", "PROXY TCP4 127.0.0.9 127.0.0.1"),
    ("[::1]:0", "::1", "PROXY TCP6 ::1 ::1"),
], ids=["IPv4", "IPv6"])  # fmt: skip
def test_the_client_is_announced_before_its_first_byte(listen: str, source: str, words: str) -> None:
    async def run() -> None:
        async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read())
            writer.close()

        async with forwarded(read_all, listen, announce=True) as (forwarder, host, port):
            reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
            own = writer.get_extra_info("sockname")[1]
            writer.write(b"first")
            writer.write_eof()
            assert await reader.read() == f"{words} {own} {port}\r\nfirst".encode()
            writer.close()
            await no_connections(forwarder)

    asyncio.run(run())


def test_a_restarted_forwarder_announces_where_it_did_before() -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="mwf") as name:
            data = state.DataDirectory(Path(name))
            data.prepare()
            async with asyncio.TaskGroup() as group:
                first = Forwarder(data, group)
                listen = await first.forward("127.0.0.1:0", f"{name}/a.sock", announce=True)
                kept = state.read_json(data.forwards)
                assert kept == {listen: {"target": f"{name}/a.sock", "announce": True}}
                await first.unforward(listen)
                state.write_json(data.forwards, kept)
                second = Forwarder(data, group)
                await second.restore()
                assert state.read_json(data.forwards) == kept
                assert await second.forward(listen, f"{name}/a.sock") == listen, "the same address in the other way"
                assert state.read_json(data.forwards)[listen]["announce"] is False
                await second.unforward(listen)

    asyncio.run(run())


def test_an_address_leads_elsewhere_without_a_pause() -> None:
    """Connections come all the time while it is changed: none is refused, open ones stay where they are."""

    def speaker(word: bytes) -> Conversation:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readline():
                writer.write(word + b"\n")
            writer.close()

        return speak

    async def say(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
        streams[1].write(b"who\n")
        return await streams[0].readline()

    async def run() -> None:
        async with forwarded(speaker(b"old")) as (forwarder, host, port), asyncio.TaskGroup() as tasks:
            listen = f"{host}:{port}"
            with tempfile.TemporaryDirectory(prefix="mwf") as name:
                server = await asyncio.start_unix_server(speaker(b"new"), f"{name}/gw.sock")
                opened = await asyncio.open_connection(host, port)
                assert await say(opened) == b"old\n"
                heard: list[bytes] = []

                async def knock() -> None:
                    while heard[-20:] != [b"new\n"] * 20:
                        streams = await asyncio.open_connection(host, port)
                        heard.append(await say(streams))
                        streams[1].close()
                        await streams[1].wait_closed()

                knocking = tasks.create_task(knock())
                while not heard:
                    await asyncio.sleep(0)
                assert await forwarder.forward(listen, f"{name}/gw.sock") == listen
                await knocking
                assert set(heard) == {b"old\n", b"new\n"}
                assert await say(opened) == b"old\n"
                opened[1].close()
                await opened[1].wait_closed()
                await no_connections(forwarder)
                server.close()
                await asyncio.sleep(0.05)  # the gateways' ends close as well

    asyncio.run(run())
