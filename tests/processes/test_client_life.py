"""A question to a process that is stopped or stuck ends, and tells whether it was asked."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from meshwright.processes.client import Disconnected, RemoteError, Unanswered, answer_of
from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.server import Answer, Connection, Server

PATIENCE = 0.3


@contextlib.asynccontextmanager
async def serving(path: Path, stuck: asyncio.Event) -> AsyncGenerator[None]:
    """`slow` answers after a while, `never` not at all; while `stuck` is set nothing answers."""
    over = asyncio.Event()

    async def handle(connection: Connection, operation: str, fields: Fields) -> Answer:
        del connection, fields
        if stuck.is_set():
            await over.wait()
        match operation:
            case "slow":
                await asyncio.sleep(4 * PATIENCE)
                return {"done": True}, []
            case "never":
                stuck.set()
                await over.wait()
            case _:
                pass
        raise BadRequest("no such operation", "unknown-operation")

    async with asyncio.TaskGroup() as tasks:
        server = tasks.create_task(Server(path, handle).serve(tasks))
        while not path.exists():
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            over.set()
            server.cancel()


def test_a_slow_answer_is_waited_for_and_a_stuck_process_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        path, stuck = tmp_path / "s", asyncio.Event()
        async with serving(path, stuck):
            result, _ = await answer_of(path, "slow", {}, PATIENCE)
            assert result.values == {"done": True}
            with pytest.raises(RemoteError, match="no such operation"):
                await answer_of(path, "unknown", {}, PATIENCE)
            with pytest.raises(Unanswered) as raised:
                await answer_of(path, "never", {}, PATIENCE)
            assert raised.value.asked
            with pytest.raises(Unanswered) as raised:
                await answer_of(path, "slow", {}, PATIENCE)
            assert not raised.value.asked

    asyncio.run(main())


def test_nobody_is_not_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(Disconnected):
            await answer_of(tmp_path / "nobody", "x", {}, PATIENCE)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "stopped"))
            listening.listen()  # the kernel takes connections, and nobody is behind it
            with pytest.raises(Unanswered, match="stopped or stuck"):
                await answer_of(tmp_path / "stopped", "x", {}, PATIENCE)

    asyncio.run(main())


def test_who_goes_in_the_middle_is_told_apart(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line: dict[str, Any] = json.loads(await reader.readline())
        if line["op"] == "ping":
            writer.write(json.dumps({"id": line["id"], "result": {}}).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(hang_up, str(tmp_path / "s"))
        with pytest.raises(Disconnected) as raised:
            await answer_of(tmp_path / "s", "x", {}, 5.0)
        assert not isinstance(raised.value, Unanswered)
        server.close()

    asyncio.run(main())
