"""A store, its controllers on a clock that is moved by hand, and a machine whose pods do what a test says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from meshwright.controllers.controllers import Controllers, ControllerSettings
from meshwright.controllers.machine import MachineFacts
from meshwright.controllers.pod_status import Report
from meshwright.controllers.pod_status_writer import PodStatusWriter
from meshwright.controllers.resources import DEPLOYMENTS, EVENTS, NAMESPACES, PODS, REPLICA_SETS, SERVICES, meaning
from meshwright.controllers.world import Object
from meshwright.model.planned_pod import ContainerStatus, PodPhase, PodStatus
from meshwright.store.engine import Engine
from meshwright.store.names import Author, EpochMilliseconds, Json, Key, Resource, Uid
from meshwright.store.query import Query, Scope
from meshwright.store.sources import Sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.writes import Delete
from tests.store.memory import MemoryEngine

ANNA = Author("anna")
START = 1_800_000_000_000
NODE = "here"
SETTINGS = ControllerSettings(NODE, facts=MachineFacts("here", cpus=2, memory_kib=4096, architecture="amd64"))


@dataclass
class Clock:
    now: int = START
    _uids: "count[int]" = field(default_factory=lambda: count(1))
    _ends: "count[int]" = field(default_factory=lambda: count(1))

    def __call__(self) -> EpochMilliseconds:
        return EpochMilliseconds(self.now)

    def sources(self) -> Sources:
        return Sources(self, lambda: Uid(f"uid-{next(self._uids)}"), lambda: f"{next(self._ends):05d}")

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class Cluster:
    """What tests do to it is done as a user; `settle` lets the controllers finish."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.controllers = Controllers(store, clock, SETTINGS)
        self.statuses = PodStatusWriter(store, clock)

    def restart(self) -> None:
        """Other controllers, that know nothing."""
        self.controllers = Controllers(self.store, self.clock, SETTINGS)

    async def settle(self) -> None:
        await self.controllers.settle()

    async def all(self, resource: Resource, namespace: str | None = "default") -> list[Object]:
        page = await self.store.list(Query(Scope(resource, namespace)))
        return [Object.of(version) for version in page.items]

    async def get(self, key: Key) -> Object | None:
        version = await self.store.find(key)
        return Object.of(version) if version is not None else None

    async def there(self, key: Key) -> Object:
        return Object.of(await self.store.get(key))

    async def put(self, key: Key, value: Json) -> None:
        if await self.store.find(key) is None:
            await self.store.create(key, value, ANNA)
        else:
            await self.store.update(key, value, ANNA)

    async def change(self, key: Key, **spec: Any) -> None:
        thing = await self.there(key)
        await self.store.update(key, {**thing.value, "spec": {**thing.spec, **spec}}, ANNA)

    async def delete(self, key: Key, *finalizers: str, grace_seconds: int = 0) -> None:
        await self.store.transact([Delete(key, grace_seconds=grace_seconds, finalizers=finalizers)], ANNA)

    # ------------------------------------------------------------ the machine

    async def say(self, pod: Object, *, ready: bool, phase: PodPhase = PodPhase.RUNNING, restarts: int = 0) -> None:
        containers = (ContainerStatus("app", ready, restarts, "Running", pid=100 + restarts),)
        status = PodStatus(phase, ready, proxy_ready=False, containers=containers)
        self.statuses.set(pod.namespace, pod.name, Report(status, _address(pod)), pod.uid)
        await self.statuses.flush()

    async def run_pods(self, *, ready: bool = True) -> None:
        """All pods start, and those that are marked end."""
        for pod in await self.all(PODS, None):
            if pod.leaving:
                self.statuses.finish(pod.namespace, pod.name, pod.uid)
            elif not is_ready(pod) or not ready:
                await self.say(pod, ready=ready)
        await self.statuses.flush()

    async def roll(self, rounds: int = 40, *, ready: bool = True) -> None:
        """Controllers and machine take turns until nothing moves."""
        for _ in range(rounds):
            before = (await self.store.head()).revision
            await self.settle()
            await self.run_pods(ready=ready)
            if (await self.store.head()).revision == before:
                return
        raise AssertionError("it does not come to an end")


def _address(pod: Object) -> str:
    number = sum(pod.name.encode()) * 7 % 60_000
    return f"10.1.{number // 250}.{number % 250 + 1}"


def is_ready(pod: Object) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod.status.get("conditions", ()))


def scenario(*engines: str) -> Callable[[Callable[[Cluster], Awaitable[None]]], Callable[[str, Path], None]]:
    """A test that is handed a cluster; on "memory" and "sqlite", or only on the engines named."""

    def wrapped(test: Callable[[Cluster], Awaitable[None]]) -> Callable[[str, Path], None]:
        async def scene(kept: Engine) -> None:
            async with cluster(kept) as world:
                await world.settle()
                await test(world)

        def run(engine: str, tmp_path: Path) -> None:
            asyncio.run(scene(SqliteEngine(tmp_path / "store") if engine == "sqlite" else MemoryEngine()))

        return pytest.mark.parametrize("engine", engines or ("memory", "sqlite"))(run)

    return wrapped


@asynccontextmanager
async def cluster(engine: Engine | None = None) -> AsyncGenerator[Cluster]:
    clock = Clock()
    store = await Store.open(engine or MemoryEngine(), clock.sources(), None, meaning)
    try:
        yield Cluster(store, clock)
    finally:
        await store.close()


# ------------------------------------------------------------ objects


def deployment_key(name: str = "web", namespace: str = "default") -> Key:
    return Key(DEPLOYMENTS, namespace, name)


def template(image: str = "app:1", app: str = "web", **spec: Any) -> Json:
    container = {"name": "app", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def deployment(replicas: int = 3, image: str = "app:1", app: str = "web", **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": {"app": app}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": template(image, app),
            **spec,
        },
    }


def service(name: str = "web", **spec: Any) -> tuple[Key, Json]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    value = {"selector": {"app": "web"}, "ports": ports, **spec}
    return Key(SERVICES, "default", name), {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": value}


def namespace_key(name: str) -> Key:
    return Key(NAMESPACES, "", name)


async def sizes(world: Cluster) -> dict[str, int]:
    """Image -> pods asked for, of the ReplicaSets that ask for any."""
    found: dict[str, int] = {}
    for each in await world.all(REPLICA_SETS):
        if each.spec["replicas"]:
            found[image_of(each.spec["template"])] = each.spec["replicas"]
    return found


def image_of(pod_or_template: Json) -> str:
    return pod_or_template["spec"]["containers"][0]["image"]


def names(things: Iterable[Object]) -> list[str]:
    return [thing.name for thing in things]


async def reasons(world: Cluster, name: str) -> set[str]:
    """Of the Events about an object."""
    return {
        event.value["reason"] for event in await world.all(EVENTS) if event.value["involvedObject"]["name"] == name
    }
