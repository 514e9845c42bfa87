"""What services ask of a sidecar's outbound side becomes its listeners.

Each port of a service makes *claims* on listeners; a listener is built of all claims on its address and port. HTTP
claims of a port are equal values, so a thousand HTTP services on one port make one listener that never changes; it
changes once, when the first of them comes that may speak gRPC, whose messages are counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from meshwright.compiler.built import Built
from meshwright.compiler.chain import Direction
from meshwright.compiler.envoy.access_log import listener_logs
from meshwright.compiler.envoy.listener_filters import http_inspector, tls_inspector
from meshwright.compiler.envoy.network_filters import http_manager, tcp_proxy
from meshwright.compiler.envoy.streams import Stream, chain
from meshwright.compiler.features.metrics.messages import may_be_grpc
from meshwright.compiler.names import BLACK_HOLE, HTTP_PROXY, PASSTHROUGH, VIRTUAL_OUTBOUND, outbound_listener
from meshwright.compiler.proto import address, flag, uint
from meshwright.compiler.resolve.endpoints import Endpoint
from meshwright.compiler.visibility.outbound_ports import WILDCARD, Shape, own_addresses, routes_name, shape
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TrafficDirection
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import LISTENER, ElementPath, PortNumber, ResourceName
from meshwright.model.origin import Origin
from meshwright.model.service import Service, ServicePort
from meshwright.model.settings import MeshSettings, OutboundMode

OUTBOUND_PORT = PortNumber(15001)
PLAIN_HTTP = ("http/1.1", "h2c")
RAW = "raw_buffer"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one service port wants of the listener at `bind`:`port`. `age` decides who came first; HTTP claims on
    the wildcard address have none, so that they are equal. `grpc`: its HTTP may be gRPC.
    """

    bind: str
    port: PortNumber
    routes: ResourceName | None = None
    streams: tuple[Stream, ...] = ()
    age: tuple[bool, str, str, str] = (False, "", "", "")
    owner: str = ""
    origin: Origin | None = None
    grpc: bool = False


def claims(
    service: Service, port: ServicePort, endpoints: tuple[Endpoint, ...], streams: tuple[Stream, ...]
) -> tuple[Claim, ...]:
    """The listeners that one service port needs. `streams`: its connections' chains (not for plain HTTP)."""
    routes, grpc = routes_name(service, port), may_be_grpc(port.protocol)
    match shape(service, port):
        case Shape.NONE:
            return ()
        case Shape.HTTP:
            return (Claim(WILDCARD, port.number, routes, grpc=grpc),)
        case Shape.SNIFFED | Shape.STREAM:
            ranges = tuple(one for one in service.addresses if "/" in one)
            binds = own_addresses(service)
            if service.headless:
                binds = tuple(sorted({one.address for one in endpoints if ":" not in one.address}))
            who = str(service.meta.ref)
            made = [
                Claim(bind, port.number, routes, streams, service.meta.age, who, port.origin, grpc) for bind in binds
            ]
            if ranges or not (binds or service.headless):
                within = tuple(_within(stream, ranges) for stream in streams)
                made.append(Claim(WILDCARD, port.number, None, within, service.meta.age, who, port.origin))
            return tuple(made)


def _within(stream: Stream, ranges: tuple[str, ...]) -> Stream:
    subnets = stream.subnets or ranges
    return Stream(stream.clusters, stream.stat_prefix, stream.origin, stream.server_names, subnets, stream.detected)


def outbound(claimed: Iterable[Claim], settings: MeshSettings) -> Built:
    """The listener of all claims on one address and port (at least one)."""
    ordered = sorted(set(claimed), key=lambda claim: (claim.age, claim.owner, claim.routes or ""))
    bind, port = ordered[0].bind, ordered[0].port
    name = outbound_listener(bind, port)
    listener = Listener(
        name=name,
        address=address(bind, port),
        bind_to_port=flag(value=False),
        traffic_direction=TrafficDirection.OUTBOUND,
        access_log=listener_logs(settings),
        max_connections_to_accept_per_socket_event=uint(1),
    )
    listener.listener_filters_timeout.SetInParent()
    listener.continue_on_listener_filters_timeout = True
    routes = next((claim.routes for claim in ordered if claim.routes is not None), None)
    if routes is not None:
        grpc = any(claim.grpc for claim in ordered)
        listener.filter_chains.append(_http_chain(name, routes, settings, grpc=grpc))
    findings, origins = _add_streams(listener, ordered, settings)
    if not listener.HasField("default_filter_chain"):
        listener.default_filter_chain.CopyFrom(fallthrough(settings))
    _inspect(listener, http=routes is not None)
    whole = tuple((ElementPath(""), claim.origin) for claim in ordered if claim.origin is not None)
    return Built(LISTENER, name, listener, whole + origins, findings=findings)


