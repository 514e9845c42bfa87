"""TLS modes change in steps while everything else goes on. No test here looks at a clock: proxies acknowledge when
the test says so, and the bound of a step has passed when the test says so.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.model.names import CLUSTER, ENDPOINTS, ROUTES, ProxyName, ResourceName
from meshwright.model.planned_pod import PodPhase, PodStatus
from meshwright.model.proxy import Interception
from meshwright.node.progress import ProxyProgress
from meshwright.store.history import whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key, Resource
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.wiring.acknowledgements import Acknowledgements
from meshwright.wiring.kept_steps import FILE, KeptSteps
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.machine import Machine
from meshwright.wiring.receipts import Receipt, Receipts
from meshwright.wiring.seeding import seed
from meshwright.wiring.step_keeper import StepKeeper
from meshwright.wiring.store_follower import POLICIES, RULES, StoreFollower
from meshwright.wiring.tls_steps import Stage, TlsSteps
from tests.store.memory import MemoryEngine

ME = Author("test")
READY = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=())
A, B, STUCK = ProxyName("a.one"), ProxyName("b.two"), ProxyName("stuck.three")
PLACES = {A: "one", B: "two", STUCK: "three"}
BOUND = 3.0
ROUTING = Resource("networking.istio.io", "virtualservices")
WORKLOAD = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  nodeName: here
  containers: [{{name: main, image: x, command: [sleep], ports: [{{containerPort: 8080}}]}}]
"""


class World:
    """Store, follower, mesh, receipts and keeper; proxies that acknowledge when they are told to."""

    def __init__(self, store: Store, folder: Path, steps: TlsSteps | None = None) -> None:
        self.store = store
        self.now = 0.0
        self.moved: Latest[int] = Latest(0)
        self.known: dict[ProxyName, ProxyProgress] = {}
        self.mesh = LiveMesh(Machine(Rung.ROOT, Interception.UID, folder, ()), steps, KeptSteps(folder / FILE).keep)
        self.follower = StoreFollower(store, self.mesh, lambda: self.now)
        self.receipts = Receipts(self, self.mesh.published, lambda: self.now, self.mesh.steps)
        waits = Acknowledgements(self, self.mesh.published, BOUND)
        self.keeper = StepKeeper(self.mesh, waits, lambda: self.now)
        self.holding: set[ProxyName] = set()  # they run, and do not acknowledge

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        return self.known

    async def load(self) -> None:
        await self.follower.load()
        self.mesh.ready(dict.fromkeys(PLACES, READY))
        self.receipts.start(self.follower.change.value)

    async def start(self) -> None:
        await self.load()
        await self.acknowledged()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            jobs = (self.follower.run(), self.follow_changes(), self.receipts.run(), self.keeper.run())
            helpers = [tasks.create_task(each) for each in jobs]
            await asyncio.sleep(0)
            yield
            for helper in helpers:
                helper.cancel()

    async def follow_changes(self) -> None:
        seen = self.follower.change.value
        while True:
            seen = await self.follower.change.newer_than(seen)
            begun = self.follower.begun()
            self.receipts.published(seen, begun.since, begun.before)

    async def acknowledged(self, rounds: int = 12) -> None:
        """Whoever is not held acknowledges all that is published, until nothing more follows on it."""
        for _ in range(rounds):
            newest = self.mesh.published.value.change
            for name in self.mesh.published.value.proxies:
                if name not in self.holding:
                    self.known[name] = ProxyProgress(connected=True, serial=newest, change=newest)
            await self.look()

    async def look(self) -> None:
        """Everybody who waits for proxies looks at them."""
        for _ in range(3):
            self.moved.set(self.moved.value + 1)
            await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        self.now += seconds
        await self.look()

    async def write(self, *texts: str) -> int:
        """One change; its number."""
        await seed(self.store, [(str(number), text) for number, text in enumerate(texts)], "a change")
        return await self.followed()

    async def delete(self, resource: Resource, namespace: str, name: str = "default") -> int:
        await self.store.delete(Key(resource, namespace, name), ME)
        return await self.followed()

    async def followed(self) -> int:
        head = (await self.store.head()).change
        async with asyncio.timeout(10):
            while self.receipts.of(head) is None:
                await asyncio.sleep(0)
        return head

    def receipt(self, change: int) -> Receipt:
        found = self.receipts.of(change)
        assert found is not None
        return found

    def serves(self, name: ProxyName) -> str:
        """The mode of what a server takes."""
        return self.mesh.published.value.proxies[name].inbound[0].mode.value

    def encrypts(self, server: ProxyName, client: ProxyName = B) -> bool:
        """Whether a client encrypts by itself towards a server."""
        resources = self.mesh.published.value.resources_of(client)
        assert resources is not None
        host = f"{server.partition('.')[0]}.{PLACES[server]}.svc.cluster.local"
        return b"tlsMode" in resources[ENDPOINTS][ResourceName(f"outbound|80||{host}")].value

    def is_told(self, server: ProxyName, client: ProxyName = B, subset: str = "") -> bool:
        """Whether a rule tells a client to encrypt."""
        resources = self.mesh.published.value.resources_of(client)
        assert resources is not None
        host = f"{server.partition('.')[0]}.{PLACES[server]}.svc.cluster.local"
        found = resources[CLUSTER][ResourceName(f"outbound|80|{subset}|{host}")].value
        return Cluster.FromString(found).HasField("transport_socket")

    def routes(self) -> bytes:
        resources = self.mesh.published.value.resources_of(B)
        assert resources is not None
        return resources[ROUTES][ResourceName("80")].value

    @property
    def stage(self) -> Stage | None:
        """What is waited for."""
        return next((step.stage for step in self.mesh.open_steps), None)


