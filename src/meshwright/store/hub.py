"""The newest events in memory, shared by all watchers; and waking those that one concerns.

No watcher has a queue. Each knows how far it has read; who falls behind the window reads the log on disk.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice

from meshwright.store.engine import Place
from meshwright.store.names import Resource, Revision
from meshwright.store.version import Event

_Waiters = dict[tuple[Resource | None, str | None], set[asyncio.Future[Revision]]]


class Hub:
    """A window over the last events: at most `events` of them and `size` bytes of objects, but always the last."""

    def __init__(self, revision: Revision, events: int, size: int) -> None:
        self._limits = (events, size)
        self._events: list[Event] = []  # revisions follow each other without a gap
        self._start = 0  # those before are forgotten, and cut off now and then
        self._size = 0
        self._waiters: _Waiters = {}
        self.revision = revision

    def publish(self, events: Sequence[Event]) -> None:
        """Add what was committed, in order, and wake who waits for it."""
        for event in events:
            self._events.append(event)
            self._size += _size(event)
            self._wake(event)
        if events:
            self.revision = events[-1].version.revision
        self._shrink()

    def _wake(self, event: Event) -> None:
        if not self._waiters:
            return
        key = event.version.key
        before = Revision(event.version.revision - 1)
        for place in ((key.resource, key.namespace), (key.resource, None), (None, key.namespace), (None, None)):
            for waiter in self._waiters.pop(place, ()):
                if not waiter.done():
                    waiter.set_result(before)

    def _shrink(self) -> None:
        count, size = self._limits
        while len(self._events) - self._start > 1 and (len(self._events) - self._start > count or self._size > size):
            self._size -= _size(self._events[self._start])
            self._start += 1
        if self._start > len(self._events) // 2:
            del self._events[: self._start]
            self._start = 0

    def since(self, after: Revision, place: Place, limit: int) -> tuple[list[Event], Revision] | None:
        """Up to `limit` events of a place newer than `after`, and how far was looked; None: it is too long ago."""
        if after >= self.revision:
            return [], after
        skipped = after - (self.revision - (len(self._events) - self._start))
        if skipped < 0:
            return None
        found: list[Event] = []
        for event in islice(self._events, self._start + skipped, None):
            if place.holds(event.version.key):
                found.append(event)
                if len(found) == limit:
                    return found, event.version.revision
        return found, self.revision

    def waiter(self, place: Place) -> asyncio.Future[Revision]:
        """Done when something happens in a place, with the revision just before it. Ask when all was read."""
        waiter: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault((place.resource, place.namespace), set()).add(waiter)
        return waiter

    def forget(self, place: Place, waiter: asyncio.Future[Revision]) -> None:
        """Nobody waits for it any more."""
        key = (place.resource, place.namespace)
        others = self._waiters.get(key)
        if others is not None:
            others.discard(waiter)
            if not others:
                del self._waiters[key]


def _size(event: Event) -> int:
    status = event.version.status
    return len(event.version.body.text) + (len(status.text) if status else 0)
