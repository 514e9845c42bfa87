"""The seam under the store: consistent reads, serial durable writes. SQLite and memory implement it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from meshwright.store.history import Change
from meshwright.store.names import ChangeNumber, EpochMilliseconds, Key, Resource, Revision
from meshwright.store.version import Event, Version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """Where the store stands: the newest revision and change, and what is still kept.

    Watches and lists may start at `compacted` or later; `oldest_change` is the first kept, or the next where none is.
    """

    revision: Revision
    compacted: Revision
    change: ChangeNumber
    oldest_change: ChangeNumber


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: one resource or all (None), one namespace or all (None)."""

    resource: Resource | None = None
    namespace: str | None = None

    def holds(self, key: Key) -> bool:
        return (self.namespace is None or self.namespace == key.namespace) and (
            self.resource is None or self.resource is key.resource or self.resource == key.resource
        )


class Records(Protocol):
    """One consistent state of everything kept; good for the length of one call."""

    def head(self) -> Head: ...

    def find(self, key: Key) -> Version | None:
        """The newest version of an object, None where it is not there."""
        ...

    def scan(self, place: Place, at: Revision, after: Key | None, limit: int) -> Sequence[Version]:
        """Objects as they were at a kept revision, sorted by key, those behind `after` only."""
        ...

    def count(self, place: Place, at: Revision, after: Key | None) -> int:
        """How many `scan` would give without a limit."""
        ...

    def log(self, place: Place, after: Revision, limit: int) -> Sequence[Event]:
        """Events newer than `after`, which is not older than `head().compacted`, oldest first."""
        ...

    def changes(
        self, first: ChangeNumber, last: ChangeNumber, limit: int, key: Key | None = None
    ) -> Sequence[Change]:
        """Kept changes with numbers from `first` to `last`, newest first; only those of `key` where it is given."""
        ...


class Ledger(Records, Protocol):
    """The same inside of one write: it sees what it has written so far."""

    def append(self, events: Sequence[Event], change: Change | None) -> None:
        """Add what a transaction decided. Revisions and number are those that follow `head()`."""
        ...

    def first_after(self, time: EpochMilliseconds) -> Revision | None:
        """The first event newer than `head().compacted` that happened after `time`."""
        ...

    def compact(self, to: Revision) -> None:
        """Forget events up to `to` and what they replaced; the newest state of each object stays."""
        ...

    def forget_changes(self, count: int, before: EpochMilliseconds) -> None:
        """Keep the newest `count` changes, and of those only what did not happen before `before`."""
        ...


class Upkeep(Protocol):
    """What is done between writes, when it is due; both are called by one thread at a time."""

    def due(self, revision: Revision) -> bool:
        """Whether `keep` has something to do, now that this is the newest revision; asked after each commit."""
        ...

    def keep(self, ledger: Ledger) -> None: ...


class Engine(Protocol):
    """Keeps records. All methods belong to one event loop; questions and jobs may run in other threads."""

    async def start(self, published: Callable[[Sequence[Event]], None], upkeep: Upkeep) -> Head:
        """Open. `published` is then called in the event loop with what was committed, in order and before the
        writers learn of it; `upkeep` is kept between writes. Raises StorageError.
        """
        ...

    async def read(self, question: Callable[[Records], T]) -> T:
        """Answer a question on one consistent state."""
        ...

    async def write(self, job: Callable[[Ledger], T]) -> T:
        """Run a job; whole and durable when this returns, without any trace when the job raises."""
        ...

    async def close(self) -> None:
        """Finish what was begun. No call may follow."""
        ...
