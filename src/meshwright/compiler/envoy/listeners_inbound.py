"""Inbound ports with their mutual TLS modes become the sidecar's inbound side: one listener that everything is
redirected to, with filter chains per port; or a listener per port where nothing is redirected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshwright.compiler.built import Built
from meshwright.compiler.chain import Direction
from meshwright.compiler.envoy.access_log import listener_logs
from meshwright.compiler.envoy.listener_filters import http_inspector, original_destination, tls_inspector
from meshwright.compiler.envoy.network_filters import http_manager, tcp_proxy
from meshwright.compiler.envoy.transport import MESH_SECRETS, trust_domains
from meshwright.compiler.features import mutual_tls
from meshwright.compiler.features.metrics.messages import may_be_grpc
from meshwright.compiler.names import (
    BLACK_HOLE,
    INBOUND_PASSTHROUGH,
    VIRTUAL_INBOUND,
    inbound_cluster,
    inbound_routes,
    outbound_listener,
)
from meshwright.compiler.proto import address, uint
from meshwright.compiler.visibility.outbound_ports import WILDCARD
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TrafficDirection
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
)
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.model.names import LISTENER, PortNumber, ResourceName
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import InboundPort, ProxyClass
from meshwright.model.settings import MeshSettings

INBOUND_PORT = PortNumber(15006)
RAW, TLS = "raw_buffer", "tls"
PLAIN_HTTP = ("http/1.1", "h2c")


@dataclass(frozen=True, slots=True)
class Row:
    """One chain of a port: which connections it takes, whether it ends their TLS, and what it reads in them."""

    transport: str
    alpn: tuple[str, ...]
    terminates: bool
    http: bool


def rows(protocol: Protocol, mode: MutualTlsMode) -> tuple[Row, ...]:
    """Istio's table of inbound chains by protocol and mode.

    The chain of the mesh's own connections is the same one in PERMISSIVE and STRICT: a change of mode between the two
    must not end them. So STRICT has a second one, for TLS that does not announce itself.
    """
    if protocol is Protocol.AUTO:
        return _DETECTED[mode]
    http = protocol.is_http
    marked = Row(TLS, mutual_tls.MESH_PROTOCOLS, terminates=True, http=http)
    plain = Row(RAW, (), terminates=False, http=http)
    match mode:
        case MutualTlsMode.STRICT:
            return (marked, Row(TLS, (), terminates=True, http=http))
        case MutualTlsMode.DISABLE:
            return (plain,)
        case _:
            own = () if http else (Row(TLS, (), terminates=False, http=False),)
            return (marked, *own, plain)


_MESH_HTTP = Row(TLS, mutual_tls.HTTP_PROTOCOLS, terminates=True, http=True)
_MESH_STREAM = Row(TLS, mutual_tls.STREAM_PROTOCOLS, terminates=True, http=False)
_PLAIN_HTTP = Row(RAW, PLAIN_HTTP, terminates=False, http=True)
_PLAIN = Row(RAW, (), terminates=False, http=False)
_DETECTED = {
    MutualTlsMode.STRICT: (_MESH_HTTP, _MESH_STREAM, Row(TLS, (), terminates=True, http=False)),
    MutualTlsMode.PERMISSIVE: (
        _MESH_HTTP,
        _PLAIN_HTTP,
        _MESH_STREAM,
        _PLAIN,
        Row(TLS, (), terminates=False, http=False),
    ),
    MutualTlsMode.DISABLE: (_PLAIN_HTTP, _PLAIN),
}


def inbound_listeners(proxy_class: ProxyClass, settings: MeshSettings) -> tuple[Built, ...]:
    """All inbound listeners of a sidecar class."""
    if proxy_class.address:
        return tuple(_own_listener(proxy_class.address, port, settings) for port in proxy_class.inbound)
    return (_virtual_inbound(proxy_class, settings),)


def _virtual_inbound(proxy_class: ProxyClass, settings: MeshSettings) -> Built:
    loop = FilterChain(
        name="virtualInbound-blackhole",
        filter_chain_match=FilterChainMatch(destination_port=uint(INBOUND_PORT)),
        filters=[tcp_proxy(BLACK_HOLE, settings, direction=Direction.INBOUND)],
    )
    chains = [loop, *_other_ports(proxy_class.passthrough_mode, settings)]
    for port in proxy_class.inbound:
        chains += _port_chains(port, settings, WILDCARD, redirected=True)
    listener = _listener(VIRTUAL_INBOUND, WILDCARD, INBOUND_PORT, chains, settings)
    listener.listener_filters.extend(_filters(proxy_class))
    return Built(LISTENER, VIRTUAL_INBOUND, listener, secrets=_secrets(listener))


def _filters(proxy_class: ProxyClass) -> Iterator[ListenerFilter]:
    """Ports where nothing has to be looked at are left out, for servers that speak first.

    For HTTP that is decided by the mode alone wherever TLS is looked at anyway (then HTTP costs nothing more): a list
    that changed with every new port would have Envoy replace the whole listener, and end every connection of the pod
    in the end, where otherwise one chain more is added. Ports of other protocols must be left out: whose first bytes
    might become HTTP (`SELECT ...`) would be waited upon until more of them came.
    """
    ports = proxy_class.inbound
    yield original_destination()
    yield tls_inspector(port.port for port in ports if not _reads_tls(port))
    yield http_inspector(port.port for port in ports if not _may_read_http(port))


def _reads_tls(port: InboundPort) -> bool:
    return any(row.transport == TLS for row in rows(port.protocol, port.mode))


def _may_read_http(port: InboundPort) -> bool:
    return _reads_http(port) or (port.protocol.is_http and _reads_tls(port))


def _reads_http(port: InboundPort) -> bool:
    return any(row.alpn == PLAIN_HTTP for row in rows(port.protocol, port.mode))


def _own_listener(bind: str, port: InboundPort, settings: MeshSettings) -> Built:
    name = outbound_listener(bind, port.port)
    chains = _port_chains(port, settings, bind, redirected=False)
    listener = _listener(name, bind, port.port, chains, settings)
    if _reads_tls(port):
        listener.listener_filters.append(tls_inspector())
    if _reads_http(port):
        listener.listener_filters.append(http_inspector())
    return Built(LISTENER, name, listener, secrets=_secrets(listener))


def _secrets(listener: Listener) -> tuple[ResourceName, ...]:
    terminates = any(made.HasField("transport_socket") for made in listener.filter_chains)
    return MESH_SECRETS if terminates else ()


def _listener(
    name: str, bind: str, port: PortNumber, chains: Iterable[FilterChain], settings: MeshSettings
) -> Listener:
    listener = Listener(
        name=name,
        address=address(bind, port),
        traffic_direction=TrafficDirection.INBOUND,
        filter_chains=chains,
        access_log=listener_logs(settings),
        continue_on_listener_filters_timeout=True,
        max_connections_to_accept_per_socket_event=uint(1),
    )
    listener.listener_filters_timeout.SetInParent()
    return listener


def _port_chains(port: InboundPort, settings: MeshSettings, bind: str, *, redirected: bool) -> Iterator[FilterChain]:
    for row in rows(port.protocol, port.mode):
        made = _chain(row, f"{bind}_{port.port}", settings)
        if redirected:
            made.filter_chain_match.destination_port.value = port.port
        made.filters.append(_last_filter(row, port, bind, settings))
        yield made


def _last_filter(row: Row, port: InboundPort, bind: str, settings: MeshSettings) -> Filter:
    if row.http:
        grpc, stat = may_be_grpc(port.protocol), f"inbound_{bind}_{port.port};"
        return http_manager(Direction.INBOUND, stat, inbound_routes(port.port), settings, grpc=grpc)
    return tcp_proxy(inbound_cluster(port.port), settings, direction=Direction.INBOUND)


def _other_ports(mode: MutualTlsMode, settings: MeshSettings) -> Iterator[FilterChain]:
    """Ports that no service has: let through, with the workload's mode."""
    for row in rows(Protocol.AUTO, mode):
        made = _chain(row, "virtualInbound-catchall-http" if row.http else "virtualInbound", settings)
        if row.http:
            stat = f"{INBOUND_PASSTHROUGH};"
            made.filters.append(http_manager(Direction.INBOUND, stat, INBOUND_PASSTHROUGH, settings))
        else:
            made.filters.append(tcp_proxy(INBOUND_PASSTHROUGH, settings, direction=Direction.INBOUND))
        yield made


def _chain(row: Row, name: str, settings: MeshSettings) -> FilterChain:
    match = FilterChainMatch(transport_protocol=row.transport, application_protocols=row.alpn)
    made = FilterChain(name=name, filter_chain_match=match)
    if row.terminates:
        alpn = mutual_tls.SERVER_HTTP if row.http else mutual_tls.SERVER_STREAM
        socket = mutual_tls.server_socket(trust_domains(settings), alpn, settings.min_tls_version)
        made.transport_socket.CopyFrom(socket)
    return made
