"""Records in memory: the same seam and the same answers as SQLite, nothing on disk."""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from typing import TypeVar

from meshwright.store.engine import Head, Ledger, Place, Records, Upkeep
from meshwright.store.history import Change
from meshwright.store.names import ChangeNumber, EpochMilliseconds, Key, Revision
from meshwright.store.version import Event, EventType, Version

T = TypeVar("T")


class MemoryRecords:
    """The kept events, the newest version of each object, and the kept changes."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._objects: dict[Key, Version] = {}
        self._keys: list[Key] = []  # of `_objects`, sorted
        self._changes: list[Change] = []
        self._revision = Revision(0)
        self._compacted = Revision(0)
        self._change = ChangeNumber(0)

    def head(self) -> Head:
        oldest = self._changes[0].number if self._changes else ChangeNumber(self._change + 1)
        return Head(self._revision, self._compacted, self._change, oldest)

    def find(self, key: Key) -> Version | None:
        return self._objects.get(key)

    def _at(self, place: Place, at: Revision, after: Key | None) -> list[Version]:
        """Today's objects, with those that changed since `at` as their first event since then found them."""
        found = {key: self._objects[key] for key in self._keys if place.holds(key)}
        for event in reversed(self._events):
            if event.version.revision <= at:
                break
            if not place.holds(event.version.key):
                continue
            if event.before is None:
                found.pop(event.version.key, None)
            else:
                found[event.version.key] = event.before
        return [found[key] for key in sorted(found) if after is None or key > after]

    def scan(self, place: Place, at: Revision, after: Key | None, limit: int) -> Sequence[Version]:
        return self._at(place, at, after)[:limit]

    def count(self, place: Place, at: Revision, after: Key | None) -> int:
        return len(self._at(place, at, after))

    def log(self, place: Place, after: Revision, limit: int) -> Sequence[Event]:
        start = bisect_right(self._events, after, key=_revision)
        return [event for event in self._events[start:] if place.holds(event.version.key)][:limit]

    def changes(
        self, first: ChangeNumber, last: ChangeNumber, limit: int, key: Key | None = None
    ) -> Sequence[Change]:
        found = [
            change
            for change in reversed(self._changes)
            if first <= change.number <= last
            and (key is None or any(difference.key == key for difference in change.differences))
        ]
        return found[:limit]

    def append(self, events: Sequence[Event], change: Change | None) -> None:
        for event in events:
            key = event.version.key
            self._events.append(event)
            if event.type is EventType.DELETED:
                del self._objects[key]
                del self._keys[bisect_right(self._keys, key) - 1]
            else:
                if key not in self._objects:
                    insort(self._keys, key)
                self._objects[key] = event.version
            self._revision = event.version.revision
        if change is not None:
            self._changes.append(change)
            self._change = change.number

    def first_after(self, time: EpochMilliseconds) -> Revision | None:
        return next((event.version.revision for event in self._events if event.time > time), None)

    def compact(self, to: Revision) -> None:
        self._compacted = max(self._compacted, to)
        del self._events[: bisect_right(self._events, to, key=_revision)]

    def forget_changes(self, count: int, before: EpochMilliseconds) -> None:
        last = self._change - count
        young = next((i for i, change in enumerate(self._changes) if change.time >= before), len(self._changes))
        old = next((i for i, change in enumerate(self._changes) if change.number > last), len(self._changes))
        del self._changes[: max(young, old)]


def _revision(event: Event) -> Revision:
    return event.version.revision


class MemoryEngine:
    """Jobs run at once, in the event loop; a job that raises must not have appended anything before."""

    def __init__(self) -> None:
        self._records = MemoryRecords()
        self._published: Callable[[Sequence[Event]], None] | None = None
        self._upkeep: Upkeep | None = None

    async def start(self, published: Callable[[Sequence[Event]], None], upkeep: Upkeep) -> Head:
        self._published = published
        self._upkeep = upkeep
        return self._records.head()

    async def read(self, question: Callable[[Records], T]) -> T:
        return question(self._records)

    async def write(self, job: Callable[[Ledger], T]) -> T:
        assert self._published is not None, "start comes first"
        assert self._upkeep is not None
        head = self._records.head()
        result = job(self._records)
        self._published(self._records.log(Place(), head.revision, self._records.head().revision - head.revision))
        if self._upkeep.due(self._records.head().revision):
            self._upkeep.keep(self._records)
        return result

    async def close(self) -> None:
        """Nothing is open."""
