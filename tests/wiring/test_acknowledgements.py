"""An order among proxies is kept by waiting; who cannot answer is not waited for. No test here looks at a clock."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.node.progress import ProxyProgress
from meshwright.wiring.acknowledgements import Acknowledgements

ONE, TWO = ProxyName("one.default"), ProxyName("two.default")
FOR_EVER = 1000.0  # seconds: a test that needs them fails by its own bound


@dataclass
class World:
    """Proxies that move when the test says so."""

    moved: Latest[int] = field(default_factory=lambda: Latest(0))
    published: Latest[Published] = field(default_factory=lambda: Latest(Published({}, {}, {}, change=1)))
    known: dict[ProxyName, ProxyProgress] = field(default_factory=dict[ProxyName, ProxyProgress])

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        return self.known

    def publish(self, change: int) -> None:
        self.published.set(Published({}, {}, {}, change=change))

    def set(self, name: ProxyName, change: int, *, connected: bool = True, stopped: bool = False) -> None:
        self.known[name] = ProxyProgress(connected, change, change, stopped=stopped)
        self.moved.set(self.moved.value + 1)


def run(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario(World())

    asyncio.run(bounded())


def test_everybody_who_answers_is_waited_for() -> None:
    async def scenario(world: World) -> None:
        waits = Acknowledgements(world, world.published, FOR_EVER)
        world.set(ONE, 1)
        world.set(TWO, 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(waits.wait())
            await asyncio.sleep(0)
            world.publish(2)  # what came later is not waited for
            await asyncio.sleep(0)
            assert not waiting.done()
            world.set(TWO, 1)
        assert waiting.result()

    run(scenario)


def test_who_is_stopped_or_absent_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        waits = Acknowledgements(world, world.published, FOR_EVER)
        world.set(ONE, 1)
        world.set(TWO, 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(waits.wait())
            await asyncio.sleep(0)
            assert not waiting.done()
            world.set(TWO, 0, stopped=True)
        assert waiting.result()
        assert await waits.wait()
        world.set(TWO, 0, connected=False)
        assert await waits.wait()
        assert waits.late == frozenset()

    run(scenario)
    assert [record.getMessage() for record in caplog.records] == ["two.default is stopped: nobody waits for it"]


def test_who_is_late_once_is_not_waited_for_until_it_keeps_up(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        waits = Acknowledgements(world, world.published, 0.01)
        world.set(ONE, 1)
        world.set(TWO, 0)
        assert not await waits.wait()
        assert waits.late == {TWO}
        world.publish(2)
        world.set(TWO, 1)  # it moves, and is behind the others all the same
        world.set(ONE, 2)
        assert await waits.wait()
        assert waits.late == {TWO}
        world.set(TWO, 2)
        assert await waits.wait()
        assert waits.late == frozenset()
        world.publish(3)
        world.set(ONE, 3)
        assert not await waits.wait(), "it is waited for again"

    run(scenario)
    assert "not waited for any longer, until they keep up: two.default" in caplog.text


def test_the_late_ones_that_have_gone_are_forgotten() -> None:
    async def scenario(world: World) -> None:
        waits = Acknowledgements(world, world.published, 0.01)
        world.set(TWO, 0)
        assert not await waits.wait()
        del world.known[TWO]
        assert await waits.wait()
        assert waits.late == frozenset()

    run(scenario)
