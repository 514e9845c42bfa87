"""Laws of the compiler over made-up meshes: order means nothing, memory means nothing, classes mean bytes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as some

from meshwright.compiler.compile import Compiler, resources_json
from meshwright.model.client_tls import ClientTls, ClientTlsMode
from meshwright.model.destination import Destination
from meshwright.model.destination_rule import DestinationRule, Subset, TrafficPolicy
from meshwright.model.gateway import Gateway, Server, ServerHost
from meshwright.model.header_operations import HeaderOperations
from meshwright.model.labels import Labels
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, PortNumber, ProxyName, SubsetName
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, Proxy
from meshwright.model.published import Published
from meshwright.model.request_match import RequestMatch
from meshwright.model.service import Registry, Resolution, Service, StaticEndpoint
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import (
    HttpRule,
    StreamMatch,
    StreamRule,
    VirtualService,
    WeightedDestination,
)
from meshwright.model.workload import Workload
from tests.compiler.meshes import host, meta, proxy, service, workload
from tests.examples import examples

NAMES = ("details", "ratings", "reviews")
NAMESPACES = ("default", "shop", "istio-system")
PROTOCOLS = (Protocol.HTTP, Protocol.GRPC, Protocol.TCP, Protocol.AUTO, Protocol.TLS)
TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
FEW = examples(25, 150)

names, namespaces = some.sampled_from(NAMES), some.sampled_from(NAMESPACES)
ages = some.sampled_from(("", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))
exports = some.sampled_from((("*",), ("default",), ("shop",)))
modes = some.sampled_from(list(MutualTlsMode))
versions = some.sampled_from(("v1", "v2"))
weights = some.integers(1, 100)


@some.composite
def services(draw: some.DrawFn) -> Service:
    name, namespace = draw(names), draw(namespaces)
    ports = [
        (9080 + index, protocol)
        for index, protocol in enumerate(draw(some.lists(some.sampled_from(PROTOCOLS), min_size=1, max_size=2)))
    ]
    made = service(
        name, *ports, namespace=namespace, address=f"10.96.0.{NAMES.index(name) + 1}" if draw(some.booleans()) else ""
    )
    if draw(some.integers(0, 4)) == 0:
        made = replace(made, addresses=(), headless=True, resolution=Resolution.NONE)
    return replace(made, export_to=draw(exports), meta=replace(made.meta, created=draw(ages)))


@some.composite
def entries(draw: some.DrawFn) -> Service:
    """Hosts of ServiceEntries."""
    name, namespace = draw(names), draw(namespaces)
    own = replace(
        service(name, (80, draw(some.sampled_from(PROTOCOLS))), namespace=namespace),
        meta=meta("ServiceEntry", name, namespace, created=draw(ages)),
        registry=Registry.EXTERNAL,
        selector=Labels(),
        resolution=draw(some.sampled_from((Resolution.DNS, Resolution.STATIC, Resolution.NONE))),
        mesh_external=draw(some.booleans()),
    )
    if own.resolution is Resolution.STATIC:
        own = replace(own, endpoints=(StaticEndpoint("10.244.0.1", own.meta.origin),))
    return own if draw(some.booleans()) else replace(own, host=host(name, namespace).replace("cluster.local", "test"))


@some.composite
def pods(draw: some.DrawFn) -> Workload:
    name, version = draw(names), draw(versions)
    number = draw(some.integers(1, 6))
    made = workload(name, f"10.244.0.{number}", f"{version}-{number}", namespace=draw(namespaces))
    labels = {"app": name, "version": version, "pod-template-hash": str(number)}
    return replace(made, meta=replace(made.meta, labels=Labels.of(labels)), ready=draw(some.booleans()))


@some.composite
def rules(draw: some.DrawFn) -> DestinationRule:
    name, namespace = draw(names), draw(namespaces)
    at = meta("DestinationRule", f"{name}-{draw(versions)}", namespace, created=draw(ages))
    spec = at.origin.field("spec")
    tls = draw(some.sampled_from((None, ClientTls(ClientTlsMode.DISABLE), ClientTls(ClientTlsMode.ISTIO_MUTUAL))))
    return DestinationRule(
        at,
        host(name, draw(namespaces)),
        policy=TrafficPolicy(spec, tls=tls) if draw(some.booleans()) else None,
        subsets=tuple(
            Subset(SubsetName(one), Labels.of({"version": one}), spec) for one in draw(some.sets(versions))
        ),
        export_to=draw(exports),
        workload_selector=draw(some.sampled_from((Labels(), Labels.of({"app": "details"})))),
    )


@some.composite
def routings(draw: some.DrawFn) -> VirtualService:
    name, namespace = draw(names), draw(namespaces)
    at = meta("VirtualService", f"{name}-{draw(versions)}", namespace, created=draw(ages))
    where = at.origin.field("spec")
    route = tuple(
        WeightedDestination(
            Destination(host(name, namespace), SubsetName(one), PortNumber(9080)),
            draw(weights),
            HeaderOperations(),
            where,
        )
        for one in sorted(draw(some.sets(versions, min_size=1)))
    )
    labels = draw(some.sampled_from((Labels(), Labels.of({"version": "v1"}))))
    gateways = draw(some.sampled_from((("mesh",), ("default/public",), ("mesh", "default/public"))))
    export = draw(exports)
    if draw(some.booleans()):
        match = RequestMatch(where.field("http").item(0).field("match").item(0), source_labels=labels)
        http = (
            HttpRule(where.field("http").item(0), matches=(match,), route=route),
            HttpRule(where.field("http").item(1), route=route),
        )
        return VirtualService(at, (host(name, namespace),), gateways, http=http, export_to=export)
    match = StreamMatch(where.field("tcp").item(0).field("match").item(0), source_labels=labels)
    tcp = (StreamRule(where.field("tcp").item(0), (match,), route),)
    return VirtualService(at, (host(name, namespace),), gateways, tcp=tcp, export_to=export)


@some.composite
def policies(draw: some.DrawFn) -> PeerAuthentication:
    namespace, name = draw(namespaces), draw(names)
    selector = draw(some.sampled_from((Labels(), Labels.of({"app": name}))))
    ports = ((PortNumber(9080), draw(modes)),) if selector else ()
    return PeerAuthentication(
        meta("PeerAuthentication", name, namespace, created=draw(ages)), draw(modes), selector, ports
    )


def _gateway() -> Gateway:
    at = meta("Gateway", "public")
    server = Server(at.origin.field("spec"), PortNumber(80), "http", Protocol.HTTP, (ServerHost("*", "*"),))
    return Gateway(at, Labels.of({"istio": "ingressgateway"}), (server,))


def _distinct(items: list[Any]) -> tuple[Any, ...]:
    return tuple({(one.meta.ref, getattr(one, "host", "")): one for one in items}.values())


@some.composite
def meshes(draw: some.DrawFn) -> Snapshot:
    """Anything goes together, objects of one name do not."""
    gateway = workload("istio-ingressgateway", "10.244.9.9", namespace="istio-system", gateway=True)
    workloads: tuple[Workload, ...] = (*_distinct(draw(some.lists(pods(), max_size=5))), gateway)
    interceptions = draw(some.sampled_from((Interception.UID, Interception.MARK)))
    return Snapshot(
        services=_distinct([*draw(some.lists(services(), max_size=4)), *draw(some.lists(entries(), max_size=2))]),
        workloads=workloads,
        virtual_services=_distinct(draw(some.lists(routings(), max_size=3))),
        destination_rules=_distinct(draw(some.lists(rules(), max_size=4))),
        gateways=(_gateway(),),
        peer_authentications=_distinct(draw(some.lists(policies(), max_size=3))),
        proxies=tuple(proxy(one, interceptions) for one in workloads),
    )


Bytes = Mapping[tuple[str, str], bytes]


@dataclass(frozen=True)
class Outcome:
    """A compilation without objects' identities and orders."""

    classes: Mapping[ProxyName, Any]
    resources: Mapping[ProxyName, Bytes]
    versions: Mapping[ProxyName, Mapping[tuple[str, str], str]]
    secrets: Mapping[ProxyName, tuple[str, ...]]
    diagnostics: tuple[Any, ...]


