"""Rules for a protocol that no port of their hosts carries."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, listed
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.protocol import Protocol
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService


def _rules(scene: Scene) -> Iterable[VirtualService]:
    """Those for the mesh alone: at a gateway the servers decide about protocols."""
    return (rule for rule in scene.snapshot.virtual_services if rule.gateways == (MESH_GATEWAY,))


def _check(scene: Scene, rule: VirtualService) -> Iterator[Diagnostic]:
    services = [scene.services_of(host) for host in rule.hosts]
    if not all(services):
        return
    ports = [port for each in services for service in each for port in service.ports]
    spoken = {port.protocol for port in ports} - {Protocol.UDP}
    spec, hosts = rule.meta.origin.field("spec"), listed(rule.hosts)
    if not spoken or Protocol.AUTO in spoken:
        return
    if rule.http and not any(each.is_http for each in spoken):
        wanted = "tls" if all(each.is_tls for each in spoken) else "tcp"
        yield Diagnostic(codes.OTHER_PROTOCOL, spec.field("http"), (hosts, "HTTP that a proxy can read", wanted))
    if all(each.is_http for each in spoken):
        for name, stream in (("tcp", rule.tcp), ("tls", rule.tls)):
            if stream:
                yield Diagnostic(codes.OTHER_PROTOCOL, spec.field(name), (hosts, name.upper(), "http"))


ANALYZER = Analyzer((codes.OTHER_PROTOCOL,), _rules, _check)