def play(folder: Path, scenario: Callable[[World], Coroutine[Any, Any, None]], *texts: str) -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits(), whole_meaning)
        pods = [WORKLOAD.format(name=name.partition(".")[0], namespace=place) for name, place in PLACES.items()]
        await seed(store, [(str(number), text) for number, text in enumerate((*pods, *texts))], "start")
        world = World(store, folder)
        await world.start()
        async with world.running():
            await scenario(world)
        await store.close()

    asyncio.run(main())


def policy(namespace: str, mode: str, name: str = "default", more: str = "") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{mtls: {{mode: {mode}}}{more}}}
"""


def rule(tls: str, subsets: str = "", namespace: str = "one", host: str = "a.one.svc.cluster.local") -> str:
    wanted = {"kind": "DestinationRule", "apiVersion": "networking.istio.io/v1"}
    spec: dict[str, Any] = {"host": host, "subsets": [{"name": each} for each in subsets.split()]}
    spec |= {"trafficPolicy": {"tls": {"mode": tls}}} if tls else {}
    return yaml.safe_dump({**wanted, "metadata": {"name": "default", "namespace": namespace}, "spec": spec})


def routing(seconds: int) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: routing, namespace: two}}
spec: {{hosts: [b], http: [{{timeout: {seconds}s, route: [{{destination: {{host: b}}}}]}}]}}
"""


def test_a_change_takes_its_steps_one_after_the_other(tmp_path: Path) -> None:
    """Each is published when those it depends on run the one before it, and not earlier."""

    async def scenario(world: World) -> None:
        seen: list[tuple[str, bool, Stage | None]] = []

        def look() -> None:
            seen.append((world.serves(A), world.encrypts(A), world.stage))

        for mode in ("DISABLE", "STRICT"):
            await world.write(policy("one", mode))
            for _ in range(3):
                await world.look()
                look()
                await world.acknowledged(1)
        assert seen == [
            ("PERMISSIVE", False, Stage.MOVING),  # the server took both before: there is nothing to wait for
            ("DISABLE", False, None),
            ("DISABLE", False, None),
            ("PERMISSIVE", False, Stage.OPENING),
            ("PERMISSIVE", True, Stage.MOVING),
            ("STRICT", True, None),
        ]

    play(tmp_path, scenario)


def test_a_proxy_that_never_acknowledges_delays_no_other_change(tmp_path: Path) -> None:
    """It runs, and is waited for; meanwhile changes come, are published, and are live on all others."""

    async def scenario(world: World) -> None:
        world.holding.add(STUCK)
        slow = await world.write(policy("one", "DISABLE"))
        await world.acknowledged()
        assert world.stage is Stage.MOVING
        before = world.routes()
        for seconds in range(1, 6):
            change = await world.write(routing(seconds))
            assert world.routes() != before
            before = world.routes()
            await world.acknowledged()
            assert world.receipt(change).waiting == (STUCK,), "as every receipt of what it is to run"
            assert world.receipt(change).steps == ()
        assert world.stage is Stage.MOVING, "the step is still open"
        assert world.serves(A) == "PERMISSIVE"
        told = world.receipt(slow)
        assert (told.waiting, told.steps, told.live) == ((STUCK,), ("clients follow",), False)
        await world.passes(BOUND)
        assert (world.stage, world.serves(A)) == (None, "DISABLE")
        await world.acknowledged()
        told = world.receipt(slow)
        assert (told.waiting, told.steps, told.live) == ((STUCK,), (), False), "a straggler, by name"

    play(tmp_path, scenario)


