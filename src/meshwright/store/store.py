"""The store: versioned objects with optimistic concurrency, watches, and a history of changes that can be undone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshwright.store.decide import Decided, Fill, Ground, as_sent, decide
from meshwright.store.engine import Engine, Head, Ledger, Place, Records
from meshwright.store.errors import GoneError, NotFoundError, check_kept
from meshwright.store.history import Change, Difference, Meaning, Revert, net, revert, whole_meaning
from meshwright.store.hub import Hub
from meshwright.store.limits import Forgetting, Limits, forget
from meshwright.store.names import Author, ChangeNumber, Key, Owner, Resource, Revision, Uid
from meshwright.store.query import Page, Query, Scope, answer
from meshwright.store.sources import Sources
from meshwright.store.version import Event, Version
from meshwright.store.watch import Watch
from meshwright.store.writes import Committed, Create, Delete, SetCondition, Update, UpdateStatus, Write, Written

MOST_CHANGES = 1_000_000
MOST_OBJECTS = 1_000_000


class Store:
    """One per engine and event loop. What it returns are values; what it refuses are the errors of errors.py."""

    def __init__(
        self, engine: Engine, sources: Sources, limits: Limits, meaning: Meaning, fill: Fill = as_sent
    ) -> None:
        self._engine = engine
        self._sources = sources
        self._limits = limits
        self._meaning = meaning
        self._fill = fill
        self._hub = Hub(Revision(0), limits.window_events, limits.window_bytes)
        self._upkeep = Forgetting(limits, sources.now)

    @classmethod
    async def open(
        cls,
        engine: Engine,
        sources: Sources,
        limits: Limits | None = None,
        meaning: Meaning = whole_meaning,
        fill: Fill = as_sent,
    ) -> "Store":
        """Start the engine. `meaning` decides what is a change, `fill` completes objects. Raises StorageError."""
        store = cls(engine, sources, limits or Limits(), meaning, fill)
        head = await engine.start(store._hub.publish, store._upkeep)
        store._hub.revision = head.revision
        return store

    async def close(self) -> None:
        """Finish what was begun, and let go of the files. Watches that wait go on waiting: end them first."""
        await self._engine.close()

    # ------------------------------------------------------------ writes
    async def transact(self, writes: Iterable[Write], author: Author, message: str = "") -> Committed:
        """All of the writes or none, in one step; on disk when this returns.

        Raises NotFoundError, AlreadyExistsError, ConflictError, OwnedError, InvalidError (nothing is written then)
        or StorageError. Who is cancelled while waiting does not know whether it was written.
        """
        asked = tuple(writes)

        def job(ledger: Ledger) -> Committed:
            head = ledger.head()
            decided = self._decide(ledger, head, asked, author, message)
            if decided.events:
                ledger.append(decided.events, decided.change)
            return _committed(head, decided)

        return await self._engine.write(job)

    async def rehearse(self, writes: Iterable[Write], author: Author, message: str = "") -> Committed:
        """What `transact` would return or raise now; nothing is written (dry run)."""
        asked = tuple(writes)

        def question(records: Records) -> Committed:
            head = records.head()
            return _committed(head, self._decide(records, head, asked, author, message))

        return await self._engine.read(question)

    def _decide(
        self, records: Records, head: Head, writes: tuple[Write, ...], author: Author, message: str
    ) -> Decided:
        def all_of(resource: Resource) -> Sequence[Version]:
            return records.scan(Place(resource), head.revision, None, MOST_OBJECTS)

        ground = Ground(records.find, head.revision, head.change, self._sources, self._meaning, all_of, self._fill)
        return decide(ground, writes, author, message)

    async def create(self, key: Key, value: Mapping[str, Any], author: Author, message: str = "") -> Version:
        """A new object. Raises AlreadyExistsError, InvalidError."""
        return _version(await self._one(Create(key, value), author, message))

    async def update(
        self, key: Key, value: Mapping[str, Any], author: Author, revision: Revision | None = None, message: str = ""
    ) -> Version:
        """The object replaced, if it is still the `revision` named. Raises NotFoundError, ConflictError."""
        return _version(await self._one(Update(key, value, revision), author, message))

    async def delete(
        self, key: Key, author: Author, revision: Revision | None = None, uid: Uid | None = None, message: str = ""
    ) -> Written:
        """The last version, or the one marked for deletion. Raises NotFoundError, ConflictError."""
        return await self._one(Delete(key, revision, uid), author, message)

    async def update_status(
        self, key: Key, status: Mapping[str, Any], owner: Owner, revision: Revision | None = None
    ) -> Version:
        """The status replaced, except for conditions of other owners. Raises NotFoundError, ConflictError."""
        return _version(await self._one(UpdateStatus(key, status, owner, revision), Author(owner), ""))

    async def set_condition(self, key: Key, owner: Owner, condition: Mapping[str, Any]) -> Version:
        """One condition set by its owner. Raises NotFoundError, OwnedError."""
        return _version(await self._one(SetCondition(key, owner, condition), Author(owner), ""))

    async def _one(self, write: Write, author: Author, message: str) -> Written:
        committed = await self.transact((write,), author, message)
        return committed.written[0]

    # ------------------------------------------------------------ reads
    async def head(self) -> Head:
        """The newest revision and change, and the oldest that are kept."""
        return await self._engine.read(lambda records: records.head())

    async def get(self, key: Key) -> Version:
        """The newest version. Raises NotFoundError."""
        version = await self.find(key)
        if version is None:
            raise NotFoundError(key)
        return version

    async def find(self, key: Key) -> Version | None:
        """The newest version, None where there is no such object."""
        return await self._engine.read(lambda records: records.find(key))

    async def list(self, query: Query) -> Page:
        """Objects sorted by key, all as of one revision, also over pages. Raises GoneError, InvalidError."""
        return await self._engine.read(lambda records: answer(records, query))

    async def watch(self, scope: Scope, since: Revision | None = None) -> Watch:
        """Events newer than `since` (None: from now on), then those to come. Raises GoneError."""
        head = await self.head()
        start = head.revision if since is None else since
        check_kept(start, head.compacted, head.revision)
        return Watch(scope, start, self._hub, self._read_log)

    async def _read_log(self, place: Place, after: Revision, limit: int) -> tuple[Sequence[Event], Revision]:
        def question(records: Records) -> tuple[Sequence[Event], Revision]:
            head = records.head()
            check_kept(after, head.compacted, head.revision)
            events = records.log(place, after, limit)
            return events, events[-1].version.revision if len(events) == limit else head.revision

        return await self._engine.read(question)

    # ------------------------------------------------------------ history
    async def changes(
        self, limit: int = 20, key: Key | None = None, before: ChangeNumber | None = None
    ) -> Sequence[Change]:
        """The newest changes, newest first: of one object only, or older than a number, where given."""
        last = ChangeNumber(before - 1 if before is not None else MOST_CHANGES**2)
        return await self._engine.read(lambda records: records.changes(ChangeNumber(1), last, limit, key))

    async def change(self, number: ChangeNumber) -> Change:
        """One change. Raises GoneError where it is not kept or was never made."""
        return (await self._range(number, number))[0]

    async def diff(self, old: ChangeNumber, new: ChangeNumber) -> tuple[Difference, ...]:
        """What is different after change `new` from after change `old` (0: before the first). Raises GoneError."""
        if new >= old:
            return net(reversed(await self._range(ChangeNumber(old + 1), new)))
        backwards = net(reversed(await self._range(ChangeNumber(new + 1), old)))
        return tuple(Difference(item.key, item.after, item.before) for item in backwards)

    async def revert(self, numbers: Iterable[ChangeNumber]) -> Revert:
        """The writes that take these changes back, each with the version it is for. Raises GoneError."""
        wanted = frozenset(numbers)

        def question(records: Records) -> Revert:
            return _revert(records, [_kept(records, number, number)[0] for number in wanted])

        return await self._engine.read(question)

    async def rollback(self, number: ChangeNumber) -> Revert:
        """The writes that bring back the state after change `number`. Raises GoneError, also for one to come."""

        def question(records: Records) -> Revert:
            head = records.head()
            if number > head.change:
                raise GoneError(number, head.oldest_change - 1, head.change)
            return _revert(records, _kept(records, ChangeNumber(number + 1), records.head().change))

        return await self._engine.read(question)

    async def _range(self, first: ChangeNumber, last: ChangeNumber) -> Sequence[Change]:
        return await self._engine.read(lambda records: _kept(records, first, last))

    # ------------------------------------------------------------ upkeep
    async def compact(self) -> Revision:
        """Forget now all that is over the limits; the oldest revision that a watch may start from."""
        while await self._engine.write(lambda ledger: forget(ledger, self._limits, self._sources.now())):
            pass
        return (await self.head()).compacted


def _committed(head: Head, decided: Decided) -> Committed:
    revision = decided.events[-1].version.revision if decided.events else head.revision
    return Committed(revision, decided.written, decided.change.number if decided.change else None)


def _version(written: Written) -> Version:
    assert written.version is not None, "only writes that may be left out have none"
    return written.version


def _kept(records: Records, first: ChangeNumber, last: ChangeNumber) -> Sequence[Change]:
    """All changes of a range, newest first. Raises GoneError where one is missing."""
    if first > last:
        return ()
    found = records.changes(first, last, MOST_CHANGES)
    if len(found) != last - first + 1:
        head = records.head()
        raise GoneError(first if first < head.oldest_change else last, head.oldest_change, head.change)
    return found


def _revert(records: Records, changes: Sequence[Change]) -> Revert:
    keys = {difference.key for change in changes for difference in change.differences}
    return revert(changes, {key: version for key in keys if (version := records.find(key)) is not None})
