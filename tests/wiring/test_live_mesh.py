"""The living mesh without processes: store in, published sets and desired pods out."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from meshwright.agent.settings import Rung
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.model import codes
from meshwright.model.names import LISTENER, ROUTES, ProxyName, ResourceName
from meshwright.model.planned_pod import PodPhase, PodStatus
from meshwright.model.proxy import Interception
from meshwright.store.history import whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key, Resource
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.machine import Machine
from meshwright.wiring.object_book import PODS, ObjectBook
from meshwright.wiring.run_file import Forward
from meshwright.wiring.seeding import objects_of, seed
from meshwright.wiring.store_follower import StoreFollower
from tests.store.memory import MemoryEngine

ME = Author("test")
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
"""
ROUTING = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - timeout: 3s
    route: [{destination: {host: reviews}}]
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: default, labels: {app: reviews}}
spec:
  nodeName: here
  containers: [{name: reviews, image: x, command: [sleep], ports: [{containerPort: 9080}]}]
"""
RULES = Resource("networking.istio.io", "virtualservices")
READY = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=())
ONE = ProxyName("reviews-1.default")


class Living:
    """Store, follower and mesh of one test."""

    def __init__(self, store: Store, folder: Path, forwards: tuple[Forward, ...] = ()) -> None:
        self.store = store
        self.mesh = LiveMesh(Machine(Rung.ROOT, Interception.UID, folder, forwards))
        self.follower = StoreFollower(store, self.mesh, time.monotonic)

    def routes(self) -> bytes:
        found = self.mesh.published.value.resources_of(ONE)
        assert found is not None
        return found[ROUTES][ResourceName("9080")].value

    async def settled(self, change: int) -> None:
        async with asyncio.timeout(10):
            while self.follower.change.value < change:
                await asyncio.sleep(0)


def living(
    folder: Path, scenario: Callable[[Living], Coroutine[Any, Any, None]], forwards: tuple[Forward, ...] = ()
) -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits(), whole_meaning)
        await seed(store, [("a", SERVICE), ("b", POD)], "start")
        world = Living(store, folder, forwards)
        await world.follower.load()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(world.follower.run())
            await scenario(world)
            following.cancel()
        await store.close()

    asyncio.run(main())


def test_a_written_rule_reaches_the_proxies(tmp_path: Path) -> None:
    async def scenario(world: Living) -> None:
        before = world.routes()
        done = await world.store.create(Key(RULES, "default", "reviews"), yaml.safe_load(ROUTING), ME)
        await world.settled(2)
        assert done.revision > 0
        assert world.routes() != before
        await world.store.delete(Key(RULES, "default", "reviews"), ME)
        await world.settled(3)
        assert world.routes() == before

    living(tmp_path, scenario)


def test_of_a_rule_that_waits_only_that_is_told_and_not_what_was_wrong_before(tmp_path: Path) -> None:
    """The version before it is in effect; its mistakes are not those of the text that is stored."""

    async def scenario(world: Living) -> None:
        def told() -> list[str]:
            return [each.code.id for each in world.mesh.published.value.diagnostics]

        key = Key(RULES, "default", "reviews")
        misspelt = yaml.safe_load(ROUTING.replace("[reviews]", "[review]"))
        await world.store.create(key, misspelt, ME)
        await world.settled(2)
        assert told() == [codes.UNKNOWN_HOST.id]
        value = (await world.store.get(key)).value()
        waiting = ROUTING.replace("{host: reviews}", "{host: reviews, subset: v1}")
        await world.store.update(key, {**value, "spec": yaml.safe_load(waiting)["spec"]}, ME)
        await world.settled(3)
        assert told() == [codes.UNKNOWN_SUBSET.id, codes.ROUTE_WITHHELD.id]

    living(tmp_path, scenario)


def test_an_annotation_that_nobody_reads_compiles_nothing(tmp_path: Path) -> None:
    async def scenario(world: Living) -> None:
        published = world.mesh.published.value
        key = Key(PODS, "default", "reviews-1")
        value = (await world.store.get(key)).value()
        value["metadata"]["annotations"] = {"note": "x"}
        await world.store.update(key, value, ME)
        await world.settled(2)
        assert world.mesh.published.value is published

    living(tmp_path, scenario)


def test_readiness_changes_endpoints_only(tmp_path: Path) -> None:
    async def scenario(world: Living) -> None:
        before = world.mesh.published.value.resources_of(ONE)
        world.mesh.ready({ONE: READY})
        after = world.mesh.published.value.resources_of(ONE)
        assert before is not None
        assert after is not None
        changed = {url for url in after if before.get(url) != after[url]}
        assert {url.rpartition(".")[2] for url in changed} == {"ClusterLoadAssignment"}

    living(tmp_path, scenario)


def test_where_changes_began_is_told_once(tmp_path: Path) -> None:
    """What pods did before the first change is before it; several changes that nobody asked about began together."""

    async def scenario(world: Living) -> None:
        key = Key(RULES, "default", "reviews")
        world.mesh.ready({ONE: READY})
        ready = world.mesh.published.value
        await world.store.create(key, yaml.safe_load(ROUTING), ME)
        await world.settled(2)
        await world.store.delete(key, ME)
        await world.settled(3)
        assert world.follower.begun().before is ready
        newest = world.mesh.published.value
        await world.store.create(key, yaml.safe_load(ROUTING), ME)
        await world.settled(4)
        assert world.follower.begun().before is newest

    living(tmp_path, scenario)


def test_a_pod_that_leaves_is_no_longer_desired_but_its_address_stays_given(tmp_path: Path) -> None:
    async def scenario(world: Living) -> None:
        [pod] = world.mesh.desired.value.pods
        assert pod.address.startswith("10.244.")
        await world.store.delete(Key(PODS, "default", "reviews-1"), ME)
        await world.settled(2)
        assert world.mesh.desired.value.pods == ()

    living(tmp_path, scenario)


def test_addresses_survive_a_restart(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    async def scenario(world: Living) -> None:
        seen.append((world.mesh.desired.value.pods[0].address, *world.mesh.snapshot.services[0].addresses))

    living(tmp_path, scenario)
    living(tmp_path, scenario)
    assert seen[0] == seen[1]


def test_a_broken_security_object_still_fails_closed() -> None:
    head = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n"
    broken = head + "spec: {mtls: {mode: strikt}}\n"
    book = ObjectBook()
    for key, value in objects_of([("x", broken)]).items():
        assert book.put(key, yaml.safe_dump(value).encode())
    [policy] = book.loaded.objects.peer_authentications
    assert policy.mode == "STRICT"
    assert book.loaded.refused


def gateway(number: int) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: gw-{number}
  namespace: istio-system
  labels: {{istio: ingressgateway}}
  annotations: {{inject.istio.io/templates: gateway}}
spec:
  nodeName: here
  containers: [{{name: istio-proxy, image: auto}}]
"""