def _http_chain(name: str, routes: ResourceName, settings: MeshSettings, *, grpc: bool) -> FilterChain:
    manager = http_manager(Direction.OUTBOUND, f"outbound_{name};", routes, settings, grpc=grpc)
    match = FilterChainMatch(transport_protocol=RAW, application_protocols=PLAIN_HTTP)
    return FilterChain(filter_chain_match=match, filters=[manager])


def _add_streams(
    listener: Listener, ordered: list[Claim], settings: MeshSettings
) -> tuple[tuple[Diagnostic, ...], tuple[tuple[ElementPath, Origin], ...]]:
    """A chain of an older claim stands; a younger one with the same condition is dropped."""
    taken: dict[object, Claim] = {}
    findings: list[Diagnostic] = []
    origins: list[tuple[ElementPath, Origin]] = []
    for claim in ordered:
        lost: Claim | None = None
        for stream in claim.streams:
            older = taken.setdefault(stream.condition, claim)
            if older is claim and not _repeats(stream, claim):
                origins.append((_place(listener, chain(stream, settings)), stream.origin))
            elif older is not claim:
                lost = older
        if lost is not None and claim.origin is not None:
            findings.append(Diagnostic(codes.PORT_CONFLICT, claim.origin, (lost.owner, str(claim.port))))
    return tuple(findings), tuple(origins)


def _place(listener: Listener, made: FilterChain) -> ElementPath:
    """A chain that takes everything is the default: beside a chain for plain HTTP, Envoy would not find it among
    the others (it does not go back once it has followed the transport protocol).
    """
    if made.HasField("filter_chain_match"):
        listener.filter_chains.append(made)
        return ElementPath(f"filter_chains[{len(listener.filter_chains) - 1}]")
    listener.default_filter_chain.CopyFrom(made)
    return ElementPath("default_filter_chain")


def _repeats(stream: Stream, claim: Claim) -> bool:
    """Whether an earlier rule of the same service already takes these connections."""
    first = next(one for one in claim.streams if one.condition == stream.condition)
    return first is not stream


def _inspect(listener: Listener, *, http: bool) -> None:
    """Look at the first bytes only where a chain depends on them: a server that speaks first would wait."""
    by_name = any(made.filter_chain_match.server_names for made in listener.filter_chains)
    if http or by_name:
        listener.listener_filters.append(tls_inspector())
    if http:
        listener.listener_filters.append(http_inspector())


def fallthrough(settings: MeshSettings, name: str = "PassthroughFilterChain") -> FilterChain:
    """Connections to nobody we know: let through, or nowhere, as the mesh settings say."""
    allowed = settings.outbound_mode is OutboundMode.ALLOW_ANY
    return FilterChain(name=name, filters=[tcp_proxy(PASSTHROUGH if allowed else BLACK_HOLE, settings)])


def virtual_outbound(settings: MeshSettings) -> Built:
    """Where all outbound connections arrive: handed to the listener of their original destination, if there is."""
    loop = FilterChain(
        name="virtualOutbound-blackhole",
        filter_chain_match=FilterChainMatch(destination_port=uint(OUTBOUND_PORT)),
        filters=[tcp_proxy(BLACK_HOLE, settings)],
    )
    listener = Listener(
        name=VIRTUAL_OUTBOUND,
        address=address(WILDCARD, OUTBOUND_PORT),
        use_original_dst=flag(value=True),
        traffic_direction=TrafficDirection.OUTBOUND,
        filter_chains=[loop, fallthrough(settings, "virtualOutbound-catchall-tcp")],
        access_log=listener_logs(settings),
        max_connections_to_accept_per_socket_event=uint(1),
    )
    return Built(LISTENER, VIRTUAL_OUTBOUND, listener)


def http_proxy(bind: str, settings: MeshSettings) -> Built:
    """Interception NONE: applications come here by their http_proxy setting, for all ports."""
    name = outbound_listener(bind, OUTBOUND_PORT)
    listener = Listener(
        name=name,
        address=address(bind, OUTBOUND_PORT),
        traffic_direction=TrafficDirection.OUTBOUND,
        filter_chains=[
            FilterChain(filters=[http_manager(Direction.OUTBOUND, f"outbound_{name};", HTTP_PROXY, settings)])
        ],
        access_log=listener_logs(settings),
        max_connections_to_accept_per_socket_event=uint(1),
    )
    return Built(LISTENER, name, listener)
