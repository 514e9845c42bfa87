"""The newest events in memory, shared by all watchers; and waking those that one concerns.

No watcher has a queue. Each knows how far it has read; who falls behind the window reads the log on disk.
"""

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from meshwright.store.engine import Place
from meshwright.store.names import Resource, Revision
from meshwright.store.version import Event

Recent = tuple[Sequence[Event], Revision]


class Channel:
    """Who watches one place: those that wait now, and the last answer, which most of them ask for together."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.waiters: set[asyncio.Future[Revision]] = set()
        self.asked: tuple[Revision, Revision, int] | None = None
        self.answer: Recent = ((), Revision(0))


class Hub:
    """A window over the last events: at most `events` of them and `size` bytes of objects, but always the last."""

    def __init__(self, revision: Revision, events: int, size: int) -> None:
        self._limits = (events, size)
        self._events: list[Event] = []  # revisions follow each other without a gap
        self._start = 0  # those before are forgotten, and cut off now and then
        self._size = 0
        # channels live as long as someone holds them
        self._channels: WeakValueDictionary[tuple[Resource | None, str | None], Channel] = WeakValueDictionary()
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
        key = event.version.key
        before = Revision(event.version.revision - 1)
        for place in ((key.resource, key.namespace), (key.resource, None), (None, key.namespace), (None, None)):
            channel = self._channels.get(place)
            if channel is None:
                continue
            for waiter in channel.waiters:
                if not waiter.done():
                    waiter.set_result(before)
            channel.waiters.clear()

    def _shrink(self) -> None:
        count, size = self._limits
        while len(self._events) - self._start > 1 and (len(self._events) - self._start > count or self._size > size):
            self._size -= _size(self._events[self._start])
            self._start += 1
        if self._start > len(self._events) // 2:
            del self._events[: self._start]
            self._start = 0

    def channel(self, place: Place) -> Channel:
        """The one of this place; keep it as long as you watch."""
        key = (place.resource, place.namespace)
        found = self._channels.get(key)
        if found is None:
            found = self._channels[key] = Channel(place)
        return found

    def since(self, after: Revision, channel: Channel, limit: int) -> Recent | None:
        """Up to `limit` events of a place newer than `after`, and how far was looked; None: it is too long ago."""
        if after >= self.revision:
            return (), after
        asked = (after, self.revision, limit)
        if channel.asked == asked:
            return channel.answer
        skipped = after - (self.revision - (len(self._events) - self._start))
        if skipped < 0:
            return None
        channel.asked, channel.answer = asked, self._look(self._start + skipped, channel.place, limit)
        return channel.answer

    def _look(self, first: int, place: Place, limit: int) -> Recent:
        found: list[Event] = []
        for index in range(first, len(self._events)):
            event = self._events[index]
            if place.holds(event.version.key):
                found.append(event)
                if len(found) == limit:
                    return found, event.version.revision
        return found, self.revision

    def waiter(self, channel: Channel) -> "asyncio.Future[Revision]":
        """Done when something happens in a place, with the revision just before it. Ask when all was read."""
        waiter: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
        channel.waiters.add(waiter)
        return waiter


def _size(event: Event) -> int:
    status = event.version.status
    return len(event.version.body.text) + (len(status.text) if status else 0)