def test_changes_that_do_not_concern_it_are_live_while_the_step_is_open(tmp_path: Path) -> None:
    """Their receipts do not count what steps of others publish in between."""

    async def scenario(world: World) -> None:
        world.holding.add(STUCK)
        slow = await world.write(policy("one", "DISABLE"))
        await world.acknowledged()
        private = routing(7).replace("spec: {", "spec: {exportTo: ['.'], ")
        change = await world.write(private)
        await world.acknowledged()
        told = world.receipt(change)
        assert (told.affected, told.live) == ((B,), True)
        assert not world.receipt(slow).live
        assert world.stage is Stage.MOVING

    play(tmp_path, scenario)


def test_servers_are_waited_for_before_clients_follow_and_only_those_that_are_opened(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.holding.add(STUCK)
        await world.write(policy("one", "STRICT"))
        await world.acknowledged(2)
        assert world.encrypts(A), "the stuck one is no server of this namespace"
        assert world.stage is Stage.MOVING
        world.holding.clear()
        await world.acknowledged()
        world.holding.add(STUCK)
        await world.write(policy("three", "STRICT"))
        await world.acknowledged()
        assert world.stage is Stage.OPENING
        assert not world.encrypts(STUCK), "clients wait until it takes what they will send"
        assert [step.names for step in world.mesh.open_steps] == [{STUCK}]

    play(tmp_path, scenario, policy("one", "DISABLE"), policy("three", "DISABLE"))


def test_a_change_is_live_with_its_last_step(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        change = await world.write(policy("one", "STRICT"))
        told = world.receipt(change)
        assert (told.live, told.steps) == (False, (Stage.OPENING.value,))
        assert world.receipts.publication_of(change) is None
        assert world.receipts.change_of(world.mesh.published.value.change) == change - 1
        await world.acknowledged(1)
        assert world.receipt(change).steps == (Stage.MOVING.value,)
        await world.acknowledged(1)
        assert world.serves(A) == "STRICT"
        told = world.receipt(change)
        assert (told.live, told.steps, told.waiting) == (False, (), (A, B, STUCK)), "published only"
        assert world.receipts.publication_of(change) == world.mesh.published.value.change
        await world.acknowledged(1)
        told = world.receipt(change)
        assert told.live
        assert set(told.affected) == {A, B, STUCK}, "the server, and the clients that follow"
        assert world.receipts.change_of(world.mesh.published.value.change) == change

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_a_change_that_is_taken_back_before_clients_heard_of_it_is_dropped(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.holding.add(A)
        there = await world.write(policy("one", "STRICT"))
        assert (world.serves(A), world.stage) == ("PERMISSIVE", Stage.OPENING)
        back = await world.write(policy("one", "DISABLE"))
        assert (world.serves(A), world.encrypts(A), world.stage) == ("DISABLE", False, None)
        world.holding.clear()
        await world.acknowledged()
        assert world.receipt(there).live
        assert world.receipt(back).live

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_a_change_that_is_taken_back_after_clients_heard_of_it_is_gone_through(tmp_path: Path) -> None:
    """A server never refuses what a client may still send: it takes both from the first step to the last."""

    async def scenario(world: World) -> None:
        there = await world.write(policy("one", "STRICT"))
        await world.acknowledged(1)
        assert world.stage is Stage.MOVING
        world.holding.add(STUCK)
        back = await world.write(policy("one", "DISABLE"))
        assert (world.serves(A), world.encrypts(A)) == ("PERMISSIVE", True)
        await world.acknowledged()
        assert not world.receipt(there).live
        world.holding.clear()
        await world.acknowledged(1)
        assert world.serves(A) == "PERMISSIVE", "it never takes one only in between"
        await world.acknowledged()
        assert (world.serves(A), world.encrypts(A), world.stage) == ("DISABLE", False, None)
        assert world.receipt(there).live
        assert world.receipt(back).live

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_what_comes_meanwhile_is_gone_to_together(tmp_path: Path) -> None:
    """However many changes of a namespace come while one is on its way, it ends, and then they do, in two steps."""

    async def scenario(world: World) -> None:
        first = await world.write(policy("one", "STRICT"))
        changes = [await world.write(policy("one", mode)) for mode in ("PERMISSIVE", "STRICT", "PERMISSIVE")]
        await world.acknowledged(2)
        assert world.receipts.publication_of(first) is not None
        await world.acknowledged()
        assert (world.serves(A), world.stage) == ("PERMISSIVE", None)
        assert all(world.receipt(each).live for each in (first, *changes))

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_a_change_of_modes_elsewhere_waits_for_the_one_on_its_way(tmp_path: Path) -> None:
    """The mesh's policy is on its way; a namespace's comes. Between them no server takes one only."""

    async def scenario(world: World) -> None:
        world.holding.add(A)
        await world.write(policy("istio-system", "STRICT"))
        assert (world.serves(A), world.serves(B)) == ("PERMISSIVE", "PERMISSIVE")
        change = await world.write(policy("two", "STRICT"))
        await world.acknowledged()
        assert world.stage is Stage.OPENING
        assert not world.encrypts(B)
        told = world.receipt(change)
        assert (told.steps, told.waiting) == ((Stage.OPENING.value,), (A,))
        world.holding.clear()
        await world.acknowledged()
        assert {name: world.serves(name) for name in PLACES} == dict.fromkeys(PLACES, "STRICT")
        assert world.stage is None
        assert world.receipt(change).live

    play(tmp_path, scenario, policy("istio-system", "DISABLE"))


def test_a_policy_for_some_workloads_waits_for_these_alone(tmp_path: Path) -> None:
    other = WORKLOAD.format(name="other", namespace="one")

    async def scenario(world: World) -> None:
        world.mesh.ready(dict.fromkeys((*PLACES, ProxyName("other.one")), READY))
        await world.acknowledged()
        world.holding.add(ProxyName("other.one"))
        chosen = ", selector: {matchLabels: {app: a}}"
        await world.write(policy("one", "STRICT", "chosen", chosen))
        await world.acknowledged()
        assert world.stage is Stage.MOVING
        assert world.encrypts(A)

    play(tmp_path, scenario, other, policy("one", "DISABLE", "chosen", ", selector: {matchLabels: {app: a}}"))


def test_a_rules_tls_waits_for_its_servers_and_nothing_else_of_it(tmp_path: Path) -> None:
    """Policy and rule in one change; then what else the rule says, while it waits."""

    async def scenario(world: World) -> None:
        world.holding.add(A)
        change = await world.write(policy("one", "PERMISSIVE"), rule("ISTIO_MUTUAL"))
        await world.acknowledged()
        assert not world.is_told(A)
        more = await world.write(rule("ISTIO_MUTUAL", "all"))
        assert not world.is_told(A)
        assert not world.is_told(A, subset="all"), "the subset itself is there at once"
        assert world.receipt(change).steps == (Stage.OPENING.value,)
        assert world.receipt(more).steps == (Stage.OPENING.value,)
        world.holding.clear()
        await world.acknowledged(1)
        assert world.is_told(A)
        assert world.is_told(A, subset="all")
        assert (world.serves(A), world.encrypts(A)) == ("PERMISSIVE", True)
        await world.acknowledged()
        assert world.receipt(change).live
        assert world.receipt(more).live

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_a_rule_for_other_servers_does_not_wait(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.holding.add(A)
        await world.write(policy("one", "PERMISSIVE"))
        change = await world.write(rule("ISTIO_MUTUAL", namespace="three", host="stuck.three.svc.cluster.local"))
        assert world.is_told(STUCK)
        assert world.receipt(change).steps == ()
        assert world.stage is Stage.OPENING

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_a_rule_that_is_deleted_stays_until_its_servers_are_open(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.holding.add(A)
        await world.write(policy("one", "PERMISSIVE"))
        change = await world.delete(RULES, "one")
        assert world.is_told(A)
        assert world.receipt(change).steps
        world.holding.clear()
        await world.acknowledged()
        assert not world.is_told(A)
        assert world.receipt(change).live

    play(tmp_path, scenario, policy("one", "STRICT"), rule("ISTIO_MUTUAL"))


def test_a_policy_that_goes_takes_steps_too(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        change = await world.delete(POLICIES, "one")
        assert (world.serves(A), world.encrypts(A)) == ("PERMISSIVE", False)
        await world.acknowledged()
        assert (world.serves(A), world.encrypts(A), world.stage) == ("PERMISSIVE", True, None)
        assert world.receipt(change).live

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_who_was_late_once_does_not_delay_the_next_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        world.holding.add(STUCK)
        await world.write(policy("one", "DISABLE"))
        await world.acknowledged()
        await world.passes(BOUND)
        assert world.stage is None
        await world.write(policy("two", "DISABLE"))
        await world.acknowledged()
        assert (world.stage, world.serves(B)) == (None, "DISABLE")

    play(tmp_path, scenario)
    assert [each.getMessage() for each in caplog.records] == [
        f"not waited for any longer, until they keep up: {STUCK}"
    ]


def test_a_control_plane_that_starts_meanwhile_ends_with_what_is_stored(tmp_path: Path) -> None:
    """It knows nothing of steps: no server takes more than its policy says."""

    async def scenario(world: World) -> None:
        world.holding.update(PLACES)
        await world.write(policy("one", "STRICT"))
        assert world.serves(A) == "PERMISSIVE"
        after = World(world.store, tmp_path / "next")
        await after.start()
        assert (after.serves(A), after.encrypts(A), after.stage) == ("STRICT", True, None)

    play(tmp_path, scenario, policy("one", "DISABLE"))
