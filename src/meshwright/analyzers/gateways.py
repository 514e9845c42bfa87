"""Gateways that get into each other's way, that nobody reaches, or that lead nowhere."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, gateway_name, listed
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway, Server, ServerHost
from meshwright.model.hosts import covers
from meshwright.model.service import Service
from meshwright.model.workload import Workload


def _gateways(scene: Scene) -> Iterable[Gateway]:
    return scene.snapshot.gateways


def _check(scene: Scene, gateway: Gateway) -> Iterator[Diagnostic]:
    routers = [load for load in scene.routers if load.labels.includes(gateway.selector)]
    if gateway_name(gateway) not in scene.bound and any(server.tls is None for server in gateway.servers):
        yield Diagnostic(codes.GATEWAY_WITHOUT_RULES, gateway.meta.origin, (gateway_name(gateway),))
    services = {service.meta.ref: service for load in routers for service in scene.selecting(load)}
    for server in gateway.servers:
        yield from _unreached(server, routers, services.values())
        for other in scene.snapshot.gateways:
            if other is not gateway and any(load.labels.includes(other.selector) for load in routers):
                yield from _overlaps(gateway, server, other)


def _unreached(server: Server, routers: list[Workload], services: Iterable[Service]) -> Iterator[Diagnostic]:
    """A server's port is the pod's, or a Service's that leads to it. Without any Service nothing is known."""
    known = list(services)
    ports = {
        int(number)
        for service in known
        for port in service.ports
        for number in (port.number, port.target or 0)
        if isinstance(number, int)
    }
    named = {each for service in known for port in service.ports if isinstance(each := port.target, str)}
    ports |= {each.number for load in routers for each in load.ports if each.name in named}
    if known and server.port not in ports:
        args = (str(server.port), listed(sorted(str(service.meta.ref) for service in known)))
        yield Diagnostic(codes.PORT_NOT_ON_SERVICE, server.origin.field("port").field("number"), args)


def _overlaps(gateway: Gateway, server: Server, other: Gateway) -> Iterator[Diagnostic]:
    """Told of the younger one."""
    if gateway.meta.age < other.meta.age:
        return
    for theirs in other.servers:
        if theirs.port == server.port and theirs.protocol.is_http and server.protocol.is_http:
            for index, host in enumerate(server.hosts):
                if any(_same(host, one) for one in theirs.hosts):
                    at = server.origin.field("hosts").item(index)
                    yield Diagnostic(codes.SERVED_TWICE, at, (host.host, str(server.port), str(other.meta.ref)))
        elif _credential(server) and _credential(server) == _credential(theirs) and _apart(server, theirs):
            at = server.origin.field("tls").field("credentialName")
            yield Diagnostic(codes.CERTIFICATE_SHARED, at, (_credential(server), str(other.meta.ref)))


def _same(one: ServerHost, other: ServerHost) -> bool:
    return one.host == other.host and (one.namespace == other.namespace or "*" in (one.namespace, other.namespace))


def _credential(server: Server) -> str:
    return "" if server.tls is None else server.tls.credential_name


def _apart(server: Server, theirs: Server) -> bool:
    return server.port == theirs.port and not any(
        covers(one.host, other.host) or covers(other.host, one.host) for one in server.hosts for other in theirs.hosts
    )


ANALYZER = Analyzer(
    (codes.SERVED_TWICE, codes.CERTIFICATE_SHARED, codes.PORT_NOT_ON_SERVICE, codes.GATEWAY_WITHOUT_RULES),
    _gateways,
    _check,
)
