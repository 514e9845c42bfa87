"""DestinationRules whose TLS the servers behind them do not take."""

from collections.abc import Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, listed
from meshwright.model import codes
from meshwright.model.client_tls import ClientTls, ClientTlsMode
from meshwright.model.destination_rule import DestinationRule, TrafficPolicy
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.origin import Origin
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.place import is_chosen
from meshwright.model.service import Service, ServicePort
from meshwright.model.workload import target_port

Subject = tuple[DestinationRule, TrafficPolicy, Labels, Service]


def _policies(scene: Scene) -> Iterator[Subject]:
    """Each traffic policy that speaks of TLS with each service it is for, and the labels of its subset."""
    for rule in scene.snapshot.destination_rules:
        pairs = [(rule.policy, Labels())] + [(subset.policy, subset.labels) for subset in rule.subsets]
        spoken = [(policy, labels) for policy, labels in pairs if policy is not None and _speaks(policy)]
        if spoken:
            for service in scene.services_under(rule.host):
                yield from ((rule, policy, labels, service) for policy, labels in spoken)


def _speaks(policy: TrafficPolicy) -> bool:
    return policy.tls is not None or any(port.tls is not None for port in policy.ports)


def _check(scene: Scene, subject: Subject) -> Iterator[Diagnostic]:
    _, policy, labels, service = subject
    found: dict[Origin, Diagnostic] = {}
    for port in service.ports:
        tls, origin = _of_port(policy, port)
        if tls is not None:
            for finding in _conflict(scene, (service, port, labels), tls, origin):
                found.setdefault(finding.origin, finding)
    yield from found.values()


def _of_port(policy: TrafficPolicy, port: ServicePort) -> tuple[ClientTls | None, Origin]:
    """The settings of one port replace those of all ports entirely."""
    special = next((each for each in policy.ports if each.port == port.number), None)
    if special is not None:
        return special.tls, special.origin or policy.origin
    return policy.tls, policy.origin


def _conflict(
    scene: Scene, servers: tuple[Service, ServicePort, Labels], tls: ClientTls, origin: Origin
) -> Iterator[Diagnostic]:
    service, port, labels = servers
    loads = [load for load in scene.selected_by(service) if is_chosen(load.labels, load.locality, labels)]
    targets = [(load, target_port(port, load)) for load in loads]
    modes = [scene.mode_of(load, target) for load, target in targets if target is not None]
    if not modes:
        return
    at = origin.field("tls").field("mode")
    if tls.mode is not ClientTlsMode.ISTIO_MUTUAL:
        if all(mode is MutualTlsMode.STRICT for mode in modes):
            yield Diagnostic(codes.PLAIN_TEXT_REFUSED, at, (tls.mode.value, service.host))
    elif all(mode in (None, MutualTlsMode.DISABLE) for mode in modes):
        reasons = {"it has no sidecar" if mode is None else "a PeerAuthentication says DISABLE" for mode in modes}
        yield Diagnostic(codes.MUTUAL_TLS_UNANSWERED, at, (service.host, listed(sorted(reasons))))


ANALYZER = Analyzer((codes.PLAIN_TEXT_REFUSED, codes.MUTUAL_TLS_UNANSWERED), _policies, _check)
