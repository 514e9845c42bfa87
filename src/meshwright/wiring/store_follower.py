"""The store's events reach the living mesh: objects are read as they change, proxies get what follows."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from meshwright.apiserver.values import dig
from meshwright.asynctools.latest import Latest
from meshwright.model.published import Published
from meshwright.status.sources import Swap
from meshwright.status.subjects import ref_of
from meshwright.store.names import Key, Resource, Revision
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store
from meshwright.store.version import Event, EventType, Version
from meshwright.wiring.earlier_versions import removed_definitions, versions
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.object_book import PODS, ObjectBook, is_leaving
from meshwright.wiring.withheld import Past

MARK = b'"deletionTimestamp"'
BOUND = b'"nodeName"'
POLICIES = Resource("security.istio.io", "peerauthentications")
RULES = Resource("networking.istio.io", "destinationrules")
MOST_IN_STEPS = 100  # changes that are looked at after a start: steps take some seconds


@dataclass(frozen=True, slots=True)
class Begun:
    """When the first of some changes was seen (by the follower's clock), and what was published before."""

    since: float
    before: Published


class StoreFollower:
    """`load` once, then `run`. `change` is the number of the newest change that is in what the mesh published,
    `begun` tells where those began that came since it was last asked; `leaving` are the pods that are marked for
    deletion, with their uids. `heard` is told each event of more than a status. Nothing here waits for a proxy.
    """

    def __init__(self, store: Store, mesh: LiveMesh, clock: Callable[[], float]) -> None:
        self.change: Latest[int] = Latest(0)
        self.heard: Callable[[Event], None] = _unheard
        self.leaving: Latest[Mapping[Key, str]] = Latest({})
        self._store = store
        self._mesh = mesh
        self._clock = clock
        self._begun: Begun | None = None
        self._book = ObjectBook()
        self._revision = Revision(0)

    async def load(self) -> None:
        """Read everything that is stored."""
        page = await self._store.list(Query(Scope()))
        for version in page.items:
            self._put(version)
        self._revision = page.revision
        await self._recall()
        head = (await self._store.head()).change
        self._mesh.update(self._book.loaded)
        await self._carry_on(head)
        self._mesh.steps.reached = head
        self.change.set(head)

    async def _carry_on(self, newest: int) -> None:
        """What was stored and not in effect when the control plane before ended is still in its steps."""
        steps = self._mesh.steps
        if not steps.open:
            return
        for change in reversed(await self._store.changes(MOST_IN_STEPS)):
            keys = [each.key for each in change.differences if each.key.resource in (POLICIES, RULES)]
            if keys and steps.rested < change.number <= newest:
                self._carry(change.number, keys)

    async def _recall(self) -> None:
        """What was in effect instead of objects that cannot be, from the history."""
        objects, withheld = self._book.loaded.objects, self._mesh.withheld
        known = {ref: await versions(self._store, ref) for ref in withheld.lacking(objects)}
        if known:
            oldest = min((number for each in known.values() for number, _ in each), default=0)
            removed = await removed_definitions(self._store, oldest)
            withheld.remember(objects, Past(lambda ref: known.get(ref, ()), tuple(removed)))

    async def run(self) -> None:
        """Follow for ever, several events at once when they come fast."""
        watch = await self._store.watch(Scope(), self._revision)
        while True:
            self._take(await watch.batch())

    def begun(self) -> Begun:
        """Where the changes began that `change` has passed since the last call; nowhere when there were none."""
        begun, self._begun = self._begun or Begun(self._clock(), self._mesh.published.value), None
        return begun

    def swap(self, swaps: Iterable[Swap]) -> frozenset[Key]:
        """Let the mesh read other texts of objects than those that are stored, until their next version, and publish.
        A swap that expects something else than what is read now is left out; which ones were made.
        """
        done = [swap for swap in swaps if self._book.text(swap.key) == swap.before]
        news = False
        for swap in done:
            news |= self._book.remove(swap.key) if swap.after is None else self._book.put(swap.key, swap.after)
        if news:
            self._mesh.update(self._book.loaded)
        return frozenset(swap.key for swap in done)

    def _take(self, events: Iterable[Event]) -> None:
        begun = Begun(self._clock(), self._mesh.published.value)
        news, newest = False, 0
        stepping: dict[int, list[Key]] = {}
        for event in events:
            is_new = self._follow(event)
            if is_new and event.change and event.version.key.resource in (POLICIES, RULES):
                stepping.setdefault(event.change, []).append(event.version.key)
            news |= is_new
            newest = max(newest, event.change or 0)
        if news:
            self._mesh.update(self._book.loaded)
        for change, keys in stepping.items():
            self._carry(change, keys)
        if newest:
            self._mesh.steps.reached = newest
            self._begun = self._begun or begun
            self.change.set(newest)

    def _carry(self, change: int, keys: Collection[Key]) -> None:
        rules = [ref_of(key) for key in keys if key.resource == RULES]
        self._mesh.steps.carry(change, rules, policies=len(rules) < len(keys))

    def _follow(self, event: Event) -> bool:
        """Whether the mesh reads something else now."""
        if event.type is EventType.DELETED or _is_other(event):
            self.heard(event)
        if event.type is EventType.DELETED:
            self._leave(event.version.key, None)
            return self._book.remove(event.version.key)
        if event.version.key.resource == PODS or _is_other(event):
            return self._put(event.version)
        return False

    def _put(self, version: Version) -> bool:
        """A pod that no machine has taken is not to run yet, one that is marked for deletion not any more; other
        objects hold until they are gone.
        """
        text = version.body.text
        if version.key.resource != PODS:
            return self._book.put(version.key, text)
        if MARK in text and is_leaving(version.body.value()):
            self._leave(version.key, version.uid)
            return self._book.remove(version.key)
        if not _is_bound(version):
            return self._book.remove(version.key)
        return self._book.put(version.key, _with_address(version))

    def _leave(self, key: Key, uid: str | None) -> None:
        """Note that a pod is marked for deletion, or (None) that it is gone."""
        rest = {other: known for other, known in self.leaving.value.items() if other != key}
        now = rest if uid is None else {**rest, key: uid}
        if now != self.leaving.value:
            self.leaving.set(now)


def _unheard(event: Event) -> None:
    """Nobody counts them yet."""


def _is_other(event: Event) -> bool:
    """Whether more than the status is different: an event of a status alone must not undo a swap."""
    return event.before is None or event.before.body.text != event.version.body.text


def _is_bound(version: Version) -> bool:
    """Whether a machine has taken this pod."""
    return BOUND in version.body.text and bool(dig(version.body.value(), "spec", "nodeName"))


def _with_address(version: Version) -> bytes:
    """A pod with no more of its status than its address, which it keeps."""
    address = version.status.value().get("podIP") if version.status is not None else None
    if not address:
        return version.body.text
    return json.dumps({**version.body.value(), "status": {"podIP": address}}).encode()
