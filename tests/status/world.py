"""A mesh without processes: a real store, compiler and receipts, and simulated proxies."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.proxy import Interception
from meshwright.model.published import EncodedResource, Published
from meshwright.node.progress import ProxyProgress
from meshwright.status.mesh_status import MeshStatus
from meshwright.store.history import whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Json, Key, Resource
from meshwright.store.query import Query, Scope
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.wiring.analysis import Analysis
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.machine import Machine
from meshwright.wiring.receipts import Receipts
from meshwright.wiring.seeding import seed
from meshwright.wiring.status_view import StatusView
from meshwright.wiring.store_follower import StoreFollower
from meshwright.xds.session import Complaint
from tests.store.memory import MemoryEngine

ME = Author("test")
RULES = Resource("networking.istio.io", "virtualservices")
EVENTS = Resource("", "events")
Refuses = Callable[[EncodedResource], str]
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: backend}}}}
spec:
  nodeName: here
  containers: [{{name: app, image: x, command: [sleep], ports: [{{containerPort: 8000}}]}}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{selector: {{app: backend}}, ports: [{{name: http, port: 8000}}]}}
"""


def rule(name: str, body: str, more: str = "") -> Json:
    """A VirtualService that answers itself."""
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}]
  http:
  - directResponse: {{status: 200, body: {{string: {body}}}}}{more}
"""
    value: Json = yaml.safe_load(text)
    return value


@dataclass
class Proxies:
    """Simulated Envoys: each takes what is published when `step` is called, but for what it refuses."""

    published: Latest[Published]
    refuses: Refuses = lambda _: ""
    connected: set[str] = field(default_factory=set[str])
    stuck: set[str] = field(default_factory=set[str])
    taken: dict[ProxyName, Published] = field(default_factory=dict[ProxyName, Published])
    moved: Latest[int] = field(default_factory=lambda: Latest(0))
    _progress: dict[ProxyName, ProxyProgress] = field(default_factory=dict[ProxyName, ProxyProgress])

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        none = ProxyProgress()
        return {name: self._progress.get(name, none) for name in self.published.value.proxies}

    def step(self) -> None:
        """Every proxy that is connected and not stuck looks at the newest publication."""
        now = self.published.value
        for name in now.proxies:
            if name not in self.connected:
                self._progress.pop(name, None)
            elif name not in self.stuck and self._progress.get(name, ProxyProgress()).change != now.change:
                self._progress[name] = self._judge(name, now)
        self.moved.set(self.moved.value + 1)

    def _judge(self, name: ProxyName, now: Published) -> ProxyProgress:
        refused: list[tuple[TypeUrl, ResourceName, Version]] = []
        complaints: list[Complaint] = []
        for url, resources in (now.resources_of(name) or {}).items():
            for resource in resources.values():
                if words := self.refuses(resource):
                    refused.append((url, resource.name, resource.version))
                    complaints.append(Complaint(name, url, "1", words, resource.name))
        self.taken[name] = now
        return ProxyProgress(
            connected=True, serial=1, change=now.change, refused=tuple(refused), complaints=tuple(complaints)
        )


@dataclass
class World:
    """Everything of one test; `settle` until nothing moves any more."""

    store: Store
    mesh: LiveMesh
    follower: StoreFollower
    proxies: Proxies
    receipts: Receipts
    status: MeshStatus
    clock: list[float]
    analysis: Analysis

    async def write(self, *values: Json) -> None:
        """Objects created or replaced, in one change."""
        await seed(self.store, [("x", yaml.safe_dump_all(values))], "test")

    async def settle(self, rounds: int = 40) -> None:
        """Time passes, and everybody does what is to be done."""
        for _ in range(rounds):
            self.clock[0] += 0.1
            for _ in range(20):
                await asyncio.sleep(0)
            self.proxies.step()
            for _ in range(5):
                await asyncio.sleep(0)
            await self.status.look()

    async def get(self, name: str, resource: Resource = RULES) -> Json:
        return (await self.store.get(Key(resource, "default", name))).value()

    async def condition(self, name: str, kind: str = "Live", resource: Resource = RULES) -> Json:
        value = await self.get(name, resource)
        found = [each for each in value.get("status", {}).get("conditions", []) if each["type"] == kind]
        return found[0] if found else {"status": "Unknown", "reason": "", "message": ""}

    async def events(self) -> list[Json]:
        page = await self.store.list(Query(Scope(EVENTS)))
        return [version.value() for version in page.items]


def run(
    folder: Path, scenario: Callable[[World], Coroutine[Any, Any, None]], services: int = 3, pods: int = 2
) -> None:
    """A mesh of some services and pods with proxies, all connected."""

    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits(), whole_meaning)
        texts = [SERVICE.format(name=f"s{number}") for number in range(services)]
        texts += [POD.format(name=f"p{number}") for number in range(pods)]
        await seed(store, [("start", "\n---\n".join(texts))], "start")
        await follow(store, folder, scenario)
        await store.close()

    asyncio.run(main())


async def follow(store: Store, folder: Path, scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """A control plane on this store, for the length of a scenario."""
    clock = [1000.0]

    def now() -> float:
        return clock[0]

    mesh = LiveMesh(Machine(Rung.ROOT, Interception.UID, folder, ()))
    follower = StoreFollower(store, mesh, now)
    await follower.load()
    proxies = Proxies(mesh.published, connected={str(name) for name in mesh.published.value.proxies})
    receipts = Receipts(proxies, mesh.published, now)
    receipts.start(follower.change.value)
    analysis = Analysis(mesh, lambda: None)  # looks when a test says so
    view = StatusView(mesh, follower, lambda: analysis.value)
    status = MeshStatus(store, view, proxies, receipts, now)
    receipts.lets = status.lets
    world = World(store, mesh, follower, proxies, receipts, status, clock, analysis)
    async with asyncio.TaskGroup() as tasks:
        helpers = [
            tasks.create_task(follower.run()),
            tasks.create_task(_follow_changes(follower, receipts)),
            tasks.create_task(status.follow()),
            tasks.create_task(receipts.run()),
        ]
        await asyncio.sleep(0)
        await scenario(world)
        for helper in helpers:
            helper.cancel()


async def _follow_changes(follower: StoreFollower, receipts: Receipts) -> None:
    seen = follower.change.value
    while True:
        seen = await follower.change.newer_than(seen)
        begun = follower.begun()
        receipts.published(seen, begun.since, begun.before)


__all__ = ["EVENTS", "ME", "RULES", "World", "follow", "rule", "run"]
