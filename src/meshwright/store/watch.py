"""One reader of events: from any kept revision, each event once and in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from meshwright.store.engine import Place
from meshwright.store.hub import Hub
from meshwright.store.names import Revision
from meshwright.store.query import Scope
from meshwright.store.version import Event

BATCH = 500

ReadLog = Callable[[Place, Revision, int], Awaitable[tuple[Sequence[Event], Revision]]]


class Watch:
    """Iterate over it, or take batches; it holds nothing open, so it may be dropped at any time.

    One reader at a time. Cancelling a wait loses nothing: the next one goes on from the same place.
    """

    def __init__(self, scope: Scope, since: Revision, hub: Hub, read_log: ReadLog) -> None:
        self._scope = scope
        self._selects = bool(scope.selector)
        self._hub = hub
        self._channel = hub.channel(scope.place)
        self._read_log = read_log
        self._read = since  # how far the log was read
        self._given = since  # how far its events were given
        self._ready: deque[Event] = deque()  # read and not given yet: at most one batch
        self._waiter: asyncio.Future[Revision] | None = None

    @property
    def revision(self) -> Revision:
        """All events up to here were given: what a bookmark may say, and where a new watch may start."""
        if self._ready:
            return self._given
        if self._waiter is None:
            return self._read
        return max(self._read, self._waiter.result() if self._waiter.done() else self._hub.revision)

    async def batch(self, limit: int = BATCH) -> Sequence[Event]:
        """The next events, at least one, as soon as there are any.

        Raises GoneError when this reader is so far behind that the log no longer has what follows.
        """
        if self._ready:
            rest = tuple(self._ready)
            self._ready.clear()
            return rest
        while True:
            recent = self._hub.since(self._read, self._channel, limit)
            if recent is None:
                recent = await self._read_log(self._channel.place, self._read, limit)
            events, self._read = recent
            if self._selects:
                events = [event for event in map(self._scope.seen, events) if event is not None]
            if events:
                return events
            if self._read >= self._hub.revision:
                await self._wait()

    async def _wait(self) -> None:
        self._waiter = waiter = self._hub.waiter(self._channel)
        try:
            reached = await waiter
        finally:
            self._waiter = None
            self._channel.waiters.discard(waiter)
        self._read = max(self._read, reached)

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> Event:
        if not self._ready:
            start = self._read
            batch = await self.batch()
            self._given = start
            self._ready.extend(batch)
        event = self._ready.popleft()
        self._given = event.version.revision
        return event
