"""What is remembered of routes between compilations, and the questions that sidecar and gateway routes share."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from meshwright.compiler.built import Built
from meshwright.compiler.envoy.targets import Target, target_of, unknown_host_hint
from meshwright.compiler.envoy.virtual_hosts import WHOLE, Frame, Part, Ruled, Selection, virtual_host
from meshwright.compiler.memo import Interner, Memo
from meshwright.compiler.proto import flag, uint
from meshwright.compiler.visibility.conditions import holds
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.names import ROUTES, Hostname, PortNumber, ResourceName
from meshwright.model.proxy import ProxyClass
from meshwright.model.service import Service
from meshwright.model.virtual_service import HttpRule, VirtualService

MOST_BODY_BYTES = 1 << 20
FEWEST_KEPT = 1024


class RouteBuilder:
    """One per Compiler. Call `turn` once after each compilation.

    `memory` is for the builders of whole configurations: by class, what they want to find again.
    """

    def __init__(self, *, audit: bool = False) -> None:
        """`audit`: tests make every remembered answer be computed again."""
        self.audit = audit
        self.memory: dict[ProxyClass, object] = {}
        self._limit = FEWEST_KEPT
        self._values = Interner()
        self._target = Memo(Target, audit=audit)
        self._targets: Memo[tuple[Target, ...], *tuple[Target, ...]] = Memo(_gather_targets, audit=audit)
        self._ruled = Memo(Ruled, audit=audit)
        self._rulings: Memo[tuple[Ruled, ...], *tuple[Ruled, ...]] = Memo(_gather_ruled, audit=audit)
        self._hosts = Memo(destination_hosts, audit=audit)
        self._part = Memo(virtual_host, audit=audit)

    def part(self, frame: Frame, own: VisibleService | None, ruled: tuple[Ruled, ...]) -> Part:
        """One virtual host, built only when something it is made of has changed."""
        target = None if own is None else self._target_of(own.service.host, own.service, own.rule, "")
        return self._part(self._values.same(frame), target, self.together(ruled))

    def together(self, ruled: tuple[Ruled, ...]) -> tuple[Ruled, ...]:
        """The same parts in the same order are the same tuple."""
        return self._rulings(*ruled)

    def ruled(self, rules: VirtualService, view: View, port: PortNumber, gateways: frozenset[str]) -> Ruled | None:
        """What the view's class gets of a VirtualService on a port; None when that is nothing."""
        selection = self._values.same(_select(rules, view, port, gateways))
        if not any(selection):
            return None
        targets = (self._find(host, view.services) for host in self._hosts(rules))
        return self._ruled(rules, selection, self._targets(*targets))

    def turn(self, classes: Collection[ProxyClass] | None = None) -> None:
        """End a compilation. `classes` are all that there are now; others are forgotten.

        Most compilations ask for a few virtual hosts only, so what was not asked for is not old at once: a turn
        of the memos comes when they have doubled.
        """
        if classes is not None:
            for gone in [one for one in self.memory if one not in classes]:
                del self.memory[gone]
        if len(self._part) > self._limit:
            for memory in (self._target, self._targets, self._ruled, self._rulings, self._hosts, self._part):
                memory.turn()
            self._values.turn()
            self._limit = max(FEWEST_KEPT, 2 * len(self._part))

    def _find(self, host: Hostname, services: Mapping[Hostname, VisibleService]) -> Target:
        found = target_of(host, services)
        if found is None:
            return self._target_of(host, None, None, unknown_host_hint(host, services.keys()))
        return self._target_of(host, found.service, found.rule, "")

    def _target_of(self, host: Hostname, service: Service | None, rule: DestinationRule | None, hint: str) -> Target:
        return self._target(self._values.same(host), service, rule, self._values.same(hint))


def configuration(
    name: ResourceName, parts: Sequence[Part], *, ignore_port: bool = True, tail_digest: bytes = b""
) -> Built:
    """Virtual hosts become a route configuration by being joined."""
    message = RouteConfiguration(
        name=name,
        validate_clusters=flag(value=False),
        max_direct_response_body_size_bytes=uint(MOST_BODY_BYTES),
        ignore_port_in_host_matching=ignore_port,
    )
    found = dict.fromkeys(chain.from_iterable(part.findings for part in parts))
    return Built(
        ROUTES,
        name,
        message,
        tail=tuple(part.value for part in parts),
        placed=tuple(part.origins for part in parts),
        tail_digest=tail_digest,
        findings=tuple(found),
    )


def destination_hosts(rules: VirtualService) -> tuple[Hostname, ...]:
    """Every host that the http rules send or copy requests to, once, in their order."""
    named = (
        destination.host
        for rule in rules.http
        for destination in (
            *(share.destination for share in rule.route),
            *(mirror.destination for mirror in rule.mirrors),
        )
    )
    return tuple(dict.fromkeys(named))


def _select(rules: VirtualService, view: View, port: PortNumber, gateways: frozenset[str]) -> Selection:
    def chosen(rule: HttpRule) -> tuple[int, ...]:
        if not rule.matches:
            return (WHOLE,)
        return tuple(
            index
            for index, match in enumerate(rule.matches)
            if match.port in (None, port) and holds(match, rules, view.proxy_class, gateways)
        )

    return tuple(chosen(rule) for rule in rules.http)


def _gather_targets(*targets: Target) -> tuple[Target, ...]:
    return targets


def _gather_ruled(*ruled: Ruled) -> tuple[Ruled, ...]:
    return ruled
