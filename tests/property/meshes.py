"""Random meshes: services, and VirtualServices over them with every kind of rule."""

from dataclasses import replace

from hypothesis import strategies as st

from meshwright.model.destination import Destination
from meshwright.model.destination_rule import DestinationRule, Subset
from meshwright.model.direct_response import DirectResponse
from meshwright.model.fault import Delay, Fault, GrpcAbort, HttpAbort
from meshwright.model.gateway import Gateway, Server, ServerHost
from meshwright.model.header_operations import HeaderChanges, HeaderOperations
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.mirror import Mirror
from meshwright.model.names import Hostname, Milliseconds, Namespace, PartsPerMillion, PortNumber, SubsetName
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Proxy, Role
from meshwright.model.redirect import DerivePort, Redirect
from meshwright.model.request_match import RequestMatch
from meshwright.model.retry import Retry
from meshwright.model.rewrite import Rewrite
from meshwright.model.service import Service, ServicePort
from meshwright.model.snapshot import Snapshot
from meshwright.model.string_match import MatchType, StringMatch
from meshwright.model.virtual_service import HttpRule, VirtualService, WeightedDestination
from meshwright.model.workload import ContainerPort, Workload

NAMES = ("cart", "shop", "user")
NAMESPACES = ("default", "other")
PORTS = (PortNumber(80), PortNumber(9080))
SUFFIX = "svc.cluster.local"
GATEWAY = "default/gate"
HOSTS = tuple(Hostname(f"{name}.{space}.{SUFFIX}") for name in NAMES for space in NAMESPACES)
RULE_HOSTS = (*HOSTS, Hostname("*.default.svc.cluster.local"), Hostname("books.test"), Hostname("*.test"))
SUBSETS = (None, SubsetName("v1"), SubsetName("v2"))
SHARES = st.integers(0, 1_000_000).map(PartsPerMillion)
TIMES = st.integers(1, 60_000).map(Milliseconds)
TEXTS = st.text("ab/", min_size=1, max_size=4)
MATCHES = st.one_of(
    st.just(StringMatch(MatchType.PRESENT)),
    st.builds(StringMatch, st.sampled_from((MatchType.EXACT, MatchType.PREFIX, MatchType.REGEX)), TEXTS),
)
PATHS = st.one_of(
    st.none(),
    st.just(StringMatch(MatchType.PREFIX, "/")),
    st.builds(StringMatch, st.sampled_from((MatchType.EXACT, MatchType.PREFIX)), TEXTS.map(lambda text: f"/{text}")),
    st.just(StringMatch(MatchType.REGEX, "/a.*")),
)
VALUES = st.sampled_from(("a", "%REQ(x)%", "5%"))
CHANGES = st.builds(
    HeaderChanges,
    set=st.lists(st.tuples(st.sampled_from(("host", "x-a")), VALUES), max_size=2).map(tuple),
    add=st.lists(st.tuples(st.just("x-b"), TEXTS), max_size=1).map(tuple),
    remove=st.lists(st.sampled_from(("x-c", "host")), max_size=2).map(tuple),
)
HEADERS = st.builds(HeaderOperations, CHANGES, CHANGES)
DESTINATIONS = st.builds(
    Destination,
    st.sampled_from((*HOSTS, Hostname(f"nobody.default.{SUFFIX}"))),
    st.sampled_from(SUBSETS),
    st.sampled_from((None, *PORTS, PortNumber(7))),
)
FAULTS = st.builds(
    Fault,
    st.none() | st.builds(Delay, TIMES, SHARES),
    st.builds(HttpAbort, st.integers(200, 599), SHARES) | st.builds(GrpcAbort, st.integers(0, 16), SHARES),
)
RETRIES = st.builds(
    Retry,
    st.integers(0, 5),
    st.none() | TIMES,
    st.lists(st.sampled_from(("5xx", "reset", "503", "429")), max_size=3, unique=True).map(tuple),
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    st.none() | TIMES,
)
REDIRECTS = st.builds(
    Redirect,
    uri=st.just("/new"),
    scheme=st.sampled_from((None, "http", "https")),
    derive_port=st.none() | st.sampled_from(DerivePort),
    code=st.sampled_from((301, 302, 303, 307, 308)),
)


@st.composite
def rules(draw: st.DrawFn, origin: Origin) -> HttpRule:
    """One http rule of any kind."""
    count = draw(st.integers(0, 2))
    matches = tuple(draw(_match(origin.field("match").item(index))) for index in range(count))
    plain = HttpRule(origin, draw(st.sampled_from(("", "named"))), matches, headers=draw(HEADERS))
    kind = draw(st.sampled_from(("route", "route", "route", "redirect", "answer")))
    if kind == "redirect":
        return replace(plain, redirect=draw(REDIRECTS))
    if kind == "answer":
        return replace(plain, direct_response=DirectResponse(418, draw(st.none() | st.just("no"))))
    shares = draw(st.lists(st.tuples(DESTINATIONS, st.integers(1, 100), HEADERS), min_size=1, max_size=3))
    return replace(
        plain,
        route=tuple(
            WeightedDestination(goal, weight, headers, origin.field("route").item(index))
            for index, (goal, weight, headers) in enumerate(shares)
        ),
        timeout=draw(st.none() | TIMES),
        retry=draw(st.none() | RETRIES),
        fault=draw(st.none() | FAULTS),
        rewrite=draw(st.none() | st.builds(Rewrite, uri=st.just("/x"), authority=st.none() | st.just("x.test"))),
        mirrors=tuple(
            Mirror(goal, share, origin.field("mirrors").item(index))
            for index, (goal, share) in enumerate(draw(st.lists(st.tuples(DESTINATIONS, SHARES), max_size=1)))
        ),
    )


