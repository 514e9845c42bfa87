"""The loop itself: it follows the store, wakes in time, begins anew when it is left behind, and ends when told."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from meshwright.controllers.controllers import Controllers
from meshwright.controllers.resources import DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, meaning
from meshwright.controllers.rollout import bounds
from meshwright.store.limits import Limits
from meshwright.store.names import Key
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from tests.controllers.cluster import ANNA, SETTINGS, Clock, Cluster, deployment, deployment_key, scenario, template
from tests.store.memory import MemoryEngine

HANG = 20
WEB = deployment_key()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(HANG):
        while not await holds():
            await asyncio.sleep(0.01)


async def _forever(controllers: Controllers, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(controllers.run())
        await stop.wait()
        running.cancel()


def test_it_runs_beside_writers_wakes_by_itself_and_ends_when_cancelled() -> None:
    async def scene() -> None:
        sources = system_sources()
        store = await Store.open(MemoryEngine(), sources, None, meaning)
        stop = asyncio.Event()
        world = Cluster(store, Clock())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_forever(Controllers(store, sources.now, SETTINGS), stop))
            await world.put(WEB, deployment(2, minReadySeconds=1))

            async def available() -> bool:
                await world.run_pods()
                return (await world.there(WEB)).status.get("availableReplicas") == 2

            world.clock.now = sources.now()
            await until(available)
            stop.set()
        await store.close()

    asyncio.run(scene())


def test_who_is_left_behind_begins_anew() -> None:
    async def scene() -> None:
        clock = Clock()
        store = await Store.open(
            MemoryEngine(), clock.sources(), Limits(events=10, window_events=2, pause_seconds=0), meaning
        )
        world = Cluster(store, clock)
        await world.settle()
        for number in range(60):
            await world.put(WEB, deployment(number % 3))
        await store.compact()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_forever(world.controllers, stop))

            async def made() -> bool:
                return len(await world.all(PODS)) == 2

            await until(made)
            stop.set()
        await store.close()

    asyncio.run(scene())


@scenario("memory")
async def test_controllers_make_no_entries_in_the_history(world: Cluster) -> None:
    before = (await world.store.head()).change
    await world.put(WEB, deployment())
    await world.roll()
    await world.change(WEB, template=template("app:2"))
    await world.roll()
    assert (await world.store.head()).change == before + 2, "both were Anna's"
    assert {change.author for change in await world.store.changes(2)} == {ANNA}
    taken_back = await world.store.revert([(await world.store.head()).change])
    assert taken_back.conflicts == ()
    await world.store.transact(taken_back.writes, ANNA)
    await world.roll()
    assert {pod.spec["containers"][0]["image"] for pod in await world.all(PODS)} == {"app:1"}


def test_a_marked_namespace_and_a_numbered_deployment_mean_the_same_as_bare_ones() -> None:
    space = {"kind": "Namespace", "metadata": {"name": "a", "labels": {"b": "c"}}}
    marked = {"kind": "Namespace", "metadata": {"name": "a", "labels": {"b": "c"}, "finalizers": ["kubernetes"]}}
    assert meaning(Key(NAMESPACES, "", "a"), space) == meaning(Key(NAMESPACES, "", "a"), marked)
    notes = {"annotations": {"deployment.kubernetes.io/revision": "3"}}
    numbered = {"metadata": notes, "spec": {"replicas": 1}}
    key = Key(DEPLOYMENTS, "default", "a")
    assert meaning(key, numbered) == meaning(key, {"metadata": {}, "spec": {"replicas": 1}})
    assert meaning(key, numbered) != meaning(key, {"metadata": {}, "spec": {"replicas": 2}})
    assert meaning(Key(REPLICA_SETS, "default", "a"), numbered) is None


@pytest.mark.parametrize(
    ("desired", "surge", "unavailable", "expected"),
    [
        (1, None, None, (2, 1)),
        (10, None, None, (13, 8)),
        (4, "25%", "25%", (5, 3)),
        (3, 0, 0, (3, 2)),
        (3, "0%", 2, (3, 1)),
        (0, 1, 1, (0, 0)),
        (2, 1, "100%", (3, 0)),
        (2, "1", "nonsense", (3, 2)),
    ],
)
def test_bounds_of_a_rollout(desired: int, surge: object, unavailable: object, expected: tuple[int, int]) -> None:
    found = bounds(desired, {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
    assert (found.most, found.least_available) == expected
