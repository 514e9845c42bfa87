"""Ports of Services and ServiceEntries: protocols that nobody names, and Services that disagree."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import SYSTEM_NAMESPACES, Scene, listed
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.protocol import Protocol
from meshwright.model.service import Registry, Service, ServicePort
from meshwright.model.workload import target_port

EVERYONE, NOBODY = "*", "~"
UNREAD = (Protocol.TCP, Protocol.AUTO)


def _services(scene: Scene) -> Iterable[Service]:
    return (service for service in scene.snapshot.services if service.meta.namespace not in SYSTEM_NAMESPACES)


def _check(scene: Scene, service: Service) -> Iterator[Diagnostic]:
    for port in service.ports:
        if service.registry is Registry.KUBERNETES:
            yield from _unnamed(scene, service, port)
            yield from _undeclared(scene, service, port)
        else:
            yield from _addresses(service, port)
    yield from _beside(scene, service)
    yield from _elsewhere(scene, service)


def _unnamed(scene: Scene, service: Service, port: ServicePort) -> Iterator[Diagnostic]:
    if port.protocol is Protocol.AUTO and _is_read(scene, service):
        yield Diagnostic(codes.PROTOCOL_NOT_NAMED, port.origin, (str(port.number), port.name or "web"))


def _is_read(scene: Scene, service: Service) -> bool:
    """Whether a sidecar behind the service looks into connections: gateways speak what their servers say."""
    return any(load.has_proxy and not load.is_gateway for load in scene.selected_by(service))


def _undeclared(scene: Scene, service: Service, port: ServicePort) -> Iterator[Diagnostic]:
    """Only where each workload declares ports at all: to declare them is a habit, not a duty."""
    loads = scene.selected_by(service)
    if isinstance(port.target, str) or not loads or not all(load.ports for load in loads):
        return
    target = target_port(port, loads[0])
    declared = {each.number for load in loads for each in load.ports}
    if target not in declared:
        at = port.origin.field("port" if port.target is None else "targetPort")
        yield Diagnostic(codes.TARGET_PORT_NOT_DECLARED, at, (str(target), listed(sorted(declared))))


def _addresses(service: Service, port: ServicePort) -> Iterator[Diagnostic]:
    if port.protocol in UNREAD and not service.addresses and service.alias_of is None:
        at = service.meta.origin.field("spec")
        yield Diagnostic(codes.ADDRESSES_NEEDED, at, (str(port.number), service.host))


def _beside(scene: Scene, service: Service) -> Iterator[Diagnostic]:
    """Services in front of the same workloads; told of the one whose name comes later."""
    found: dict[tuple[str, str], Diagnostic] = {}
    loads = scene.selected_by(service)
    for load in loads[:1]:
        for other in scene.selecting(load):
            if other.meta.name >= service.meta.name or scene.selected_by(other) != loads:
                continue
            for port in service.ports:
                for theirs in other.ports:
                    if target_port(port, load) == target_port(theirs, load):
                        found |= {
                            (finding.code.id, str(finding.origin.path)): finding
                            for finding in _differing(service, port, other, theirs)
                        }
    yield from found.values()


def _differing(service: Service, port: ServicePort, other: Service, theirs: ServicePort) -> Iterator[Diagnostic]:
    if port.protocol is Protocol.UDP or theirs.protocol is Protocol.UDP:
        return
    name = str(other.meta.ref)
    if port.protocol is not theirs.protocol:
        args = (name, str(theirs.number), theirs.protocol.value, port.protocol.value)
        yield Diagnostic(codes.PROTOCOLS_DIFFER, port.origin, args)
    elif port.number != theirs.number and not (service.headless or other.headless):
        args = (str(port.number), str(theirs.number), name)
        yield Diagnostic(codes.TARGET_PORT_SHARED, port.origin.field("port"), args)


def _meet(service: Service, other: Service) -> bool:
    """Whether some client may see both."""
    one, two = set(service.export_to) - {NOBODY}, set(other.export_to) - {NOBODY}
    return bool(one & two or (EVERYONE in one and two) or (EVERYONE in two and one))


def _elsewhere(scene: Scene, service: Service) -> Iterator[Diagnostic]:
    """Other ServiceEntries for the same host, where a client may see both."""
    if service.registry is Registry.KUBERNETES:
        return
    mine = {port.number: port for port in service.ports}
    for other in sorted(scene.services_of(service.host), key=lambda each: each.meta.ref):
        if other.registry is Registry.KUBERNETES or other.meta.ref >= service.meta.ref or not _meet(service, other):
            continue
        for theirs in other.ports:
            port = mine.get(theirs.number)
            if port is not None and port.protocol is not theirs.protocol:
                del mine[theirs.number]  # once is enough
                args = (str(other.meta.ref), str(port.number), service.host)
                said = (*args, theirs.protocol.value, port.protocol.value)
                yield Diagnostic(codes.PROTOCOLS_DISAGREE, port.origin.field("protocol"), said)


ANALYZER = Analyzer(
    (
        codes.PROTOCOL_NOT_NAMED,
        codes.TARGET_PORT_NOT_DECLARED,
        codes.ADDRESSES_NEEDED,
        codes.TARGET_PORT_SHARED,
        codes.PROTOCOLS_DIFFER,
        codes.PROTOCOLS_DISAGREE,
    ),
    _services,
    _check,
)
