"""Tables that know what each of their values was made from, so that a change reaches just what depends on it.

A `Source` holds the snapshot's objects in groups. A `Derived` table computes its value of a key by a pure function
that reads other tables; what it reads is noted. After a change only values that read something changed are looked at
again, and one that turns out equal stays the same object and stops the change there. So the work of a compilation
follows the change and not the mesh, and nobody keeps lists of what depends on what by hand. Identity of objects is
what counts as "unchanged" in sources: snapshots share the objects that did not change.
"""

from bisect import insort
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

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

    def doubt(self, key: Any) -> None:
        """Something that the value of `key` was made from may be another now."""
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
        for table, other in self._dependents.get(key, ()):
            table.doubt(other)


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
        self._groups: dict[Key, tuple[Item, ...]] = {}
        self._changed: dict[Key, int] = {}

    def feed(self, items: tuple[Item, ...]) -> None:
        """The objects of this round. Costs little where they are the same ones as before."""
        if items is self._fed:
            return
        self._fed = items
        new = dict(zip(map(id, items), items, strict=True))
        old = self._items
        gone = [identity for identity in old if identity not in new] if old.keys() - new.keys() else []
        touched: dict[Key, list[Item]] = {}
        for identity in gone:
            for key in old[identity][1]:
                touched.setdefault(key, [])
        lost = {identity: old.pop(identity) for identity in gone}
        for identity in [identity for identity in new if identity not in old]:
            keys = tuple(dict.fromkeys(self._keys(new[identity])))
            old[identity] = (new[identity], keys)
            for key in keys:
                touched.setdefault(key, []).append(new[identity])
        for key, added in touched.items():
            self._regroup(key, added, lost)

    def get(self, key: Key) -> tuple[Item, ...]:
        """The group of `key`; without `order` the order means nothing."""
        self._note(key)
        return self._groups.get(key, ())

    def keys(self) -> Iterable[Key]:
        """All keys with a group; not noted as read (use a group of all objects for that)."""
        return self._groups.keys()

    def changed(self, key: Key) -> int:
        return self._changed.get(key, 0)

    def _regroup(self, key: Key, added: list[Item], lost: dict[int, Any]) -> None:
        kept = tuple(item for item in self._groups.get(key, ()) if id(item) not in lost)
        group = (*kept, *added) if self._order is None else self._sorted(kept, added, self._order)
        if group:
            self._groups[key] = group
        else:
            self._groups.pop(key, None)
        self._changed[key] = self._ledger.round
        self._spread(key)

    def _sorted(self, kept: tuple[Item, ...], added: list[Item], order: Callable[[Item], Any]) -> tuple[Item, ...]:
        group = list(kept)
        if len(added) * 10 > len(group):  # many: sort once instead of finding each one's place
            return tuple(sorted((*group, *added), key=order))
        for item in added:
            insort(group, item, key=order)
        return tuple(group)


class _Entry:
    __slots__ = ("changed", "reads", "sure", "value", "verified")

    def __init__(self, value: Any, reads: dict[Place, None], now: int) -> None:
        self.value = value
        self.reads = reads
        self.changed = now
        self.verified = now
        self.sure = True


class Derived(Table, Generic[Key, Value]):
    """Values by key, computed when they are first asked for and again when what they read has changed."""

    def __init__(self, ledger: Ledger, function: Callable[[Key], Value]) -> None:
        super().__init__(ledger)
        self._function = function
        self._entries: dict[Key, _Entry] = {}

    def __call__(self, key: Key) -> Value:
        self._note(key)
        return self._fresh(key).value

    def changed(self, key: Key) -> int:
        return self._fresh(key).changed

    def doubt(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.sure:
            entry.sure = False
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
        if not entry.sure:
            if any(table.changed(other) > entry.verified for table, other in tuple(entry.reads)):
                return self._compute(key, entry)
            entry.sure = True
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
        for table, other in reads:
            table.depend(other, place)
        if old is None:
            entry = self._entries[key] = _Entry(value, reads, ledger.round)
            return entry
        for table, other in old.reads.keys() - reads.keys():
            table.release(other, place)
        if value != old.value:
            old.value, old.changed = value, ledger.round
        old.reads, old.verified, old.sure = reads, ledger.round, True
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
