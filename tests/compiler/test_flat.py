"""After one change the work is that of the change, whatever the size of the mesh: counted, not timed."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from meshwright.compiler.compile import Compiler
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.chunked import differing
from meshwright.model.destination import Destination
from meshwright.model.destination_rule import DestinationRule, Subset, TrafficPolicy
from meshwright.model.header_operations import HeaderOperations
from meshwright.model.labels import Labels
from meshwright.model.load_balancing import LoadBalancing, SimpleBalancing
from meshwright.model.names import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    PortNumber,
    ProxyName,
    ResourceName,
    SubsetName,
)
from meshwright.model.published import Resources
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import HttpRule, VirtualService, WeightedDestination
from tests.compiler.meshes import host, meta, proxy, service, workload

CLIENT = ProxyName("s0-v1.default")
SMALL, LARGE = 100, 1000
MOST = 1.5
"""How much more a change may cost in the large mesh: a group of hosts has ten times as many of them there."""
Change = Callable[[Snapshot, int], Snapshot]


def splitting(number: int, weight: int) -> VirtualService:
    about = meta("VirtualService", f"s{number}")
    at = about.origin.field("spec").field("http").item(0)
    shares = tuple(
        WeightedDestination(
            Destination(host(f"s{number}"), SubsetName(name), PortNumber(9080)), share, HeaderOperations(), at
        )
        for name, share in (("v1", weight), ("v2", 100 - weight))
    )
    return VirtualService(about, (host(f"s{number}"),), ("mesh",), (HttpRule(at, route=shares),))


def ruling(number: int, policy: TrafficPolicy | None = None) -> DestinationRule:
    about = meta("DestinationRule", f"s{number}")
    spec = about.origin.field("spec")
    subsets = tuple(Subset(SubsetName(name), Labels.of({"version": name}), spec) for name in ("v1", "v2"))
    return DestinationRule(about, host(f"s{number}"), subsets=subsets, policy=policy)


def mesh(size: int) -> Snapshot:
    pods = tuple(
        workload(f"s{number}", f"10.{version}.{number // 250}.{number % 250}", f"v{version}")
        for number in range(size)
        for version in (1, 2)
    )
    return Snapshot(
        services=tuple(service(f"s{n}", address=f"10.96.{n // 250}.{n % 250}") for n in range(size)),
        workloads=pods,
        destination_rules=tuple(ruling(number) for number in range(size)),
        virtual_services=tuple(splitting(number, 90) for number in range(size)),
        proxies=tuple(proxy(pod) for pod in pods),
    )


def weighing(snapshot: Snapshot, weight: int) -> Snapshot:
    rules = snapshot.virtual_services
    return replace(snapshot, virtual_services=(*rules[:3], splitting(3, weight), *rules[4:]))


def moving(snapshot: Snapshot, number: int) -> Snapshot:
    pods = snapshot.workloads
    return replace(snapshot, workloads=(*pods[:7], replace(pods[7], address=f"10.9.9.{number}"), *pods[8:]))


def balancing(snapshot: Snapshot, number: int) -> Snapshot:
    rules = snapshot.destination_rules
    balance = LoadBalancing(SimpleBalancing.RANDOM if number % 2 else SimpleBalancing.ROUND_ROBIN)
    policy = TrafficPolicy(rules[3].meta.origin.field("spec"), load_balancing=balance)
    return replace(snapshot, destination_rules=(*rules[:3], ruling(3, policy), *rules[4:]))


def steps(change: Change) -> tuple[Resources, Resources]:
    """What a client gets before and after."""
    compiler, snapshot = Compiler(), mesh(SMALL)
    before = compiler.compile(snapshot).resources_of(CLIENT)
    after = compiler.compile(change(snapshot, 20)).resources_of(CLIENT)
    assert before is not None
    assert after is not None
    return before, after


def changed(before: Resources, after: Resources) -> dict[str, set[str]]:
    """By kind the names of resources with another version; none is new or gone."""
    found: dict[str, set[str]] = {}
    for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
        for name in differing(before[url], after[url]):
            if before[url][name].version != after[url][name].version:
                found.setdefault(url.rpartition(".")[2], set()).add(name)
    return found


def test_a_changed_weight_encodes_one_virtual_host_again() -> None:
    before, after = steps(weighing)
    assert changed(before, after) == {"RouteConfiguration": {"9080"}}
    old, new = (one[ROUTES][ResourceName("9080")] for one in (before, after))
    again = [piece for piece, former in zip(new.pieces, old.pieces, strict=True) if piece != former]
    hosts = [
        [made.SerializeToString() for made in RouteConfiguration.FromString(one.value).virtual_hosts]
        for one in (old, new)
    ]
    assert sum(one != other for one, other in zip(*hosts, strict=True)) == 1
    assert len(again) == 2, "the head with the new version, and a group"
    in_group = RouteConfiguration.FromString(again[1]).virtual_hosts
    assert f"{host('s3')}:9080" in {made.name for made in in_group}
    assert len(in_group) < SMALL / 10, "only the group of the host is joined again"
    assert new.frame.endswith(new.value)


def test_an_address_reaches_load_assignments_and_a_policy_clusters() -> None:
    assert changed(*steps(moving)) == {
        "ClusterLoadAssignment": {f"outbound|9080||{host('s3')}", f"outbound|9080|v2|{host('s3')}"}
    }
    assert changed(*steps(balancing)) == {"Cluster": {f"outbound|9080|{v}|{host('s3')}" for v in ("", "v1", "v2")}}


def test_the_calls_of_a_change_do_not_grow_with_the_mesh() -> None:
    for change in (weighing, moving, balancing):
        small, large = (calls(size, change) for size in (SMALL, LARGE))
        assert large < MOST * small, (change.__name__, small, large)


def calls(size: int, change: Change) -> int:
    """How many functions one compilation calls after a change that is not the first of its kind."""
    compiler, snapshot = Compiler(), mesh(size)
    compiler.compile(snapshot)
    compiler.compile(change(snapshot, 20))
    counted = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    former = sys.getprofile()
    sys.setprofile(count)
    try:
        compiler.compile(change(snapshot, 21))
    finally:
        sys.setprofile(former)
    return counted
