"""Whatever pods do and whenever controllers are started anew: no step takes too much away, and all ends well."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.controllers.resources import NAMESPACES, PODS, REPLICA_SETS
from meshwright.controllers.rollout import bounds
from meshwright.controllers.world import Object
from meshwright.model.planned_pod import PodPhase
from meshwright.store.names import Key
from meshwright.store.query import Scope
from meshwright.store.version import Event
from meshwright.store.watch import Watch
from tests.controllers.cluster import (
    Cluster,
    cluster,
    deployment,
    deployment_key,
    image_of,
    is_ready,
    namespace_key,
    service,
    sizes,
    template,
)

WEB = deployment_key()
EXAMPLES = settings(max_examples=60, deadline=None)
ACTIONS = ("step", "step", "step", "see", "settle", "start", "start", "stop", "fail", "end", "template", "restart")
STRATEGIES = st.tuples(
    st.sampled_from((0, 1, 2, "25%", "50%", "100%")), st.sampled_from((0, 1, 2, "25%", "50%", "100%"))
)
MOVES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), min_size=10, max_size=80)


@dataclass
class Witness:
    """Follows the store and checks each pod that is taken away, as the store was at that moment."""

    least: int
    watch: Watch
    pods: dict[Key, Object] = field(default_factory=dict[Key, Object])

    async def look(self, world: Cluster) -> None:
        head = (await world.store.head()).revision
        while self.watch.revision < head:
            for event in await self._batch():
                self._see(event)

    async def _batch(self) -> list[Event]:
        try:
            async with asyncio.timeout(0.01):
                return list(await self.watch.batch())
        except TimeoutError:
            return []

    def _see(self, event: Event) -> None:
        after = Object.of(event.version)
        before = self.pods.get(after.key)
        self.pods[after.key] = after
        if before is not None and serves(before) and after.leaving:
            left = sum(map(serves, self.pods.values()))
            assert left >= self.least, f"{after.name} was taken away and {left} are left of {self.least}"


def serves(pod: Object) -> bool:
    return is_ready(pod) and not pod.leaving


async def act(world: Cluster, move: tuple[str, int]) -> None:
    action, number = move
    match action:
        case "step":
            await world.controllers.step()
        case "see":
            await world.controllers.catch_up()
        case "settle":
            await world.settle()
        case "template":
            await world.change(WEB, template=template(f"app:{number % 4}"))
        case "restart":
            world.restart()
        case _:
            await act_on_pod(world, action, number)


async def act_on_pod(world: Cluster, action: str, number: int) -> None:
    world.clock.pass_seconds(1)
    pods = [pod for pod in await world.all(PODS) if pod.leaving is (action == "end")]
    if not pods:
        return
    pod = pods[number % len(pods)]
    match action:
        case "end":
            world.statuses.finish(pod.namespace, pod.name, pod.uid)
            await world.statuses.flush()
        case "fail":
            await world.say(pod, ready=False, phase=PodPhase.FAILED)
        case _:
            if pod.status.get("phase") != "Failed":
                await world.say(pod, ready=action == "start")


@EXAMPLES
@given(replicas=st.integers(1, 6), strategy=STRATEGIES, moves=MOVES)
def test_a_rolling_update_never_takes_away_more_than_may_be_missing(
    replicas: int, strategy: tuple[int | str, int | str], moves: list[tuple[str, int]]
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": strategy[0], "maxUnavailable": strategy[1]}}

    async def scene() -> None:
        async with cluster() as world:
            await world.put(WEB, deployment(replicas, strategy=rolling))
            await world.roll()
            least = bounds(replicas, rolling).least_available
            witness = Witness(least, await world.store.watch(Scope(PODS)))
            witness.pods = {pod.key: pod for pod in await world.all(PODS)}
            await world.change(WEB, template=template("app:9"))
            for move in moves:
                await act(world, move)
                await witness.look(world)
            await world.change(WEB, template=template("app:end"))
            await world.roll(200)
            await witness.look(world)
            await check_end(world, replicas)

    asyncio.run(scene())


async def check_end(world: Cluster, replicas: int) -> None:
    assert await sizes(world) == {"app:end": replicas}
    running = [pod for pod in await world.all(PODS) if pod.status.get("phase") == "Running"]
    assert [image_of(pod.value) for pod in running] == ["app:end"] * replicas
    assert (await world.there(WEB)).status["availableReplicas"] == replicas


CHANGES = ("template", "scale", "drop set", "drop pod", "foreign pod", "service", "space", "drop space")
USES = st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=12)


async def use(world: Cluster, change: str, number: int) -> None:
    match change:
        case "template":
            await world.change(WEB, template=template(f"app:{number}"))
        case "scale":
            await world.change(WEB, replicas=number)
        case "drop set" | "drop pod":
            found = await world.all(REPLICA_SETS if change == "drop set" else PODS)
            found = [thing for thing in found if thing.controller is not None]
            if found:
                await world.delete(found[number % len(found)].key)
        case "foreign pod":
            await world.put(Key(PODS, "default", f"lone-{number}"), {"apiVersion": "v1", "kind": "Pod", **template()})
        case "service":
            await world.put(*service(publishNotReadyAddresses=number % 2 == 0))
        case _:
            await use_space(world, number, drop=change == "drop space")


async def use_space(world: Cluster, number: int, *, drop: bool) -> None:
    """A namespace that goes is waited for: whether a new one can be made must not depend on the steps so far."""
    side = await world.get(namespace_key("side"))
    if side is not None and side.leaving:
        await world.roll(200)
        side = None
    if side is not None and drop:
        await world.delete(side.key, "kubernetes")
    elif side is None and not drop:
        await world.put(namespace_key("side"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {}})
        await world.put(deployment_key("web", "side"), deployment(number))


@EXAMPLES
@given(uses=USES)
def test_controllers_that_are_started_anew_after_any_step_come_to_the_same_end(
    uses: list[tuple[str, int, int]],
) -> None:
    """The number of steps between two starts is chosen, too; what is compared is what users can see."""

    async def scene(*, restarts: bool) -> list[object]:
        async with cluster() as world:
            await world.put(WEB, deployment(2))
            await world.settle()
            for change, number, steps in uses:
                await use(world, change, number)
                if restarts:
                    world.restart()
                    await world.controllers.catch_up()
                    for _ in range(steps):
                        await world.controllers.step()
                    world.restart()
            await use(world, "template", 9)
            await world.roll(200)
            return await seen(world)

    with asyncio.Runner() as runner:
        ends = [runner.run(scene(restarts=restarts)) for restarts in (False, True)]
    assert ends[0] == ends[1]


async def seen(world: Cluster) -> list[object]:
    images = sorted((pod.namespace, image_of(pod.value)) for pod in await world.all(PODS, None))
    spaces = [thing.name for thing in await world.all(NAMESPACES, None)]
    return [images, await sizes(world), spaces, (await world.there(WEB)).status.get("availableReplicas")]
