"""One resource type on one stream: what the proxy asked for, holds and refused, and what it must get.

What it holds is kept as one shared mapping plus exceptions, and what may differ as a set of names, so that
a change costs what changed and a settled stream costs next to nothing, however large the mesh is.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from meshwright.model.chunked import differing
from meshwright.model.names import CLUSTER, LISTENER, ResourceName, TypeUrl, Version
from meshwright.model.published import EncodedResource

NamedResources = Mapping[ResourceName, EncodedResource]
NOTHING: NamedResources = MappingProxyType({})
WILDCARD = ResourceName("*")
LEGACY_WILDCARD_TYPES = frozenset({CLUSTER, LISTENER})
UNSURE = Version("?")
MOST_NAMES = 50_000


class TooManyNamesError(Exception):
    """A stream subscribed to more names than any real proxy does."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One response that waits for its acknowledgement. `before` is what the proxy held of its names, as far as
    that is known; of those in `unsure` it may hold another version as well. Never changed: forks share it.
    """

    nonce: str
    at: float
    generation: int
    added: tuple[EncodedResource, ...]
    removed: tuple[ResourceName, ...]
    before: Mapping[ResourceName, "EncodedResource | Version | None"]
    unsure: AbstractSet[ResourceName]


@dataclass(slots=True)
class Leaving:
    """A removal that is held back: since which generation, and (once that is acknowledged) until when."""

    noted: int
    due: float | None = None


class Place(NamedTuple):
    """Where a proxy stands with a type that has everything and refused nothing: equal places, equal futures.
    `target` is an identity.
    """

    url: TypeUrl
    known: bool
    wildcard: bool
    names: frozenset[ResourceName]
    target: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next response of a type must carry."""

    fresh: tuple[EncodedResource, ...] = ()
    gone: tuple[ResourceName, ...] = ()
    answer: bool = False  # to be sent though it is empty
    urgent: bool = False  # the proxy asked and waits, or a warming cluster does

    def __bool__(self) -> bool:
        return bool(self.fresh or self.gone or self.answer)


@lru_cache(maxsize=16)
def _changed(old: "_Same", new: "_Same") -> frozenset[ResourceName]:
    before, after = old.resources, new.resources
    return frozenset(
        name
        for name in differing(before, after)
        if (a := before.get(name)) is None or (b := after.get(name)) is None or a.version != b.version
    )


class _Same:
    """A mapping as a key by identity; holding it keeps the identity from being reused."""

    __slots__ = ("resources",)

    def __init__(self, resources: NamedResources) -> None:
        self.resources = resources

    def __hash__(self) -> int:
        return id(self.resources)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.resources is self.resources


def changed_names(old: NamedResources, new: NamedResources) -> frozenset[ResourceName]:
    """Names whose version differs; remembered, for many streams take the same step."""
    return frozenset[ResourceName]() if old is new else _changed(_Same(old), _Same(new))


