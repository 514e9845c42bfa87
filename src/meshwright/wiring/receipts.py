"""A receipt says when every proxy that a change affects runs it, and who does not yet."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.xds.server import ProxyStatus, XdsServer

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Receipt:
    """`affected` proxies get other bytes by the change; `absent` of them are not connected and count apart.

    `milliseconds` from the change's publication until all others ran it; None as long as `waiting` is not empty.
    """

    change: int
    affected: tuple[ProxyName, ...]
    waiting: tuple[ProxyName, ...]
    absent: tuple[ProxyName, ...]
    milliseconds: float | None

    @property
    def live(self) -> bool:
        return self.milliseconds is not None


class Receipts:
    """Feed it with `published`; ask for a change with `of` or wait with `wait`."""

    def __init__(self, proxies: XdsServer, published: Latest[Published], clock: Callable[[], float]) -> None:
        self._proxies = proxies
        self._latest = published
        self._clock = clock
        self._before: Published = published.value
        self._newest = 0
        self._open: dict[int, tuple[float, tuple[ProxyName, ...]]] = {}
        self._done: dict[int, Receipt] = {}
        self.news: Latest[int] = Latest(0)

    def start(self, change: int) -> None:
        """Changes up to this number were there before: they have no receipt."""
        self._newest = change
        self._before = self._latest.value

    def published(self, change: int) -> None:
        """What was published last holds the changes up to this number; several may come at once."""
        now = self._latest.value
        opened = (self._clock(), affected(self._before, now))
        self._open.update(dict.fromkeys(range(self._newest + 1, change + 1), opened))
        self._newest = max(self._newest, change)
        self._before = now
        self._complete()

    def of(self, change: int) -> Receipt | None:
        """How far a change is; None when it is not known (any more)."""
        done = self._done.get(change)
        if done is not None or change not in self._open:
            return done
        return self._look(change, self._proxies.status())

    async def wait(self, change: int, seconds: float) -> Receipt | None:
        """The receipt once it is complete, or as it is after so long."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = self.news.value
                    receipt = self.of(change)
                    if receipt is not None and receipt.live:
                        return receipt
                    await self.news.newer_than(seen)
        except TimeoutError:
            return self.of(change)

    async def run(self) -> None:
        """Complete open receipts for ever, whenever a proxy has moved on."""
        while True:
            seen = self._proxies.moved.value
            self._complete()
            await self._proxies.moved.newer_than(seen)

    def _complete(self) -> None:
        if not self._open:
            return
        statuses = self._proxies.status()
        for change in list(self._open):
            receipt = self._look(change, statuses)
            if not receipt.waiting:
                self._finish(receipt)

    def _look(self, change: int, statuses: Mapping[ProxyName, ProxyStatus]) -> Receipt:
        _, names = self._open[change]
        absent = tuple(name for name in names if not _connected(statuses, name))
        waiting = tuple(name for name in names if _connected(statuses, name) and not statuses[name].synced)
        return Receipt(change, names, waiting, absent, None)

    def _finish(self, receipt: Receipt) -> None:
        began, _ = self._open.pop(receipt.change)
        took = (self._clock() - began) * 1000
        self._done[receipt.change] = Receipt(receipt.change, receipt.affected, (), receipt.absent, took)
        while len(self._done) > KEPT:
            self._done.pop(next(iter(self._done)))
        self.news.set(self.news.value + 1)


def _connected(statuses: Mapping[ProxyName, ProxyStatus], name: ProxyName) -> bool:
    return name in statuses and statuses[name].connected


def affected(before: Published, after: Published) -> tuple[ProxyName, ...]:
    """The proxies that get other bytes, sorted; new and removed ones are not affected by it, they come and go."""
    changed = {key for key, resources in after.classes.items() if before.classes.get(key) != resources}
    names: Iterable[ProxyName] = (
        name
        for name, key in after.proxies.items()
        if name in before.proxies and (key in changed or before.proxies[name] != key)
    )
    return tuple(sorted(names))