def outcome(published: Published) -> Outcome:
    return Outcome(
        dict(published.proxies),
        {name: bytes_of(published, name) for name in published.proxies},
        {
            name: {
                (url, one): made.version
                for url, all_of in published.classes[found].items()
                for one, made in all_of.items()
            }
            for name, found in published.proxies.items()
        },
        {name: tuple(published.secrets[found]) for name, found in published.proxies.items()},
        published.diagnostics,
    )


def bytes_of(published: Published, name: ProxyName) -> Bytes:
    found = published.resources_of(name)
    assert found is not None
    return {(url, one): made.value for url, all_of in found.items() for one, made in all_of.items()}


def shuffled(snapshot: Snapshot, dice: Any) -> Snapshot:
    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        order = list(items)
        dice.shuffle(order)
        return tuple(order)

    return replace(
        snapshot,
        services=mixed(snapshot.services),
        workloads=mixed(snapshot.workloads),
        virtual_services=mixed(snapshot.virtual_services),
        destination_rules=mixed(snapshot.destination_rules),
        peer_authentications=mixed(snapshot.peer_authentications),
        proxies=mixed(snapshot.proxies),
    )


@FEW
@given(meshes(), some.randoms(use_true_random=False))
def test_the_order_of_objects_means_nothing(snapshot: Snapshot, dice: Any) -> None:
    assert outcome(Compiler().compile(shuffled(snapshot, dice))) == outcome(Compiler().compile(snapshot))


