"""The servers of all Gateways of one proxy become listeners: merged by port, conflicts settled, oldest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from meshwright.compiler.names import gateway_http_routes, gateway_https_routes
from meshwright.model import codes
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.gateway import Gateway, Server, ServerTlsMode
from meshwright.model.names import PortNumber, ResourceName
from meshwright.model.protocol import Protocol

OWN_PORTS = {15021: "the health port", 15090: "the metrics port"}
"""Where every proxy listens for itself: Envoy passes over another listener there without a word."""


class Transport(StrEnum):
    """What a gateway's port takes; one port takes one of them."""

    HTTP = "plain HTTP"
    TLS = "TLS"
    TCP = "TCP"


@dataclass(frozen=True, slots=True)
class BoundServer:
    """A server that is served. `routes` names the route configuration of an HTTP server; None for streams
    (TLS passed through, TCP), which VirtualService tls and tcp rules route. `terminates`: TLS ends here.
    """

    gateway: Gateway
    server: Server
    routes: ResourceName | None
    terminates: bool


@dataclass(frozen=True, slots=True)
class PortServers:
    """All servers of one listener. `port` is where the gateway listens (the target port); `bind` "" = everywhere."""

    port: PortNumber
    bind: str
    transport: Transport
    servers: tuple[BoundServer, ...]


@dataclass(slots=True)
class _Port:
    transport: Transport
    servers: list[BoundServer]
    names: dict[str, BoundServer]
    routes: set[ResourceName]


def merge_servers(
    gateways: Iterable[Gateway], gateway_ports: tuple[tuple[PortNumber, PortNumber], ...]
) -> Checked[tuple[PortServers, ...]]:
    """What the gateways (oldest first) open. `gateway_ports` translates service ports to target ports."""
    targets = dict(gateway_ports)
    ports: dict[tuple[PortNumber, str], _Port] = {}
    findings: list[Diagnostic] = []
    for gateway in gateways:
        for server in gateway.servers:
            target = targets.get(server.port, server.port)
            bound = _bind(gateway, server, target)
            transport = transport_of(server)
            if target in OWN_PORTS and not server.bind:
                args = (str(server.port), OWN_PORTS[target], "every proxy")
                findings.append(Diagnostic(codes.PORT_TAKEN, server.origin.field("port"), args))
                continue
            port = ports.setdefault((target, server.bind), _Port(transport, [], {}, set()))
            finding = _conflict(port, transport, bound)
            if finding is None:
                port.servers.append(bound)
            else:
                findings.append(finding)
    merged = tuple(
        PortServers(number, bind, port.transport, tuple(port.servers))
        for (number, bind), port in sorted(ports.items())
    )
    return Checked(merged, tuple(findings))


def transport_of(server: Server) -> Transport:
    """What the server's listener must be."""
    if server.protocol.is_tls or (server.tls is not None and server.tls.mode is not None):
        return Transport.TLS
    return Transport.HTTP if server.protocol.is_http or server.protocol is Protocol.AUTO else Transport.TCP


def _bind(gateway: Gateway, server: Server, target: PortNumber) -> BoundServer:
    transport = transport_of(server)
    if transport is Transport.HTTP:
        return BoundServer(gateway, server, gateway_http_routes(target, server.bind), terminates=False)
    mode = server.tls.mode if server.tls is not None else None
    passes = mode in (ServerTlsMode.PASSTHROUGH, ServerTlsMode.AUTO_PASSTHROUGH)
    terminates = transport is Transport.TLS and not passes
    if terminates and (server.protocol is Protocol.HTTPS or server.protocol.is_http):
        meta = gateway.meta
        name = gateway_https_routes(server.port, server.port_name, meta.name, meta.namespace, server.bind)
        return BoundServer(gateway, server, name, terminates=True)
    return BoundServer(gateway, server, None, terminates=terminates)


def _conflict(port: _Port, transport: Transport, bound: BoundServer) -> Diagnostic | None:
    """Claim what the server needs of the port; a finding when somebody older has it."""
    server = bound.server
    taken = str(server.port)
    if port.transport is not transport or (transport is Transport.TCP and port.servers):
        older = str(port.servers[0].gateway.meta.ref) if port.servers else "another server"
        return Diagnostic(codes.PORT_TAKEN, server.origin.field("port"), (taken, port.transport.value, older))
    if transport is not Transport.TLS:
        return None
    for index, host in enumerate(server.hosts):
        if (other := port.names.get(host.host)) is not None:
            at = server.origin.field("hosts").item(index)
            return Diagnostic(codes.SNI_TAKEN, at, (host.host, taken, str(other.gateway.meta.ref)))
    if bound.routes is not None and bound.routes in port.routes:
        at = server.origin.field("port").field("name")
        return Diagnostic(codes.PORT_TAKEN, at, (server.port_name, "the port name", str(bound.gateway.meta.ref)))
    port.names.update((host.host, bound) for host in server.hosts)
    if bound.routes is not None:
        port.routes.add(bound.routes)
    return None
