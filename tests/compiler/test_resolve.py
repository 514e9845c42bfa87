"""Which policy, which DestinationRule and which service hold: the rules of precedence, one by one."""

from dataclasses import replace

import pytest

from meshwright.compiler.envoy.listeners_inbound import rows
from meshwright.compiler.resolve import services
from meshwright.compiler.resolve.destination_rules import effective, merge
from meshwright.compiler.resolve.peer_authentication import Accepted, policies_of
from meshwright.compiler.resolve.traffic_policy import policy_of
from meshwright.model.connection_pool import ConnectionPool
from meshwright.model.destination_rule import DestinationRule, PortPolicy, Subset, TrafficPolicy
from meshwright.model.labels import Labels
from meshwright.model.load_balancing import LoadBalancing, SimpleBalancing
from meshwright.model.names import Hostname, PortNumber, SubsetName
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.protocol import Protocol
from meshwright.model.service import Registry
from tests.compiler.meshes import host, meta, service

PORT = PortNumber(9080)
REVIEWS = host("reviews")
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
STRICT, PERMISSIVE, DISABLE, UNSET = (
    MutualTlsMode.STRICT, MutualTlsMode.PERMISSIVE, MutualTlsMode.DISABLE, MutualTlsMode.UNSET
)  # fmt: skip


def policy(mode: MutualTlsMode, name: str = "default", *, created: str = OLD, app: str = "") -> PeerAuthentication:
    selector = Labels.of({"app": app}) if app else Labels()
    return PeerAuthentication(meta("PeerAuthentication", name, created=created), mode, selector)


def test_the_narrowest_policy_that_says_something_holds() -> None:
    labels = Labels.of({"app": "reviews"})
    port = replace(policy(UNSET, "own", app="reviews"), port_modes=((PORT, DISABLE),))
    found = policies_of([policy(STRICT)], [policy(UNSET, "all"), port], is_root=False)
    assert found.mode(labels, PORT) is DISABLE
    assert found.mode(labels, PortNumber(1)) is STRICT  # own and namespace leave it to the mesh
    assert found.mode(Labels(), PORT) is STRICT
    assert policies_of([], [], is_root=False).mode(labels) is PERMISSIVE


def test_the_older_policy_of_a_scope_holds() -> None:
    found = policies_of([], [policy(DISABLE, "a", created=NEW), policy(STRICT, "b", created=OLD)], is_root=False)
    assert found.wide is STRICT


def test_a_selector_in_the_root_namespace_is_no_mesh_policy() -> None:
    root = [policy(STRICT, app="reviews")]
    assert policies_of(root, [], is_root=False).mode(Labels.of({"app": "reviews"})) is PERMISSIVE
    assert policies_of(root, root, is_root=True).mode(Labels.of({"app": "reviews"})) is PERMISSIVE


def rule(
    name: str, on: str = REVIEWS, *, created: str = OLD, simple: SimpleBalancing | None = None
) -> DestinationRule:
    at = meta("DestinationRule", name, created=created)
    balancing = LoadBalancing(simple) if simple else None
    policy = TrafficPolicy(at.origin.field("spec"), load_balancing=balancing) if simple else None
    return DestinationRule(at, Hostname(on), policy=policy)


def test_the_most_specific_host_of_the_nearest_namespace_holds() -> None:
    near, wide, far = rule("near"), rule("wide", "*.cluster.local"), rule("far")
    assert effective(REVIEWS, ((wide, near), (far,), ()), "default", frozenset()) is near
    assert effective(REVIEWS, ((wide,), (far,), ()), "default", frozenset()) is wide
    assert effective(REVIEWS, ((), (far,), (wide,)), "default", frozenset()) is far
    assert effective(host("ratings"), ((near,), (), ()), "default", frozenset()) is None


def test_a_rule_for_selected_clients_beats_the_others_for_them_alone() -> None:
    plain = rule("a-plain")
    mine = replace(rule("mine", created=NEW), workload_selector=Labels.of({"app": "x"}))
    levels = ((plain, mine), (), ())
    assert effective(REVIEWS, levels, "default", frozenset({mine.meta.ref})) is mine
    assert effective(REVIEWS, levels, "default", frozenset()) is plain


