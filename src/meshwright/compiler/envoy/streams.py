"""VirtualService tcp and tls rules, and services without such rules, become chains that forward connections."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshwright.compiler.envoy.network_filters import as_stream, weighted_tcp_proxy
from meshwright.compiler.envoy.targets import Target, aim, target_of, unknown_host_hint
from meshwright.compiler.names import outbound_cluster
from meshwright.compiler.proto import prefix
from meshwright.compiler.visibility.conditions import holds
from meshwright.compiler.visibility.view import VisibleService
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.hosts import covers
from meshwright.model.names import Hostname, PortNumber, ResourceName
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import ProxyClass
from meshwright.model.service import ServicePort
from meshwright.model.settings import MeshSettings
from meshwright.model.virtual_service import StreamMatch, StreamRule, VirtualService

EVERY_NAME = "*"  # Envoy knows no such server name: any is meant


@dataclass(frozen=True, slots=True)
class Stream:
    """One filter chain for connections: what it takes, and where they go. Empty conditions take everything.

    `detected`: the port's protocol is looked at, and these are the connections that are not HTTP.
    """

    clusters: tuple[tuple[ResourceName, int], ...]
    stat_prefix: str
    origin: Origin
    server_names: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    detected: bool = False

    @property
    def condition(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Two chains of one listener must differ in this."""
        return self.server_names, self.subnets


@dataclass(frozen=True, slots=True)
class Routed:
    """Chains in the order in which they are to be tried, and what was wrong with the rules."""

    streams: tuple[Stream, ...]
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What stream rules are judged by: who asks, through which gateways (`mesh` for sidecars), what is known."""

    proxy_class: ProxyClass
    gateways: frozenset[str]
    services: Mapping[Hostname, VisibleService]


def service_streams(
    visible: VisibleService, port: ServicePort, virtual_services: Iterable[VirtualService], rules: Rules
) -> Routed:
    """The chains of one port of one service on a sidecar. TLS is routed by server name; a rule set without
    catch-all leaves the rest to the service itself.
    """
    service = visible.service
    tls = port.protocol.is_tls
    bound = [rule for rule in virtual_services if _names(rule, service.host)]
    streams: list[Stream] = []
    findings: list[Diagnostic] = []
    for virtual_service in bound:
        routed = rule_streams(
            virtual_service, virtual_service.tls if tls else virtual_service.tcp, port.number, rules
        )
        streams += routed.streams
        findings += routed.findings
    if not (tls and streams) and not any(stream.condition == ((), ()) for stream in streams):
        streams.append(_default(visible, port))
    if port.protocol is Protocol.AUTO:
        streams = [_detected(stream) for stream in streams]
    return Routed(tuple(streams), tuple(findings))


def rule_streams(
    virtual_service: VirtualService, stream_rules: Iterable[StreamRule], port: PortNumber, rules: Rules
) -> Routed:
    """The chains of the rules that hold for this class and port, in the user's order."""
    streams: list[Stream] = []
    findings: list[Diagnostic] = []
    for rule in stream_rules:
        matches = list(_matches(virtual_service, rule, port, rules))
        if not matches:
            continue
        clusters, wrong = _clusters(rule, port, rules.services)
        findings += wrong
        meta = virtual_service.meta
        streams += (
            Stream(clusters, f"{meta.name}.{meta.namespace}", rule.origin, match.sni_hosts, match.destination_subnets)
            for match in matches
            if clusters
        )
    return Routed(tuple(streams), tuple(findings))


def chain(stream: Stream, settings: MeshSettings, name: str = "") -> FilterChain:
    """The Envoy filter chain of a stream; the caller adds what its listener needs."""
    names = () if EVERY_NAME in stream.server_names else stream.server_names
    match = FilterChainMatch(server_names=names, prefix_ranges=[prefix(subnet) for subnet in stream.subnets])
    if stream.server_names:
        match.transport_protocol = "tls"
    proxy = weighted_tcp_proxy(stream.stat_prefix, stream.clusters, settings)
    filters = (as_stream(), proxy) if stream.detected else (proxy,)
    made = FilterChain(filters=filters, name=name)
    if match.ByteSize():
        made.filter_chain_match.CopyFrom(match)
    return made


def _matches(
    virtual_service: VirtualService, rule: StreamRule, port: PortNumber, rules: Rules
) -> Iterator[StreamMatch]:
    if not rule.matches and not rules.gateways.isdisjoint(virtual_service.gateways):
        yield StreamMatch(rule.origin)
    for match in rule.matches:
        if match.port in (None, port) and holds(match, virtual_service, rules.proxy_class, rules.gateways):
            yield match


def _clusters(
    rule: StreamRule, port: PortNumber, services: Mapping[Hostname, VisibleService]
) -> tuple[tuple[tuple[ResourceName, int], ...], tuple[Diagnostic, ...]]:
    found: list[tuple[ResourceName, int]] = []
    findings: list[Diagnostic] = []
    alone = len(rule.route) == 1
    for weighted in rule.route:
        if not weighted.weight and not alone:
            continue
        host = weighted.destination.host
        visible = target_of(host, services)
        hint = unknown_host_hint(host, services) if visible is None else ""
        target = Target(host, visible.service if visible else None, visible.rule if visible else None, hint)
        aimed = aim(weighted.destination, target, port, weighted.origin.field("destination"))
        findings += aimed.findings
        found.append((aimed.cluster, 1 if alone else weighted.weight))
    return tuple(found), tuple(findings)


def _default(visible: VisibleService, port: ServicePort) -> Stream:
    service = visible.service
    cluster = outbound_cluster(port.number, service.host)
    names = (service.host,) if port.protocol.is_tls and not service.addresses and not service.headless else ()
    return Stream(((cluster, 1),), cluster, port.origin, names)


def _detected(stream: Stream) -> Stream:
    return Stream(
        stream.clusters, stream.stat_prefix, stream.origin, stream.server_names, stream.subnets, detected=True
    )


def _names(virtual_service: VirtualService, host: Hostname) -> bool:
    return any(covers(pattern, host) for pattern in virtual_service.hosts)