@FEW
@given(some.lists(meshes(), min_size=2, max_size=4), some.data())
def test_what_was_compiled_before_means_nothing(snapshots: list[Snapshot], data: some.DataObject) -> None:
    """Also for mixtures of meshes that share objects, as snapshots of a living mesh do."""
    compiler = Compiler(audit=True)
    for snapshot in snapshots:
        other = data.draw(some.sampled_from(snapshots))
        mixture = replace(
            snapshot,
            destination_rules=other.destination_rules,
            virtual_services=data.draw(some.sampled_from((snapshot, other))).virtual_services,
            peer_authentications=data.draw(some.sampled_from((snapshot, other))).peer_authentications,
        )
        for mesh in (snapshot, mixture):
            assert outcome(compiler.compile(mesh)) == outcome(Compiler().compile(mesh))


@FEW
@given(meshes())
def test_equal_classes_are_equal_bytes(snapshot: Snapshot) -> None:
    """Equal keys share their resources; proxies of one namespace with equal bytes have equal keys, but for
    conditions and selectors that hold without any effect.
    """
    published = Compiler().compile(snapshot)
    for one, found in published.proxies.items():
        for other, also in published.proxies.items():
            if found == also:
                assert published.resources_of(one) is published.resources_of(other)
            elif bytes_of(published, one) == bytes_of(published, other):
                bare, alike = replace(found, rules=(), matched=()), replace(also, rules=(), matched=())
                assert bare.namespace != alike.namespace or bare == alike


@FEW
@given(meshes())
def test_labels_that_nothing_selects_mean_nothing(snapshot: Snapshot) -> None:
    def relabelled(one: Workload) -> Workload:
        labels = Labels.of({**dict(one.labels.pairs), "pod-template-hash": "other", "team": "x"})
        return replace(one, meta=replace(one.meta, labels=labels))

    changed = {id(one): relabelled(one) for one in snapshot.workloads}
    later = replace(
        snapshot,
        workloads=tuple(changed.values()),
        proxies=tuple(Proxy(changed[id(one.workload)], one.role, one.interception) for one in snapshot.proxies),
    )
    assert outcome(Compiler().compile(later)) == outcome(Compiler().compile(snapshot))


@FEW
@given(meshes())
def test_what_is_referred_to_exists(snapshot: Snapshot) -> None:
    """Endpoints of every cluster that asks for them and no others; routes of every listener and no others."""
    published = Compiler().compile(snapshot)
    assert not [one for one in published.diagnostics if one.code.id == "MW0601"]
    for name, found in published.proxies.items():
        made = resources_json(published, name)
        asked = {one["name"] for one in made["clusters"] if one.get("type") == "EDS"}
        assert asked == {one["cluster_name"] for one in made["endpoints"]}
        named = set(_values(made["listeners"], "route_config_name"))
        routes = {one["name"] for one in made["routes"]}
        detected = {f"{one.host}:{port.number}" for one in snapshot.services for port in one.ports}
        assert named <= routes <= named | detected  # such a service may have no address of its own to listen at
        clusters = {one["name"] for one in made["clusters"]}
        assert (
            not {one for one in _values(made["listeners"], "cluster") if isinstance(one, str)}
            - clusters
            - _unknown(published)
        )
        secrets = {one["name"] for one in _values_of_secrets([made["listeners"], made["clusters"]])}
        assert secrets == set(published.secrets[found])


def _unknown(published: Published) -> set[str]:
    """Clusters that rules name though nobody has them; that was said."""
    wrong = [one for one in published.diagnostics if re.fullmatch("MW010[1-4]", one.code.id)]
    if not wrong:
        return set()
    return {
        f"outbound|{port}|{subset}|{host(name, namespace)}"
        for port in (80, 9080, 9081)
        for subset in ("", "v1", "v2")
        for name in NAMES
        for namespace in NAMESPACES
    }


def _values(tree: Any, key: str) -> Iterator[Any]:
    return (value for one in _objects(tree) for name, value in one.items() if name == key)


def _values_of_secrets(tree: Any) -> Iterator[dict[str, Any]]:
    return (one for one in _objects(tree) if "sds_config" in one)


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects in a tree."""
    if isinstance(tree, dict):
        found = cast("dict[str, Any]", tree)
        yield found
        for value in found.values():
            yield from _objects(value)
    elif isinstance(tree, list):
        for value in cast("list[Any]", tree):
            yield from _objects(value)