@st.composite
def _match(draw: st.DrawFn, origin: Origin) -> RequestMatch:
    return RequestMatch(
        origin,
        uri=draw(PATHS),
        ignore_uri_case=draw(st.booleans()),
        method=draw(st.none() | st.just(StringMatch(MatchType.EXACT, "GET"))),
        headers=draw(st.just(()) | MATCHES.map(lambda one: (("x-user", one),))),
        without_headers=draw(st.just(()) | MATCHES.map(lambda one: (("x-no", one),))),
        query_params=draw(st.just(()) | MATCHES.map(lambda one: (("q", one),))),
        port=draw(st.sampled_from((None, None, *PORTS))),
        source_labels=draw(st.sampled_from((Labels(), Labels(), Labels((("app", "cart"),))))),
        source_namespace=draw(st.sampled_from((None, None, Namespace("default")))),
        gateways=draw(st.sampled_from((None, None, ("mesh",), (GATEWAY,)))),
    )


@st.composite
def virtual_services(draw: st.DrawFn) -> tuple[VirtualService, ...]:
    """Up to four, of any age, for hosts that overlap."""
    made: list[VirtualService] = []
    for number in range(draw(st.integers(0, 4))):
        ref = ObjectRef("VirtualService", draw(st.sampled_from(NAMESPACES)), f"rules-{number}")
        meta = Meta(ref, draw(st.sampled_from(("", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"))))
        http = tuple(
            draw(rules(meta.origin.field("spec").field("http").item(index)))
            for index in range(draw(st.integers(1, 3)))
        )
        hosts = tuple(draw(st.lists(st.sampled_from(RULE_HOSTS), min_size=1, max_size=2, unique=True)))
        bound = draw(st.sampled_from((("mesh",), (GATEWAY,), ("mesh", GATEWAY))))
        made.append(VirtualService(meta, hosts, bound, http))
    return tuple(made)


def service(host: Hostname, ports: tuple[PortNumber, ...]) -> Service:
    """An HTTP service with an address of its own."""
    name, namespace = host.split(".")[:2]
    meta = Meta(ObjectRef("Service", namespace, name))
    made = tuple(ServicePort(number, f"http-{number}", Protocol.HTTP, meta.origin) for number in ports)
    address = f"10.96.{NAMESPACES.index(namespace)}.{NAMES.index(name) + 1}"
    return Service(meta, host, made, addresses=(address,), selector=Labels((("app", name),)))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A mesh of up to six services, each with one workload, a gateway, and random rules."""
    hosts = draw(st.lists(st.sampled_from(HOSTS), min_size=1, unique=True))
    ports = st.lists(st.sampled_from(PORTS), min_size=1, unique=True).map(tuple)
    subsets = tuple(draw(st.sampled_from(((), ("v1",), ("v1", "v2")))))
    loads = (*(_workload(host) for host in hosts), _gateway_workload())
    return Snapshot(
        services=tuple(service(host, draw(ports)) for host in hosts),
        workloads=loads,
        virtual_services=draw(virtual_services()),
        destination_rules=tuple(_destination_rule(host, subsets) for host in hosts[:2]),
        gateways=(_gateway(),),
        proxies=tuple(Proxy(load, Role.ROUTER if load.is_gateway else Role.SIDECAR) for load in loads),
    )


def _workload(host: Hostname) -> Workload:
    name, namespace = host.split(".")[:2]
    labels = Labels.of({"app": name, "version": "v1"})
    meta = Meta(ObjectRef("Pod", namespace, f"{name}-1"), labels=labels)
    address = f"10.244.{NAMESPACES.index(namespace)}.{NAMES.index(name) + 1}"
    return Workload(meta, address, ports=(ContainerPort(PORTS[1]),), owner=name)


def _gateway_workload() -> Workload:
    meta = Meta(ObjectRef("Pod", "istio-system", "gate"), labels=Labels((("istio", "gate"),)))
    return Workload(meta, "10.244.9.1", owner="gate", is_gateway=True)


def _gateway() -> Gateway:
    meta = Meta(ObjectRef("Gateway", "default", "gate"))
    server = Server(
        meta.origin.field("spec").field("servers").item(0), PORTS[0], "http", Protocol.HTTP, (ServerHost("*", "*"),)
    )
    return Gateway(meta, Labels((("istio", "gate"),)), (server,))


def _destination_rule(host: Hostname, subsets: tuple[str, ...]) -> DestinationRule:
    name, namespace = host.split(".")[:2]
    meta = Meta(ObjectRef("DestinationRule", namespace, name))
    made = tuple(
        Subset(SubsetName(one), Labels((("version", one),)), meta.origin.field("spec").field("subsets").item(index))
        for index, one in enumerate(subsets)
    )
    return DestinationRule(meta, host, subsets=made)
