"""VirtualServices that name a subset which nobody defines are withheld: what was in effect before goes on.

A route to such a subset would answer 503 at once, for the whole service, because two objects came in an unlucky order
or one of them was forgotten. So its last version whose subsets were all there stays in effect; where there is none,
sidecars do without it (the service's own route), and gateways take it as it is, for they have nothing else. It takes
effect by itself when the DestinationRule comes. Offline nothing is withheld: there nothing was in effect before.

The other way round, a subset that a rule in effect leads to does not go before that rule: whoever deletes a
DestinationRule (or a subset of it) too early finds its last definition in effect until nothing needs it any more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from meshwright.model import codes
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.wiring.references import destinations
from meshwright.wiring.sentences import INSTEAD

Subset = tuple[str, str]  # host and name
_BEFORE, _SUBSETS, _NONE, _GATEWAYS = (
    INSTEAD.texts[f"instead-{key}"] for key in ("route-before", "subset-before", "own-route", "gateways-only")
)
_IN_EFFECT = (_BEFORE, _SUBSETS)


@dataclass(frozen=True, slots=True)
class Past:
    """What the history knows, to be asked after a start. `versions`: of a VirtualService, with the number of the
    change that made each, newest first, the one that is stored included. `removed`: DestinationRules as they were
    before changes that took subsets out of them, with the number of that change, newest first.
    """

    versions: Callable[[ObjectRef], Iterable[tuple[int, VirtualService]]]
    removed: tuple[tuple[int, DestinationRule], ...] = ()

    def definitions(self, missing: frozenset[Subset], since: int) -> tuple[DestinationRule, ...] | None:
        """What defined all of these after change `since`; None where that is not known of one of them."""
        found: list[DestinationRule] = []
        for pair in missing:
            rules = (rule for number, rule in self.removed if number > since and pair in _defined_by(rule))
            if (rule := next(rules, None)) is None:
                return None
            found.append(rule)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class InEffect:
    """The objects as proxies are to get them, and why some are not as they are stored."""

    objects: MeshObjects
    findings: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Known:
    """One VirtualService: which subsets it names, the last version that was in effect, and the one that only gateways
    take (None before anybody asked).
    """

    rule: VirtualService
    wants: frozenset[Subset]
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
        self._rules: tuple[DestinationRule, ...] = ()  # in effect, with those that stay though they have gone
        self._replaced: frozenset[ObjectRef] = frozenset()

    def in_effect(self, objects: MeshObjects) -> InEffect:
        """What to compile."""
        seen = (objects.virtual_services, objects.destination_rules, objects.services)
        if all(now is before for now, before in zip(seen, self._seen, strict=True)):
            last = self._last.objects
            ruled = {"virtual_services": last.virtual_services, "destination_rules": last.destination_rules}
            return replace(self._last, objects=replace(objects, **ruled))
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

    def remember(self, objects: MeshObjects, past: Past) -> None:
        """After a start: of what cannot be used now, the newest version that can, or that was in effect until its
        subsets were taken away.
        """
        self.in_effect(objects)
        for ref, known in self._known.items():
            if self._defined.lacks(known.wants):
                self._recall(known, past.versions(ref), past)
        self._seen = (None, None, None)

    def _recall(self, known: _Known, versions: Iterable[tuple[int, VirtualService]], past: Past) -> None:
        for born, version in versions:
            found = past.definitions(self._defined.lacks(wants(version)), born)
            if found is not None:
                known.good = version
                self._rules += tuple(rule for rule in found if rule not in self._rules)
                return

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
        """Also notes what is in effect now, for the next round."""
        taken: list[VirtualService] = []
        findings: list[Diagnostic] = []
        replaced: set[ObjectRef] = set()
        needed: set[Subset] = set()
        for known in self._known.values():
            missing = self._defined.lacks(known.wants)
            if not missing:
                known.good = known.rule
                taken.append(known.rule)
                continue
            instead, why = self._instead(known)
            taken += [instead] if instead is not None else []
            replaced |= {known.rule.meta.ref} if why is _BEFORE else set()
            needed |= self._defined.lacks(wants(instead)) if instead is not None and why in _IN_EFFECT else set()
            findings += _told(known.rule, missing, why)
        self._replaced = frozenset(replaced)
        self._rules = _with_needed(objects.destination_rules, self._rules, frozenset(needed))
        if not findings:
            return InEffect(objects)
        inside = replace(objects, virtual_services=tuple(taken), destination_rules=self._rules)
        return InEffect(inside, tuple(findings))

    def _instead(self, known: _Known) -> tuple[VirtualService | None, str]:
        good = known.good
        if good is not None and self._defined.lacks(wants(good)) <= self._kept:
            return good, _SUBSETS if good == known.rule else _BEFORE
        gateways = tuple(each for each in known.rule.gateways if each != MESH_GATEWAY)
        if not gateways:
            return None, _NONE
        if known.without_mesh is None:
            same = gateways == known.rule.gateways
            known.without_mesh = known.rule if same else replace(known.rule, gateways=gateways)
        return known.without_mesh, _GATEWAYS

    @property
    def _kept(self) -> frozenset[Subset]:
        """The subsets that were in effect until now."""
        return frozenset(chain.from_iterable(map(_defined_by, self._rules)))


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

    def lacks(self, wanted: frozenset[Subset]) -> frozenset[Subset]:
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


def wants(rule: VirtualService) -> frozenset[Subset]:
    """The (host, subset) that a VirtualService names."""
    return frozenset((host, subset) for _, host, subset in destinations(rule) if subset)


def _defined_by(rule: DestinationRule) -> frozenset[Subset]:
    return frozenset((rule.host, subset.name) for subset in rule.subsets)


def _with_needed(
    rules: tuple[DestinationRule, ...], before: tuple[DestinationRule, ...], needed: frozenset[Subset]
) -> tuple[DestinationRule, ...]:
    """The rules that are stored, and of those before them what is needed and nobody defines now."""
    if not needed:
        return rules
    found = {(rule.meta.ref, rule.host): rule for rule in rules}
    for rule in before:
        kept = tuple(subset for subset in rule.subsets if (rule.host, subset.name) in needed)
        if not kept:
            continue
        now = found.get((rule.meta.ref, rule.host))
        if now is None:
            found[rule.meta.ref, rule.host] = rule
        else:
            found[rule.meta.ref, rule.host] = replace(now, subsets=(*now.subsets, *kept))
    return tuple(found.values())


def _told(rule: VirtualService, missing: frozenset[Subset], why: str) -> Iterator[Diagnostic]:
    for at, host, subset in destinations(rule):
        if (host, subset) in missing:
            yield Diagnostic(codes.UNKNOWN_SUBSET, at.field("subset"), (subset, host))
    host, subset = min(missing)
    if why is _SUBSETS:
        yield Diagnostic(codes.SUBSET_KEPT, rule.meta.origin.field("spec"), (subset, host.partition(".")[0]))
        return
    yield Diagnostic(codes.ROUTE_WITHHELD, rule.meta.origin.field("spec"), (subset, host.partition(".")[0], why))