def test_a_pod_that_no_machine_has_taken_does_not_run_yet(tmp_path: Path) -> None:
    async def scenario(world: Living) -> None:
        key = Key(PODS, "default", "reviews-2")
        other = POD.replace("reviews-1", "reviews-2").replace("  nodeName: here\n", "")
        await seed(world.store, [("p", other)], "a pod")
        await world.settled(2)
        assert [pod.name for pod in world.mesh.desired.value.pods] == [ONE]
        value = (await world.store.get(key)).value()
        await world.store.update(key, {**value, "spec": {**value["spec"], "nodeName": "here"}}, ME)
        await world.settled(3)
        assert [pod.name for pod in world.mesh.desired.value.pods] == [ONE, "reviews-2.default"]

    living(tmp_path, scenario)


def test_the_hosts_ports_lead_to_a_gateway_that_is_ready(tmp_path: Path) -> None:
    """While one gateway follows another the new one is no use yet, and the old one is none any more."""

    async def scenario(world: Living) -> None:
        def target() -> str:
            [forward] = world.mesh.desired.value.forwards
            return forward.pod

        await seed(world.store, [("g", f"{gateway(1)}---{gateway(2)}")], "gateways")
        await world.settled(2)
        for ready in ("gw-1", "gw-2"):
            world.mesh.ready({ProxyName(f"{ready}.istio-system"): READY})
            assert target() == f"{ready}.istio-system"
        await world.store.delete(Key(PODS, "istio-system", "gw-2"), ME)
        await world.settled(3)
        assert target() == "gw-1.istio-system"

    living(tmp_path, scenario, (Forward("http", 18080, 8080),))


MORE = """
apiVersion: v1
kind: Service
metadata: {name: more}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9301}, {name: grpc, port: 9302}]
"""


def test_a_new_port_adds_filter_chains_and_changes_nothing_else(tmp_path: Path) -> None:
    """Then Envoy keeps every open connection. Were anything else of the listener another, it would end them all after
    a while; a new TCP port, which is left out of the inspection for HTTP, is such a change.
    """

    async def scenario(world: Living) -> None:
        def inbound() -> tuple[bytes, set[bytes]]:
            resources = world.mesh.published.value.resources_of(ONE)
            assert resources is not None
            found = Listener.FromString(resources[LISTENER][ResourceName("virtualInbound")].value)
            chains = {chain.SerializeToString() for chain in found.filter_chains}
            found.ClearField("filter_chains")
            return found.SerializeToString(), chains

        rest, chains = inbound()
        await seed(world.store, [("m", MORE)], "more")
        await world.settled(2)
        rest_after, chains_after = inbound()
        assert rest_after == rest
        assert chains < chains_after

    living(tmp_path, scenario)


def test_a_pod_that_has_ended_has_no_proxy_that_anybody_waits_for(tmp_path: Path) -> None:
    """Though it was never ready, as one that failed at once; the pod itself stays."""

    async def scenario(world: Living) -> None:
        assert ONE in world.mesh.published.value.proxies
        for phase in (PodPhase.SUCCEEDED, PodPhase.FAILED):
            world.mesh.ready({ONE: replace(READY, phase=phase, ready=False)})
            assert ONE not in world.mesh.published.value.proxies
            assert [pod.name for pod in world.mesh.desired.value.pods] == [ONE]
            world.mesh.ready({ONE: replace(READY, phase=PodPhase.PENDING, ready=False)})
            assert ONE in world.mesh.published.value.proxies

    living(tmp_path, scenario)
