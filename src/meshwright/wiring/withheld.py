"""VirtualServices that name a subset which nobody defines are withheld: what was in effect before goes on.

A route to such a subset would answer 503 at once, for the whole service, because two objects came in an unlucky order
or one of them was forgotten. So its last version whose subsets were all there stays in effect; where there is none,
sidecars do without it (the service's own route), and gateways take it as it is, for they have nothing else. It takes
effect by itself when the DestinationRule comes. Offline nothing is withheld: there nothing was in effect before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from meshwright.model import codes
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.wiring.references import destinations

Earlier = Callable[[ObjectRef], Iterable[VirtualService]]
"""The versions of a VirtualService before the one that is stored, newest first."""
_BEFORE, _NONE, _GATEWAYS = (
    "the route before it goes on",
    "the service's own route goes on",
    "only gateways take it",
)


@dataclass(frozen=True, slots=True)
class InEffect:
    """The objects as proxies are to get them, and why some are not as they are stored."""

    objects: MeshObjects
    findings: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Known:
    """One VirtualService: which (host, subset) it names, the last version that could be used, and the one that only
    gateways take (None before anybody asked).
    """

    rule: VirtualService
    wants: frozenset[tuple[str, str]]
    good: VirtualService | None = None
    without_mesh: VirtualService | None = None


class Withheld:
    """Ask it with the objects of each round; what did not change costs a look at its identity."""

    def __init__(self) -> None:
        self._known: dict[ObjectRef, _Known] = {}
        self._same: set[int] = set()  # identities of the rules in it
        self._defined = Defined((), ())
        self._seen: tuple[object, object, object] = (None, None, None)
        self._last = InEffect(MeshObjects())
        self._replaced: frozenset[ObjectRef] = frozenset()

    def in_effect(self, objects: MeshObjects) -> InEffect:
        """What to compile."""
        seen = (objects.virtual_services, objects.destination_rules, objects.services)
        if all(now is before for now, before in zip(seen, self._seen, strict=True)):
            return replace(self._last, objects=replace(objects, virtual_services=self._last.objects.virtual_services))
        only_rules = seen[1] is self._seen[1] and seen[2] is self._seen[2]
        if not only_rules:
            self._defined = Defined(objects.destination_rules, objects.services)
        self._seen = seen
        if only_rules and not self._last.findings and self._took(objects.virtual_services):
            self._last = InEffect(objects)
            return self._last
        self._known = {rule.meta.ref: self._note(rule) for rule in objects.virtual_services}
        self._same = {id(rule) for rule in objects.virtual_services}
        self._last = self._judged(objects)
        return self._last

    def _took(self, rules: tuple[VirtualService, ...]) -> bool:
        """The usual case, quickly: none has come or gone, and those that changed can be used."""
        changed = [self._note(rule) for rule in rules if id(rule) not in self._same]
        if len(rules) != len(self._known) or any(each.rule.meta.ref not in self._known for each in changed):
            return False
        if any(self._defined.lacks(each.wants) for each in changed):
            return False
        for each in changed:
            self._same.discard(id(self._known[each.rule.meta.ref].rule))
            self._same.add(id(each.rule))
            each.good = each.rule
            self._known[each.rule.meta.ref] = each
        return True

    def remember(self, objects: MeshObjects, earlier: Earlier) -> None:
        """After a start: of what cannot be used now, take the newest earlier version that can."""
        self.in_effect(objects)
        for ref, known in self._known.items():
            if self._defined.lacks(known.wants):
                found = (rule for rule in earlier(ref) if not self._defined.lacks(wants(rule)))
                known.good = next(found, None)
        self._seen = (None, None, None)

    def lacking(self, objects: MeshObjects) -> tuple[ObjectRef, ...]:
        """The VirtualServices that cannot be used as they are."""
        self.in_effect(objects)
        return tuple(ref for ref, known in self._known.items() if self._defined.lacks(known.wants))

    @property
    def replaced(self) -> frozenset[ObjectRef]:
        """Those instead of which an earlier version is in effect."""
        return self._replaced

    def _note(self, rule: VirtualService) -> _Known:
        before = self._known.get(rule.meta.ref)
        if before is not None and before.rule is rule:
            return before
        return _Known(rule, wants(rule), None if before is None else before.good)

    def _judged(self, objects: MeshObjects) -> InEffect:
        taken: list[VirtualService] = []
        findings: list[Diagnostic] = []
        replaced: set[ObjectRef] = set()
        for known in self._known.values():
            missing = self._defined.lacks(known.wants)
            if not missing:
                known.good = known.rule
                taken.append(known.rule)
                continue
            instead, why = self._instead(known)
            taken += [instead] if instead is not None else []
            replaced |= {known.rule.meta.ref} if why is _BEFORE else set()
            findings += _told(known.rule, missing, why)
        self._replaced = frozenset(replaced)
        if not findings:
            return InEffect(objects)
        return InEffect(replace(objects, virtual_services=tuple(taken)), tuple(findings))

    def _instead(self, known: _Known) -> tuple[VirtualService | None, str]:
        good = known.good
        if good is not None and not self._defined.lacks(wants(good)):
            return good, _BEFORE
        gateways = tuple(each for each in known.rule.gateways if each != MESH_GATEWAY)
        if not gateways:
            return None, _NONE
        if known.without_mesh is None:
            same = gateways == known.rule.gateways
            known.without_mesh = known.rule if same else replace(known.rule, gateways=gateways)
        return known.without_mesh, _GATEWAYS


class Defined:
    """Which subsets there are. Wrong only towards "there is one"."""

    def __init__(self, rules: Iterable[DestinationRule], services: Iterable[Service]) -> None:
        self._subsets: set[tuple[str, str]] = set()
        wild: list[str] = []
        for rule in rules:
            if rule.host.startswith("*"):
                wild.append(rule.host[1:])
            self._subsets.update((rule.host, subset.name) for subset in rule.subsets)
        self._wild = tuple(wild)
        self._services = services

    def lacks(self, wanted: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those that nobody defines, of services that are there."""
        if not wanted or wanted <= self._subsets:
            return frozenset()
        missing = wanted - self._subsets
        return frozenset((host, name) for host, name in missing if host in self._hosts and not self._is_ruled(host))

    @cached_property
    def _hosts(self) -> frozenset[str]:
        """Looked at only when something is missing."""
        return frozenset(str(service.host) for service in self._services if service.alias_of is None)

    def _is_ruled(self, host: str) -> bool:
        return host.endswith(self._wild)


def wants(rule: VirtualService) -> frozenset[tuple[str, str]]:
    """The (host, subset) that a VirtualService names."""
    return frozenset((host, subset) for _, host, subset in destinations(rule) if subset)


def _told(rule: VirtualService, missing: frozenset[tuple[str, str]], why: str) -> Iterator[Diagnostic]:
    for at, host, subset in destinations(rule):
        if (host, subset) in missing:
            yield Diagnostic(codes.UNKNOWN_SUBSET, at.field("subset"), (subset, host))
    host, subset = min(missing)
    yield Diagnostic(codes.ROUTE_WITHHELD, rule.meta.origin.field("spec"), (subset, host.partition(".")[0], why))
