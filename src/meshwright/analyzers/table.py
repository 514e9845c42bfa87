"""All analyzers, and the door of the package: `analyze` at once, or `steps` for who has other things to do."""

from collections.abc import Iterable, Iterator
from typing import Any

from meshwright.analyzers import (
    annotations,
    conditions,
    destination_rules,
    gateways,
    match_order,
    namespaces,
    peer_authentications,
    pod_templates,
    retries,
    route_shares,
    rule_protocols,
    service_ports,
    tls_conflicts,
)
from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.model.diagnostic import Diagnostic

ANALYZERS: tuple[Analyzer[Any], ...] = (
    match_order.ANALYZER,
    conditions.ANALYZER,
    rule_protocols.ANALYZER,
    route_shares.ANALYZER,
    retries.ANALYZER,
    destination_rules.ANALYZER,
    tls_conflicts.ANALYZER,
    gateways.ANALYZER,
    service_ports.ANALYZER,
    annotations.ANALYZER,
    pod_templates.ANALYZER,
    namespaces.ANALYZER,
    peer_authentications.ANALYZER,
)


def steps(scene: Scene) -> Iterator[tuple[Diagnostic, ...]]:
    """What is found, one subject a step: most steps are empty, each is short."""
    for analyzer in ANALYZERS:
        for subject in analyzer.subjects(scene):
            yield tuple(analyzer.check(scene, subject))


def ordered(findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each finding once, in an order that depends on nothing but them."""
    return tuple(sorted(dict.fromkeys(findings), key=_place))


def _place(finding: Diagnostic) -> tuple[object, ...]:
    return finding.origin, finding.code.id, finding.args