def test_rules_of_one_host_merge() -> None:
    spec = meta("DestinationRule", "x").origin
    first = replace(rule("first"), subsets=(Subset(SubsetName("v1"), Labels(), spec),))
    second = replace(
        rule("second", created=NEW, simple=SimpleBalancing.RANDOM),
        subsets=(Subset(SubsetName("v1"), Labels.of({"x": "y"}), spec), Subset(SubsetName("v2"), Labels(), spec)),
    )
    merged = merge([first, second])
    assert [subset.name for subset in merged.value.subsets] == ["v1", "v2"]
    assert merged.value.subsets[0] is first.subsets[0]
    assert (merged.value.policy, merged.findings) == (second.policy, ())
    third = rule("third", created=NEW, simple=SimpleBalancing.ROUND_ROBIN)
    assert [finding.code.id for finding in merge([first, second, third]).findings] == ["MW0202"]


def test_subset_blocks_replace_the_rule_and_ports_replace_everything() -> None:
    spec = meta("DestinationRule", "x").origin
    random, robin = LoadBalancing(SimpleBalancing.RANDOM), LoadBalancing(SimpleBalancing.ROUND_ROBIN)
    pool = ConnectionPool(max_connections=1)
    whole = TrafficPolicy(spec, load_balancing=random, connection_pool=pool)
    part = Subset(SubsetName("v1"), Labels(), spec, TrafficPolicy(spec, load_balancing=robin))
    found = policy_of(replace(rule("r"), policy=whole), part, PORT)
    assert (found.load_balancing, found.connection_pool) == (robin, pool)
    ported = replace(whole, ports=(PortPolicy(PORT, load_balancing=robin),))
    found = policy_of(replace(rule("r"), policy=ported), None, PORT)
    assert (found.load_balancing, found.connection_pool) == (robin, None)
    assert policy_of(replace(rule("r"), policy=ported), None, PortNumber(1)).load_balancing is random


def test_of_services_with_one_host_the_clients_own_then_kubernetes_then_the_oldest() -> None:
    kubernetes = service("reviews")
    entry = replace(kubernetes, meta=meta("ServiceEntry", "a", "shop", created=OLD), registry=Registry.EXTERNAL)
    older = replace(entry, meta=meta("ServiceEntry", "b", "mall", created=""))
    assert services.pick((entry, kubernetes, older), "elsewhere") is kubernetes
    assert services.pick((entry, kubernetes), "shop") is entry
    assert services.pick((older, entry), "elsewhere") is entry
    hidden = replace(kubernetes, export_to=("default",))
    assert services.pick((hidden,), "shop") is None
    assert services.pick((hidden,), "default") is hidden


@pytest.mark.parametrize(
    ("protocol", "mode", "chains"),
    [
        (Protocol.HTTP, STRICT, ["tls+http", "tls+http"]),
        (Protocol.HTTP, PERMISSIVE, ["tls+http", "raw_buffer http"]),
        (Protocol.HTTP, DISABLE, ["raw_buffer http"]),
        (Protocol.TCP, STRICT, ["tls+tcp", "tls+tcp"]),
        (Protocol.TCP, PERMISSIVE, ["tls+tcp", "tls tcp", "raw_buffer tcp"]),
        (Protocol.TCP, DISABLE, ["raw_buffer tcp"]),
        (Protocol.AUTO, STRICT, ["tls+http", "tls+tcp", "tls+tcp"]),
        (Protocol.AUTO, PERMISSIVE, ["tls+http", "raw_buffer http", "tls+tcp", "raw_buffer tcp", "tls tcp"]),
        (Protocol.AUTO, DISABLE, ["raw_buffer http", "raw_buffer tcp"]),
    ],
)
def test_inbound_chains_follow_the_table(protocol: Protocol, mode: MutualTlsMode, chains: list[str]) -> None:
    told = [
        f"{row.transport}{'+' if row.terminates else ' '}{'http' if row.http else 'tcp'}"
        for row in rows(protocol, mode)
    ]
    assert told == chains
    assert len({(row.transport, row.alpn) for row in rows(protocol, mode)}) == len(told)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_meshs_own_connections_keep_their_chains_from_permissive_to_strict(protocol: Protocol) -> None:
    """A chain that is another one afterwards ends the connections that it took."""
    ours = {row for row in rows(protocol, PERMISSIVE) if row.terminates}
    assert ours
    assert ours <= set(rows(protocol, STRICT))
    assert all(row.transport == "tls" and row.terminates for row in rows(protocol, STRICT)), "nothing in plain text"


def test_while_policies_change_servers_take_what_either_asks_for() -> None:
    before, after = (
        policies_of([], [policy(DISABLE)], is_root=False),
        policies_of([], [policy(STRICT)], is_root=False),
    )
    assert Accepted((before, after)).mode(Labels()) is PERMISSIVE
    assert Accepted((after,)).mode(Labels()) is STRICT
    assert Accepted((before,)).mode(Labels()) is DISABLE
