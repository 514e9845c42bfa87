"""DestinationRules: ports that are not there, subsets of everybody, clients that nobody is."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, listed
from meshwright.model import codes
from meshwright.model.client_tls import ClientTls, ClientTlsMode
from meshwright.model.destination_rule import DestinationRule, TrafficPolicy
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.origin import Origin

ORIGINATED = (ClientTlsMode.SIMPLE, ClientTlsMode.MUTUAL)


def _rules(scene: Scene) -> Iterable[DestinationRule]:
    return scene.snapshot.destination_rules


def policies(rule: DestinationRule) -> Iterator[TrafficPolicy]:
    """The rule's own traffic policy and those of its subsets."""
    if rule.policy is not None:
        yield rule.policy
    yield from (subset.policy for subset in rule.subsets if subset.policy is not None)


def _check(scene: Scene, rule: DestinationRule) -> Iterator[Diagnostic]:
    for subset in rule.subsets:
        if not subset.labels:
            yield Diagnostic(codes.SUBSET_OF_ALL, subset.origin, (subset.name, rule.host))
    services = scene.services_of(rule.host)
    known = {port.number for service in services for port in service.ports}
    for policy in policies(rule):
        for port in policy.ports:
            if services and port.port not in known:
                args = (rule.host, str(port.port), listed(sorted(known)))
                yield Diagnostic(codes.RULE_PORT_UNKNOWN, port.origin or policy.origin, args)
        yield from _unchecked(policy)
    selector, namespace = rule.workload_selector, rule.meta.namespace
    if selector and not scene.picked(namespace, selector):
        at = rule.meta.origin.field("spec").field("workloadSelector")
        hint = "these are the labels of clients"
        yield Diagnostic(codes.SELECTS_NOBODY, at, (namespace, selector.text, hint))


def _unchecked(policy: TrafficPolicy) -> Iterator[Diagnostic]:
    settings: list[tuple[ClientTls | None, Origin]] = [(policy.tls, policy.origin)]
    settings += [(port.tls, port.origin or policy.origin) for port in policy.ports]
    for tls, origin in settings:
        if tls is not None and tls.mode in ORIGINATED and tls.insecure_skip_verify:
            yield Diagnostic(codes.SERVER_UNCHECKED, origin.field("tls").field("insecureSkipVerify"))


ANALYZER = Analyzer(
    (codes.SUBSET_OF_ALL, codes.RULE_PORT_UNKNOWN, codes.SERVER_UNCHECKED, codes.SELECTS_NOBODY), _rules, _check
)
