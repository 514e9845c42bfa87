"""Tables that know what each of their values was made from, so that a change reaches just what depends on it.

A `Source` holds the snapshot's objects in groups. A `Derived` table computes its value of a key by a pure function
that reads other tables; what it reads is noted. After a change only values that read something changed are looked at
again, and one that turns out equal stays the same object and stops the change there. So the work of a compilation
follows the change and not the mesh, and nobody keeps lists of what depends on what by hand. Identity of objects is
what counts as "unchanged" in sources: snapshots share the objects that did not change.
"""

from collections.abc import Callable, Hashable, Iterable
from operator import eq
from typing import Any, Generic, TypeVar

from meshwright.compiler.groups import Group, exchanged

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Value = TypeVar("Value")
Place = tuple["Table", Any]


class ImpureError(Exception):
    """A derived value was different when it was computed again from the same inputs: a bug of ours."""


class Ledger:
    """What the tables of one compiler share: the round, and what is being read. All sources are fed once a round."""

    def __init__(self, *, audit: bool = False) -> None:
        self.audit = audit
        self.round = 0
        self.computed = 0
        self.reading: list[dict[Place, None]] = []

    def begin(self) -> None:
        """Start a round, before the sources are fed."""
        self.round += 1
        self.computed = 0


class Table:
    """What dependents may ask of a table."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._dependents: dict[Any, dict[Place, None]] = {}

    def changed(self, key: Any) -> int:
        """The round in which the value of `key` last became another one (checked now)."""
        raise NotImplementedError

    def doubt(self, key: Any, cause: Place) -> None:
        """What the value of `key` was made from may be another now: `cause`, which it has read."""
        raise NotImplementedError

    def depend(self, key: Any, place: Place) -> None:
        self._dependents.setdefault(key, {})[place] = None

    def release(self, key: Any, place: Place) -> None:
        """`place` does not read `key` any more."""
        readers = self._dependents.get(key)
        if readers is not None:
            readers.pop(place, None)
            if not readers:
                del self._dependents[key]

    def _note(self, key: Any) -> None:
        if self._ledger.reading:
            self._ledger.reading[-1][self, key] = None

    def _spread(self, key: Any) -> None:
        cause: Place = (self, key)
        for table, other in self._dependents.get(key, ()):
            table.doubt(other, cause)


class Source(Table, Generic[Key, Item]):
    """Objects of one kind in groups; an object may be in several. With `order` the groups are sorted by it."""

    def __init__(
        self, ledger: Ledger, keys: Callable[[Item], Iterable[Key]], order: Callable[[Item], Any] | None = None
    ) -> None:
        super().__init__(ledger)
        self._keys = keys
        self._order = order
        self._fed: tuple[Item, ...] = ()
        self._items: dict[int, tuple[Item, tuple[Key, ...]]] = {}
        self._groups: dict[Key, Group[Item]] = {}
        self._changed: dict[Key, int] = {}

    def feed(self, items: tuple[Item, ...]) -> None:
        """The objects of this round. Costs little where they are the same ones as before."""
        if items is self._fed:
            return
        exact = len(self._items) == len(self._fed)  # not when an object was given twice
        gone, added = exchanged(self._fed if exact else self._known(), items)
        self._fed = items
        touched: dict[Key, tuple[list[Item], list[Item]]] = {}
        for item in gone:
            for key in self._items.pop(id(item))[1]:
                touched.setdefault(key, ([], []))[0].append(item)
        for item in added:
            if id(item) not in self._items:
                keys = tuple(dict.fromkeys(self._keys(item)))
                self._items[id(item)] = (item, keys)
                for key in keys:
                    touched.setdefault(key, ([], []))[1].append(item)
        for key, (lost, won) in touched.items():
            self._regroup(key, lost, won)

    def get(self, key: Key) -> tuple[Item, ...]:
        """The group of `key`; without `order` the order means nothing."""
        self._note(key)
        group = self._groups.get(key)
        return group.items() if group is not None else ()

    def changed(self, key: Key) -> int:
        return self._changed.get(key, 0)

    def _known(self) -> tuple[Item, ...]:
        return tuple(item for item, _ in self._items.values())

    def _regroup(self, key: Key, lost: list[Item], won: list[Item]) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(self._order)
        group.exchange(lost, won)
        if not group:
            del self._groups[key]
        self._changed[key] = self._ledger.round
        self._spread(key)


class _Entry:
    """A value, what it has read, and which of that may be another since the value was last looked at."""

    __slots__ = ("changed", "doubts", "reads", "value", "verified")

    def __init__(self, value: Any, reads: dict[Place, None], now: int) -> None:
        self.value = value
        self.reads = reads
        self.changed = now
        self.verified = now
        self.doubts: dict[Place, None] = {}

    def doubtful(self) -> tuple[Place, ...]:
        """In the order in which it was read: whether a later one may be asked for can depend on an earlier one."""
        if len(self.doubts) == 1:
            return tuple(self.doubts)
        return tuple(place for place in self.reads if place in self.doubts)


class Derived(Table, Generic[Key, Value]):
    """Values by key, computed when they are first asked for and again when what they read has changed."""

    def __init__(self, ledger: Ledger, function: Callable[[Key], Value]) -> None:
        super().__init__(ledger)
        self._function = function
        self._entries: dict[Key, _Entry] = {}

    def __call__(self, key: Key) -> Value:
        """The value of `key` now. The way of one that is known and sure is kept short: most are, most of the time."""
        ledger = self._ledger
        if ledger.reading:
            ledger.reading[-1][self, key] = None
        entry = self._entries.get(key)
        if entry is None or entry.doubts or ledger.audit:
            entry = self._fresh(key)
        return entry.value

    def changed(self, key: Key) -> int:
        return self._fresh(key).changed

    def doubt(self, key: Key, cause: Place) -> None:
        entry = self._entries.get(key)
        if entry is not None:
            known = bool(entry.doubts)
            entry.doubts[cause] = None
            if not known:
                self._spread(key)

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Forget the keys that are not wanted any more. Who still reads one has to ask again: changes do not come
        through what is forgotten.
        """
        for key in [key for key in self._entries if not wanted(key)]:
            entry = self._entries.pop(key)
            self._spread(key)
            for table, other in entry.reads:
                table.release(other, (self, key))

    def __len__(self) -> int:
        return len(self._entries)

    def _fresh(self, key: Key) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            return self._compute(key, None)
        if entry.doubts:
            if any(table.changed(other) > entry.verified for table, other in entry.doubtful()):
                return self._compute(key, entry)
            entry.doubts = {}
            entry.verified = self._ledger.round
        elif self._ledger.audit and entry.verified != self._ledger.round:
            self._check(key, entry)
        return entry

    def _compute(self, key: Key, old: _Entry | None) -> _Entry:
        ledger = self._ledger
        reads: dict[Place, None] = {}
        ledger.reading.append(reads)
        try:
            value = self._function(key)
        finally:
            ledger.reading.pop()
        ledger.computed += 1
        place: Place = (self, key)
        if old is None:
            for table, other in reads:
                table.depend(other, place)
            entry = self._entries[key] = _Entry(value, reads, ledger.round)
            return entry
        if len(reads) != len(old.reads) or not all(map(eq, reads, old.reads)):
            for table, other in reads:
                table.depend(other, place)
            for table, other in old.reads.keys() - reads.keys():
                table.release(other, place)
        if value != old.value:
            old.value, old.changed = value, ledger.round
        old.reads, old.verified, old.doubts = reads, ledger.round, {}
        return old

    def _check(self, key: Key, entry: _Entry) -> None:
        """Audit: what is believed unchanged must come out equal."""
        entry.verified = self._ledger.round
        self._ledger.reading.append({})
        try:
            again = self._function(key)
        finally:
            self._ledger.reading.pop()
        if again != entry.value:
            raise ImpureError(self._function, key)
