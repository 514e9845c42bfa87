"""Conditions of VirtualServices that never hold: ports, gateways and sources that are not there."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, listed
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.request_match import RequestMatch
from meshwright.model.virtual_service import MESH_GATEWAY, StreamMatch, VirtualService

Match = RequestMatch | StreamMatch
Subject = tuple[VirtualService, Match]


def _matches(scene: Scene) -> Iterator[Subject]:
    for rule in scene.snapshot.virtual_services:
        for http in rule.http:
            yield from ((rule, match) for match in http.matches)
        for stream in (*rule.tcp, *rule.tls):
            yield from ((rule, match) for match in stream.matches)


def _check(scene: Scene, subject: Subject) -> Iterator[Diagnostic]:
    rule, match = subject
    yield from _port(scene, rule, match)
    for name in match.gateways or ():
        if name not in rule.gateways:
            yield Diagnostic(codes.GATEWAY_NOT_BOUND, match.origin.field("gateways"), (name,))
    yield from _source(scene, match)


def _port(scene: Scene, rule: VirtualService, match: Match) -> Iterator[Diagnostic]:
    if match.port is None:
        return
    ports = _ports(scene, rule, match.gateways or rule.gateways)
    if ports is not None and match.port not in ports:
        yield Diagnostic(
            codes.MATCH_PORT_UNKNOWN, match.origin.field("port"), (str(match.port), listed(sorted(ports), "none yet"))
        )


def _ports(scene: Scene, rule: VirtualService, gateways: Iterable[str]) -> set[int] | None:
    """Every port at which the rule may meet a request; None when nobody can know."""
    found: set[int] = set()
    for name in gateways:
        if name == MESH_GATEWAY:
            for host in rule.hosts:
                services = scene.services_of(host)
                if not services:
                    return None
                found.update(port.number for service in services for port in service.ports)
        elif name in scene.gateways:
            found.update(server.port for server in scene.gateways[name].servers)
        else:
            return None
    return found


def _source(scene: Scene, match: Match) -> Iterator[Diagnostic]:
    space = match.source_namespace
    if not scene.namespaces or (space is None and not match.source_labels):
        return
    spaces = scene.namespaces if space is None else {str(space)} & scene.namespaces
    if not spaces:
        hint = f"there are workloads in {listed(sorted(scene.namespaces))}"
        yield Diagnostic(codes.NO_SOURCE, match.origin.field("sourceNamespace"), (f"namespace {space}", hint))
    elif not any(scene.picked(each, match.source_labels) for each in spaces):
        where = "" if space is None else f" in namespace {space}"
        labels = f"the labels {match.source_labels.text}{where}"
        yield Diagnostic(
            codes.NO_SOURCE, match.origin.field("sourceLabels"), (labels, "the labels of the client's pods")
        )


ANALYZER = Analyzer(
    (codes.MATCH_PORT_UNKNOWN, codes.GATEWAY_NOT_BOUND, codes.NO_SOURCE),
    _matches,
    _check,
)