@dataclass(slots=True)
class Subscription:
    """The state of one type on one stream."""

    url: TypeUrl
    known: bool = False  # a request for this type came
    wildcard: bool = False
    names: frozenset[ResourceName] = frozenset()
    target: NamedResources = field(default_factory=lambda: NOTHING)
    in_flight: dict[str, Sent] = field(default_factory=dict[str, Sent])
    leaving: dict[ResourceName, Leaving] = field(default_factory=dict[ResourceName, Leaving])
    refused: dict[ResourceName, Version] = field(default_factory=dict[ResourceName, Version])
    _last_good: dict[ResourceName, EncodedResource] = field(default_factory=dict[ResourceName, EncodedResource])
    _base: NamedResources = field(default_factory=lambda: NOTHING)
    _exceptions: dict[ResourceName, EncodedResource | Version | None] = field(
        default_factory=dict[ResourceName, EncodedResource | Version | None]
    )
    _dirty: set[ResourceName] = field(default_factory=set[ResourceName])
    _unsure: set[ResourceName] = field(default_factory=set[ResourceName])  # sent, refused with others, perhaps taken
    _asked: set[ResourceName] = field(default_factory=set[ResourceName])
    _owed: set[ResourceName] = field(default_factory=set[ResourceName])
    _apart: list[tuple[ResourceName, ...]] = field(default_factory=list[tuple[ResourceName, ...]])
    _answer: bool = False

    def fork(self) -> "Subscription":
        """The same, to be changed on its own."""
        return Subscription(
            self.url,
            self.known,
            self.wildcard,
            self.names,
            self.target,
            self.in_flight.copy(),
            {name: replace(leaving) for name, leaving in self.leaving.items()} if self.leaving else {},
            self.refused.copy(),
            self._last_good.copy(),
            self._base,
            self._exceptions.copy(),
            self._dirty.copy(),
            self._unsure.copy(),
            self._asked.copy(),
            self._owed.copy(),
            self._apart.copy(),
            self._answer,
        )

    def place(self) -> Place | None:
        """Where the proxy stands. None: it is under way."""
        self._settle()
        if self.in_flight or self.leaving or self.refused or self._exceptions or self._last_good or self._unsure:
            return None
        if self.has_work or (self.known and self._base is not self.target):
            return None
        return Place(self.url, self.known, self.wildcard, self.names, id(self.target))

    # ------------------------------------------------------------ what is wanted

    def aim(self, target: NamedResources) -> bool:
        """The newest resources of this type are `target`; whether those are others than before."""
        if target is self.target:
            return False
        if self.known:
            changed = changed_names(self.target, target)
            self._dirty |= changed
            for name in changed & self.refused.keys():
                del self.refused[name]
        self.target = target
        return True

    def owe(self, names: Iterable[ResourceName]) -> None:
        """These must be sent though nobody asks and nothing changed: a warming cluster waits for them. Also what is
        to go, but not yet: its cluster may have been sent once more.
        """
        for name in names:
            if name in self.target or isinstance(self._held(name), EncodedResource):
                self._owed.add(name)

    def first(self, subscribe: set[ResourceName], held: Mapping[ResourceName, Version]) -> None:
        """The first request of this type on the stream; `held` is what the proxy says it has."""
        self.known = True
        self.wildcard = WILDCARD in subscribe or (not subscribe and self.url in LEGACY_WILDCARD_TYPES)
        self._add_names(subscribe)
        self._exceptions = {n: v for n, v in held.items() if self.wildcard or n in self.names}
        self._asked |= self.names - self._exceptions.keys()
        self._dirty |= self.names | self._exceptions.keys()
        if self.wildcard:
            self._dirty |= self.target.keys()
            self._answer = not held
        if not held:
            self._owed.clear()  # a proxy without anything will ask for what it needs

    def subscribe(self, names: set[ResourceName]) -> None:
        """Later requests: each name is answered, known or not, changed or not."""
        if WILDCARD in names:
            held = {name: self._held(name) for name in self.names}
            self._base, self._exceptions = NOTHING, held
            self.wildcard = self._answer = True
            self._dirty |= self.target.keys()
        self._add_names(names)
        self._asked |= names - {WILDCARD}

    def unsubscribe(self, names: set[ResourceName]) -> None:
        """The proxy does not want these any more, and forgets them."""
        self.names -= names
        if WILDCARD in names:
            self.wildcard = False
            self._base, self._exceptions = NOTHING, {name: self._held(name) for name in self.names}
        elif not self.wildcard:
            self._exceptions.update(dict.fromkeys(names, None))
        for name in names:
            self.refused.pop(name, None)
            if not self.wildcard:
                self.leaving.pop(name, None)

    def _add_names(self, names: set[ResourceName]) -> None:
        names = names - {WILDCARD} - self.names
        if not self.wildcard:
            self._exceptions.update(dict.fromkeys(names - self._exceptions.keys(), None))  # not held, whatever was
        self.names |= names
        if len(self.names) > MOST_NAMES:
            raise TooManyNamesError

    def _interesting(self, name: ResourceName) -> bool:
        return self.wildcard or name in self.names

    # ------------------------------------------------------------ what it holds

    def _held(self, name: ResourceName) -> EncodedResource | Version | None:
        if name in self._exceptions:
            return self._exceptions[name]
        return self._base.get(name) if self._interesting(name) else None

    def _holds(self, name: ResourceName) -> Version | None:
        held = UNSURE if name in self._unsure else self._held(name)
        return held.version if isinstance(held, EncodedResource) else held

    def versions(self) -> dict[ResourceName, Version]:
        """What the proxy has acknowledged, by name. Slow: for people and tests."""
        unsure = {item.name for sent in self.in_flight.values() for item in sent.added}
        names = self._base.keys() | self._exceptions.keys()
        held = {name: self._holds(name) for name in names if self._interesting(name) and name not in unsure}
        return {name: version for name, version in held.items() if version is not None and version != UNSURE}

    def _effective(self, name: ResourceName) -> EncodedResource | None:
        """What the proxy should have: the target, or what it had before when it refused that very version."""
        wanted = self.target.get(name)
        if wanted is not None and self.refused.get(name) == wanted.version:
            return self._last_good.get(name)
        return wanted

    # ------------------------------------------------------------ what it must get

    def plan(self, now: float, generation: int, *, hold_back: bool) -> Plan:
        """The next response. Removals are kept in `leaving` until they are due when `hold_back`."""
        if not self.known:
            return Plan()
        if self._apart:
            names = (name for name in self._apart[0] if self._interesting(name))
            fresh = [item for name in names if (item := self._effective(name)) is not None]
            if fresh:
                return Plan(tuple(fresh), urgent=True)
            self._apart.pop(0)
            return self.plan(now, generation, hold_back=hold_back)
        fresh, gone = list[EncodedResource](), list[ResourceName]()
        for name in sorted(self._dirty | self._asked | self._owed):
            self._examine(name, fresh, gone)
        if hold_back:
            asked = self._asked | self._owed
            gone = [name for name in gone if name in asked or self._is_due(name, now, generation)]
        urgent = bool(self._asked or self._owed or self._answer)
        return Plan(tuple(fresh), tuple(gone), answer=self._answer, urgent=urgent)

    def _examine(self, name: ResourceName, fresh: list[EncodedResource], gone: list[ResourceName]) -> None:
        asked = name in self._asked or name in self._owed
        if not self._interesting(name) and name not in self._owed:
            self._dirty.discard(name)
            self._asked.discard(name)
            return
        wanted, holds = self._effective(name), self._holds(name)
        if wanted is not None:
            self.leaving.pop(name, None)
            if asked or holds != wanted.version:
                fresh.append(wanted)
            else:
                self._dirty.discard(name)
        elif name in self.target:  # refused, and what it had before is not known: leave it alone
            self._dirty.discard(name)
            self._asked.discard(name)
        elif asked and isinstance(kept := self._held(name), EncodedResource):
            fresh.append(kept)  # it is to go, but not yet: until then it is what it was
        elif holds is not None or (asked and self._interesting(name)):
            gone.append(name)
        else:
            self._dirty.discard(name)
            self._owed.discard(name)

    def _is_due(self, name: ResourceName, now: float, generation: int) -> bool:
        leaving = self.leaving.setdefault(name, Leaving(generation))
        return leaving.due is not None and leaving.due <= now

    def release(self, acknowledged: int, due: float) -> None:
        """Removals noted up to the generation `acknowledged` may be sent at `due`."""
        for leaving in self.leaving.values():
            if leaving.due is None and leaving.noted <= acknowledged:
                leaving.due = due

    def record(self, plan: Plan, nonce: str, now: float, generation: int) -> None:
        """`plan` is on its way."""
        before = {item.name: self._held(item.name) for item in plan.fresh}
        before.update((name, self._held(name)) for name in plan.gone)
        covered = 0 if self._apart else generation
        unsure = self._unsure & before.keys()
        self.in_flight[nonce] = Sent(nonce, now, covered, plan.fresh, plan.gone, before, unsure)
        self._exceptions.update((item.name, item) for item in plan.fresh)
        self._exceptions.update((name, None) for name in plan.gone)
        self._answer = False
        if self._apart:
            self._apart.pop(0)
        names = before.keys()
        self._unsure -= names
        kept = {item.name for item in plan.fresh if item.name not in self.target}
        self._dirty = (self._dirty - names) | kept
        self._asked -= names
        self._owed -= names
        for name in names - kept:
            self.leaving.pop(name, None)

    # ------------------------------------------------------------ what it answered

    def accept(self) -> None:
        """The proxy took the response that waited for this; it must not be in flight any more."""
        self._settle()

    def _settle(self) -> None:
        """When it has everything, what it holds is the target."""
        if self.known and self.quiet and not self._dirty and not self.refused:
            self._base, self._exceptions = self.target, {}
            self._last_good.clear()

    def refuse(self, sent: Sent, culprits: Iterable[ResourceName]) -> None:
        """The proxy refused a response because of `culprits`; none means that nobody knows which it was.

        Envoy took the siblings, or none of them: so they go out again, without the culprits, or in halves.
        """
        bad = set(culprits)
        newer = {name for other in self._sent_after(sent) for name in other.before}
        again = [item for item in sent.added if item.name not in bad | newer and self._held(item.name) is item]
        for item in sent.added:
            self._correct_later(item, sent, sure=item.name in bad)
            if item.name in bad:
                self._quarantine(item, sent, newer)
        for name in sent.removed if sent.added else ():
            if self._held(name) is None and sent.before[name] is not None:
                self._exceptions[name] = sent.before[name]
                self._dirty.add(name)
        for item in again:  # taken or not: what was before is all that is sure
            self._exceptions[item.name] = sent.before[item.name]
            self._unsure.add(item.name)
            self._dirty.add(item.name)
        names = [item.name for item in again if item.name in self.target]
        if not bad and len(names) > 1:
            half = len(names) // 2
            self._apart += [tuple(names[:half]), tuple(names[half:])]
        else:
            self._owed.update(names)

    def _sent_after(self, sent: Sent) -> list[Sent]:
        return [other for other in self.in_flight.values() if int(other.nonce) > int(sent.nonce)]

    def _correct_later(self, item: EncodedResource, sent: Sent, *, sure: bool) -> None:
        """What was sent after `sent` did not replace `item`, or (unless that is `sure`) perhaps not."""
        for other in self._sent_after(sent):
            if other.before.get(item.name) is item:
                doubtful = not sure or item.name in sent.unsure
                self.in_flight[other.nonce] = replace(
                    other,
                    before={**other.before, item.name: sent.before[item.name]},
                    unsure=other.unsure | {item.name} if doubtful else other.unsure,
                )

    def _quarantine(self, item: EncodedResource, sent: Sent, newer: set[ResourceName]) -> None:
        before = sent.before[item.name]
        self._last_good.pop(item.name, None)
        if isinstance(before, EncodedResource) and before.version != item.version:
            self._last_good[item.name] = before
        if (wanted := self.target.get(item.name)) is not None and wanted.version == item.version:
            self.refused[item.name] = item.version
        if item.name not in newer and self._held(item.name) is item:
            self._exceptions[item.name] = before
            self._unsure |= sent.unsure & {item.name}
            self._dirty.add(item.name)

    @property
    def has_work(self) -> bool:
        """Whether `plan` has anything to look at."""
        return bool(self._dirty or self._asked or self._owed or self._apart or self._answer)

    @property
    def quiet(self) -> bool:
        """Nothing is on its way and nothing must be sent, except removals that are held back."""
        if self.in_flight or self._asked or self._owed or self._apart or self._answer:
            return False
        return not self._dirty or self._dirty <= self.leaving.keys()
