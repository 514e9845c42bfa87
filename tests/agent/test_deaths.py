"""kill -9 of agent, Envoy and holder: what goes on, and what is mended."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace

import uvloop

from meshwright.agent.control_client import stop
from meshwright.agent.http_client import HttpError
from meshwright.agent.settings import Rung
from meshwright.processes.holder_client import HolderClient, ProcessInfo
from tests.agent.mesh import Holder, get, holder, mesh, pod


@contextlib.asynccontextmanager
async def agent_process(one: Holder, last: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.agent.agent_main", str(one.data), one.rung, str(last),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def running(one: Holder) -> set[ProcessInfo]:
    return {process for process in (await one.inventory()).processes if process.exit is None}


async def load(one: Holder, enough: asyncio.Event, answers: list[int]) -> None:
    """Requests from p2 to p3, each on a connection of its own, until told otherwise."""
    while not enough.is_set():
        try:
            answers.append((await get(one, "p2", "10.244.0.3")).status)
        except (OSError, HttpError) as error:
            print(error)
            answers.append(0)


async def grow(answers: list[int], by: int) -> None:
    wanted = len(answers) + by
    while len(answers) < wanted:
        await asyncio.sleep(0.01)


def test_kill_9_of_the_agent_loses_no_request_and_the_next_one_restarts_nothing() -> None:
    async def scenario() -> None:
        answers: list[int] = []
        enough = asyncio.Event()
        async with holder(Rung.ROOT) as one, asyncio.TaskGroup() as tasks:
            async with agent_process(one, 3) as first:
                assert await heard(first) == "adopted 0"
                assert await heard(first) == "ready"
                before = await running(one)
                tasks.create_task(load(one, enough, answers))
                await grow(answers, 50)
                first.send_signal(signal.SIGKILL)
                await first.wait()
            await grow(answers, 50)
            async with agent_process(one, 3) as second:
                assert await heard(second) == "adopted 2"
                assert await heard(second) == "ready"
                await grow(answers, 50)
                assert await running(one) == before
                enough.set()
                await stop(one.data)
                await second.wait()
            assert await running(one) == set()
        assert set(answers) == {200}

    uvloop.run(scenario())


def test_an_agent_that_comes_back_to_another_wish_ends_what_is_not_wanted_any_more() -> None:
    async def scenario() -> None:
        async with holder(Rung.ROOT) as one:
            async with agent_process(one, 3) as first:
                assert await heard(first) == "adopted 0"
                assert await heard(first) == "ready"
                first.send_signal(signal.SIGKILL)
                await first.wait()
            async with agent_process(one, 2) as second:
                assert await heard(second) == "adopted 1"
                async with asyncio.timeout(20):
                    while {process.pod for process in await running(one)} != {"p2.demo"}:
                        await asyncio.sleep(0.02)
                await stop(one.data)
                await second.wait()

    uvloop.run(scenario())


async def kill(client: HolderClient, name: str, process: str) -> None:
    handle = await client.pidfd(name, process)
    assert handle.pid is not None
    os.kill(handle.pid, signal.SIGKILL)
    os.close(handle.pidfd)


def test_kill_9_of_one_envoy_is_mended_and_the_application_goes_on() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("p2", 2), pod("p3", 3))
            await m.wired.ready("p2", "p3")
            before = await running(m.holder)
            async with m.holder.client() as client:
                await kill(client, "p3.demo", "istio-proxy")
            await m.wired.until(lambda: (s := m.wired.status("p3")) is not None and not s.ready)
            await m.wired.ready("p3")
            assert (await m.get("p2", "10.244.0.3")).status == 200
            after = await running(m.holder)
            [fresh] = after - before
            assert (fresh.pod, fresh.name) == ("p3.demo", "istio-proxy")
            assert len(before - after) == 1

    uvloop.run(scenario())


def test_kill_9_of_the_holder_is_mended_by_the_next_one() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("p2", 2), pod("p3", 3))
            await m.wired.ready("p2", "p3")
            await m.holder.kill(signal.SIGKILL)
            await m.wired.until(
                lambda: all((s := m.wired.status(n)) is not None and not s.ready for n in ("p2", "p3"))
            )
            await m.holder.start()
            await m.wired.ready("p2", "p3")
            assert (await m.get("p2", "10.244.0.3")).status == 200

    uvloop.run(scenario())


def test_kill_9_of_the_holder_while_the_wish_changes() -> None:
    """Whoever brings changes to the holder meets its end before the link does, and has to leave it time for that."""

    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("p2", 2), pod("p3", 3))
            await m.wired.ready("p2", "p3")
            desired = m.wired.agent.desired
            await m.holder.kill(signal.SIGKILL)
            for number in range(40):
                desired.set(replace(desired.value, services=(("240.240.7.7:80", (f"10.244.0.{number}:80",)),)))
                await asyncio.sleep(0.005)
            await m.holder.start()
            await m.wired.ready("p2", "p3")
            assert (await m.get("p2", "10.244.0.3")).status == 200

    uvloop.run(scenario())


def test_the_mesh_can_end_while_the_holder_is_gone() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("p2", 2))
            await m.wired.ready("p2")
            await m.holder.kill(signal.SIGKILL)
            async with asyncio.timeout(20):
                await m.wired.agent.stop()

    uvloop.run(scenario())
