"""The window, who is woken, and conditions on their way: bounded, and cheap for those not concerned."""

import asyncio

from meshwright.store.engine import Place
from meshwright.store.hub import Hub
from meshwright.store.limits import Limits
from meshwright.store.names import EpochMilliseconds, Revision, Uid
from meshwright.store.query import Scope
from meshwright.store.store import Store
from meshwright.store.version import Body, Event, EventType, Version
from tests.store.memory import MemoryEngine
from tests.store.objects import ANNA, ROUTES, SERVICES, Chance, key, told, value


def event(revision: int, size: int = 10) -> Event:
    at = Revision(revision)
    version = Version(key(str(revision)), at, Uid("u"), Body(at, b"x" * size, {}))
    return Event(EventType.ADDED, version, None, EpochMilliseconds(0))


def kept(hub: Hub) -> int:
    """How many of the newest events it has."""
    everywhere = hub.channel(Place())
    return next(
        number
        for number in range(hub.revision + 1)
        if hub.since(Revision(hub.revision - number - 1), everywhere, 1) is None
    )


def test_the_window_is_bounded_by_count_and_by_size() -> None:
    hub = Hub(Revision(0), events=100, size=2_000)
    for number in range(1, 1_001):
        hub.publish([event(number)])
    assert kept(hub) == 100
    hub.publish([event(1_001, 1_500)])
    assert kept(hub) == 51
    hub.publish([event(1_002, 5_000)])
    assert kept(hub) == 1, "the last is always there"
    assert len(hub._events) < 250  # pyright: ignore[reportPrivateUsage]


def test_only_who_is_concerned_is_woken() -> None:
    async def scenario() -> None:
        hub = Hub(Revision(0), 10, 10_000)
        places = [
            Place(),
            Place(ROUTES),
            Place(ROUTES, "default"),
            Place(None, "default"),
            Place(SERVICES),
            Place(ROUTES, "other"),
        ]
        channels = [hub.channel(place) for place in places]
        assert hub.channel(Place(ROUTES)) is channels[1], "those of one place share it"
        waiters = [hub.waiter(channel) for channel in channels]
        hub.publish([event(1), event(2)])
        assert [waiter.done() for waiter in waiters] == [True, True, True, True, False, False]
        assert waiters[0].result() == 0, "everything up to there is read"
        assert [len(channel.waiters) for channel in channels] == [0, 0, 0, 0, 1, 1]
        channels.clear()
        assert not len(hub._channels), "what nobody watches is not kept"  # pyright: ignore[reportPrivateUsage]

    asyncio.run(scenario())


def test_a_bookmark_never_runs_ahead_of_an_event() -> None:
    async def scenario() -> None:
        store = await Store.open(MemoryEngine(), Chance().sources())
        watch = await store.watch(Scope(ROUTES))
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(watch.batch())
            await asyncio.sleep(0)
            await store.create(key("s", resource=SERVICES), value(), ANNA)
            assert watch.revision == 1
            await store.create(key("r"), value(), ANNA)
            await store.create(key("t", resource=SERVICES), value(), ANNA)
            assert not reading.done()
            assert watch.revision == 1, "it was woken, but has not given it yet"
        assert told(reading.result()) == [("ADDED", "r")]
        assert watch.revision == 3
        await store.close()

    asyncio.run(scenario())


def test_two_thousand_watchers_each_get_everything_once() -> None:
    async def scenario() -> None:
        store = await Store.open(MemoryEngine(), Chance().sources(), Limits(window_events=50))
        watches = [await store.watch(Scope(ROUTES)) for _ in range(2_000)]
        counts = [0] * len(watches)

        async def read(number: int) -> None:
            while counts[number] < 100:
                counts[number] += len(await watches[number].batch(7))

        async with asyncio.TaskGroup() as tasks:
            for number in range(len(watches)):
                tasks.create_task(read(number))
            for number in range(100):
                await store.create(key(str(number)), value(), ANNA)
                await asyncio.sleep(0)
        assert set(counts) == {100}
        await store.close()

    asyncio.run(scenario())
