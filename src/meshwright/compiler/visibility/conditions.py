"""Conditions of rules on the client proxy: decided here, once per class, and never seen by Envoy."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from meshwright.model.labels import Labels
from meshwright.model.names import Namespace
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.proxy import ProxyClass
from meshwright.model.virtual_service import VirtualService


class ClientMatch(Protocol):
    """The conditions on the client that matches of http, tcp and tls rules share."""

    @property
    def origin(self) -> Origin: ...
    @property
    def source_labels(self) -> Labels: ...
    @property
    def source_namespace(self) -> Namespace | None: ...
    @property
    def gateways(self) -> tuple[str, ...] | None: ...


def holds(match: ClientMatch, rule: VirtualService, proxy_class: ProxyClass, gateways: frozenset[str]) -> bool:
    """Whether the class gets this match at all. `gateways`: `mesh`, or the Gateways that serve the traffic."""
    if match.source_namespace is not None and match.source_namespace != proxy_class.namespace:
        return False
    if match.source_labels and (rule.meta.ref, match.origin.path) not in proxy_class.rules:
        return False
    named = rule.gateways if match.gateways is None else match.gateways
    return not gateways.isdisjoint(named)


def label_conditions(rules: Iterable[VirtualService], labels: Labels) -> tuple[tuple[ObjectRef, str], ...]:
    """The sourceLabels conditions that hold for a workload with these labels: `ProxyClass.rules`, sorted."""
    held = {
        (rule.meta.ref, match.origin.path)
        for rule in rules
        for match in _matches(rule)
        if match.source_labels and labels.includes(match.source_labels)
    }
    return tuple(sorted(held))


def _matches(rule: VirtualService) -> Iterator[ClientMatch]:
    for http in rule.http:
        yield from http.matches
    for stream in (*rule.tcp, *rule.tls):
        yield from stream.matches
