"""Follows objects, compilations and proxies, and says on the objects how they stand.

One loop does it: whenever something moved it looks at what is not settled, holds back and lets go, and writes what is
different from what stands in the store. Nothing queues; a status is what is true when it is written.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from meshwright.asynctools.latest import Latest
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.node.progress import ProxyProgress
from meshwright.status.quarantine import Quarantine, Suspicion
from meshwright.status.refusals import Refused, doubts, refusals
from meshwright.status.register import Entry, Hold, Register
from meshwright.status.sources import Compiled, Proxies, Receipts, Swap
from meshwright.status.standing import Refusal, Standing
from meshwright.status.subjects import key_of, shown
from meshwright.status.verdicts import Verdicts
from meshwright.status.writer import Said, StatusWriter
from meshwright.store.errors import GoneError, StorageError
from meshwright.store.names import Key, Revision
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store

LOG = logging.getLogger(__name__)
PAUSE_SECONDS = 0.05  # between two looks
PATIENCE_SECONDS = 1.0  # after which "not yet" is worth a write
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 30.0, 600.0  # what was refused is tried again, ever more seldom
STUCK_SECONDS = 3.0  # after which nobody waits for a proxy that does not answer, to go on with a trial
_HISTORY = 20


class MeshStatus:
    """`run` it. `wait` for one object; `standing_of` tells how it is now."""

    def __init__(
        self, store: Store, mesh: Compiled, proxies: Proxies, receipts: Receipts, clock: Callable[[], float]
    ) -> None:
        """`clock` in seconds, only for patience."""
        self.news: Latest[int] = Latest(0)
        self._store = store
        self._mesh = mesh
        self._proxies = proxies
        self._receipts = receipts
        self._clock = clock
        self._register = Register()
        self._quarantine = Quarantine(self._register)
        self._verdicts = Verdicts(self._register)
        self._writer = StatusWriter(store)
        self._wake = asyncio.Event()
        self._findings: tuple[Diagnostic, ...] = ()
        self._by_object: dict[Key, tuple[Diagnostic, ...]] = {}
        self._accused: frozenset[Key] = frozenset()
        self._unsettled: set[Key] = set()
        self._unsaid: set[Key] = set()  # their standing may differ from what is in the store
        self._retries: dict[Key, float] = {}  # when to try again who was refused
        self._stepped = 0.0  # when something was held back or let go last

    # ------------------------------------------------------------ for others

    def standing_of(self, key: Key) -> Standing | None:
        """How the newest version of an object stands; None for an unknown one, and before anybody looked."""
        entry = self._register.get(key)
        return None if entry is None else entry.standing

    def look_again(self) -> None:
        """Something that it looks at is another than it was."""
        self._wake.set()

    async def wait(self, key: Key, seconds: float) -> Standing | None:
        """The standing once it is live, or as it is after so long."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = self.news.value
                    standing = self.standing_of(key)
                    if standing is not None and standing.live:
                        return standing
                    await self.news.newer_than(seen)
        except TimeoutError:
            return self.standing_of(key)

    def lets(self, change: int) -> bool:
        """Whether who runs what is published now has a change as it was made: nothing of it is held back."""
        return self._verdicts.are_lifted(change)

    async def judged(self, keys: Sequence[Key], seconds: float) -> None:
        """Until it is known of each of these whether Envoy takes it, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    seen = self.news.value
                    if all(map(self._is_judged, keys)):
                        return
                    await self.news.newer_than(seen)

    def _is_judged(self, key: Key) -> bool:
        entry = self._register.get(key)
        standing = None if entry is None else entry.standing
        return entry is None or entry.proven or (standing is not None and standing.refusal is not None)

    # ------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Until cancelled. Raises StorageError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.follow())
            tasks.create_task(self._follow(self._proxies.moved))
            tasks.create_task(self._follow(self._mesh.published))
            tasks.create_task(self._look_for_ever())

    async def _load(self) -> Revision:
        publication, now = self._mesh.published.value.change, self._clock()
        page = await self._store.list(Query(Scope()))
        for version in page.items:
            self._register.load(version, publication, now)
        self._register.forget_others({version.key for version in page.items})
        self._unsettled.update(self._register.entries)
        self._wake.set()
        return page.revision

    async def follow(self) -> None:
        """Know all objects, and what becomes of them, until cancelled."""
        watch = await self._store.watch(Scope(), await self._load())
        while True:
            try:
                events = await watch.batch()
            except GoneError:  # too far behind: what is missed is read again
                watch = await self._store.watch(Scope(), await self._load())
                continue
            for event in events:
                key = self._register.apply(event, self._clock())
                if key is not None:
                    self._unsettled.add(key)
                    self._wake.set()

    async def _follow(self, news: Latest[Any]) -> None:
        seen = news.value
        while True:
            self._wake.set()
            seen = await news.newer_than(seen)

    async def _look_for_ever(self) -> None:
        while True:
            timeout = PATIENCE_SECONDS if self._is_restless else None
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            self._wake.clear()
            await self._look_bravely()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look_bravely(self) -> None:
        """What is said of the mesh must not be able to end it."""
        try:
            await self.look()
        except StorageError:
            raise
        except Exception:
            LOG.exception("the status of objects is not up to date")

    @property
    def _is_restless(self) -> bool:
        return bool(self._unsettled or self._unsaid or self._retries) or self._quarantine.has_trials

    async def look(self) -> None:
        """One look at everything that is not settled, and what follows. Raises StorageError."""
        progress = self._proxies.progress()
        refused = refusals(self._mesh.published.value, progress)
        if await self._hold_back(refused) or self._let_go(refused, progress):
            progress = self._proxies.progress()
            refused = refusals(self._mesh.published.value, progress)
        self._assess(refused, progress)
        due = self._due()
        done = await self._writer.write(due)
        self._unsaid -= done
        for said in due:
            entry = self._register.get(said.key)
            if entry is not None and said.key in done:
                entry.told = said.standing.refusal

    # ------------------------------------------------------------ holding back

    async def _hold_back(self, refused: Iterable[Refused]) -> bool:
        suspicions = {each.key: each for each in self._quarantine.suspicions(refused)}
        suspects = {key: entry for key in suspicions if (entry := self._register.get(key)) is not None}
        swaps = [Swap(key, entry.subject.text, await self._good(key)) for key, entry in suspects.items()]
        same = [each for each in swaps if self._register.get(each.key) is suspects[each.key]]  # not cured meanwhile
        done = self._swap(same)
        for swap in same:
            if swap.key in done:
                self._note_hold(suspicions[swap.key], swap.after)
        return bool(done)

    def _note_hold(self, suspicion: Suspicion, good: bytes | None) -> None:
        entry = self._register.entries[suspicion.key]
        entry.hold = Hold(good, suspicion.refusal)
        entry.good, entry.is_good_known = good, True
        self._unsettled.add(suspicion.key)
        if suspicion.refusal is not None:
            if entry.verdict is None:
                LOG.warning("%s is held back: %s", shown(suspicion.key), suspicion.refusal.words)
            entry.verdict = suspicion.refusal
            self._verdicts.blame(suspicion.key)
            entry.pause = min(max(2 * entry.pause, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
            self._retries[suspicion.key] = self._clock() + entry.pause

    def _let_go(self, refused: Sequence[Refused], progress: Mapping[ProxyName, ProxyProgress]) -> bool:
        """Try some of the suspects, when all proxies run what is published and nothing of it is refused anew."""
        self._try_again()
        if not self._quarantine.has_trials or not self._is_calm(refused, progress):
            return False
        group = self._quarantine.next_trial()
        entries = {key: self._register.entries[key] for key in group}
        swaps = [
            Swap(key, entry.hold.instead, entry.subject.text)
            for key, entry in entries.items()
            if entry.hold is not None
        ]
        done = self._swap(swaps)
        for key in done:
            entries[key].hold = None
            entries[key].publication = self._mesh.published.value.change
            self._unsettled.add(key)
        return bool(done)

    def _try_again(self) -> None:
        """What was refused may be taken now: something else may have been the reason, and be gone."""
        now = self._clock()
        due = [key for key, moment in self._retries.items() if moment <= now]
        for key in due:
            del self._retries[key]
            entry = self._register.get(key)
            if entry is not None and entry.hold is not None and entry.hold.refusal is not None:
                self._quarantine.retry(key)

    def _is_calm(self, refused: Iterable[Refused], progress: Mapping[ProxyName, ProxyProgress]) -> bool:
        """Whether everybody whose word counts runs what is published, and nobody is to be held back for it."""
        if any(map(self._quarantine.is_our_business, refused)):
            return False
        newest = self._mesh.published.value.change
        said = [each for name in self._quarantine.witnesses if (each := progress.get(name)) is not None]
        waited = self._clock() - self._stepped
        return waited > STUCK_SECONDS or all(each.change >= newest for each in said if each.connected)

    def _swap(self, swaps: Sequence[Swap]) -> frozenset[Key]:
        if not swaps:
            return frozenset()
        self._stepped = self._clock()
        return self._mesh.swap(swaps)

    async def _good(self, key: Key) -> bytes | None:
        """The last version of an object that is not known to be bad."""
        entry = self._register.get(key)
        if entry is None or entry.is_good_known:
            return None if entry is None else entry.good
        for change in await self._store.changes(_HISTORY, key):
            for difference in change.differences:
                before = difference.before
                if difference.key == key and before is not None and before.text != entry.subject.text:
                    return before.text
        return None

    # ------------------------------------------------------------ how objects stand

    def _assess(self, refused: Sequence[Refused], progress: Mapping[ProxyName, ProxyProgress]) -> None:
        troubles = self._troubles(refused, doubts(self._mesh.published.value, progress))
        accused = {key for key, trouble in troubles.items() if trouble.refusal is not None}
        work = self._unsettled | self._sorted_findings() | accused | self._accused
        self._accused = frozenset(accused)
        moved = {key for key in work if self._look_at(key, troubles.get(key, NO_TROUBLE), progress)}
        self._unsettled = {key for key in work if self._is_open(key)}
        self._unsaid |= moved
        if moved or not self._unsettled:
            self.news.set(self.news.value + 1)

    def _troubles(self, refused: Iterable[Refused], doubted: Mapping[Key, set[ProxyName]]) -> "dict[Key, _Trouble]":
        """What refusals mean for each object that they concern."""
        found = {key: _Trouble(frozenset(proxies)) for key, proxies in doubted.items()}
        for each in refused:
            concerned = each.concerned or {key for key in self._unsettled if self._is_unproven(key)}
            blamed = dict(each.blamed(key for key in concerned if self._is_unproven(key)).fields)
            for key in concerned:
                before = found.get(key, NO_TROUBLE)
                refusal = each.told(blamed[key]) if key in blamed else before.refusal
                found[key] = _Trouble(before.at | set(each.proxies), refusal)
        return found

    def _is_unproven(self, key: Key) -> bool:
        entry = self._register.get(key)
        return entry is not None and not entry.proven

    def _is_open(self, key: Key) -> bool:
        """Whether it may stand otherwise at the next look though nothing is said of it anew."""
        entry = self._register.get(key)
        if entry is None:
            return False
        if entry.hold is not None:
            return entry.hold.refusal is None
        return entry.standing is None or not entry.proven or bool(entry.standing.absent)

    def _sorted_findings(self) -> set[Key]:
        """Sort the newest findings by object; the objects of which others are said than before."""
        found = self._mesh.findings()
        if found is self._findings:
            return set()
        by_object: dict[Key, list[Diagnostic]] = {}
        for each in dict.fromkeys(found):
            if (key := key_of(each.origin.object)) is not None:
                by_object.setdefault(key, []).append(each)
        before = self._by_object
        self._findings, self._by_object = found, {key: tuple(each) for key, each in by_object.items()}
        keys = before.keys() | self._by_object.keys()
        return {key for key in keys if before.get(key) != self._by_object.get(key)}

    def _look_at(self, key: Key, trouble: "_Trouble", progress: Mapping[ProxyName, ProxyProgress]) -> bool:
        """Bring an object's standing up to date; whether it is another one now."""
        entry = self._register.get(key)
        if entry is None:
            return False
        if entry.publication is None:
            entry.publication = self._receipts.publication_of(entry.subject.change)
        if entry.publication is None:
            return False
        before, hold = entry.standing, entry.hold
        spread = self._spread(entry, entry.publication, trouble.at, progress)
        found = replace(spread, findings=self._by_object.get(key, ()))
        if found.withheld:
            entry.withheld, entry.proven = True, False
        elif hold is None and spread.reached and trouble.refusal is None:
            entry.proven, entry.verdict = True, None
        entry.standing = replace(
            found,
            refusal=entry.verdict or (trouble.refusal if hold is None else None),
            suspected=hold is not None and entry.verdict is None,
        )
        return entry.standing != before

    def _spread(
        self,
        entry: Entry,
        publication: int,
        refusing: frozenset[ProxyName],
        progress: Mapping[ProxyName, ProxyProgress],
    ) -> Standing:
        """Whom it concerns and who runs it; that stays as it was once all do. Who was absent may take its time."""
        before, subject = entry.standing, entry.subject
        if entry.proven and before is None:
            return Standing(subject.generation, subject.change, None, len(progress), inherited=True)
        settled = before is not None and before.generation == subject.generation and not before.absent
        if entry.proven and before is not None and settled:
            return before
        receipt = self._receipts.of(subject.change) if subject.change else None
        affected = (
            None
            if receipt is None or entry.withheld
            else tuple(name for name in receipt.affected if name in progress)
        )
        waiting: list[ProxyName] = []
        absent: list[ProxyName] = []
        for name in sorted(progress) if affected is None else affected:
            each = progress[name]
            if not each.connected:
                absent.append(name)
            elif each.change < publication or name in refusing:
                (absent if entry.proven else waiting).append(name)
        return Standing(subject.generation, subject.change, affected, len(progress), tuple(waiting), tuple(absent))

    def _due(self) -> list[Said]:
        """What may be written now: that somebody is late is not worth a write before it lasts."""
        late = self._clock() - PATIENCE_SECONDS
        found: list[Said] = []
        for key in sorted(self._unsaid):
            entry = self._register.get(key)
            if entry is None:
                self._unsaid.discard(key)
            elif entry.standing is not None and (entry.since <= late or not entry.standing.is_passing):
                found.append(Said(key, entry.subject.uid, entry.standing, entry.told))
        return found


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Some proxies refuse a resource that an object is in; `refusal` when it is the object's fault."""

    at: frozenset[ProxyName] = frozenset()
    refusal: Refusal | None = None


NO_TROUBLE = _Trouble()
