"""Waiting until what is published runs everywhere, without waiting for those who cannot answer.

An order among proxies (TLS modes, pods that leave) is kept by waiting for acknowledgements. One proxy that never
answers must not make all others wait, change after change. So two kinds are left out: a proxy whose process is
stopped, at once, for it does nothing and sends nothing; and one that was late once, until it has kept up with others.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Protocol

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.node.progress import ProxyProgress

LOG = logging.getLogger(__name__)


class Proxies(Protocol):
    """How far proxies are: `node.server.NodeServer` is one."""

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever anything moved."""
        ...

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        """Every published proxy."""
        ...


def behind(
    progress: Mapping[ProxyName, ProxyProgress],
    change: int,
    names: Collection[ProxyName] | None = None,
    *,
    absent: bool = False,
) -> set[ProxyName]:
    """Who does not run this publication yet, of `names` (None: of all) that are published; `absent`: also those who
    are not connected.
    """
    chosen = progress.keys() if names is None else progress.keys() & names
    return {name for name in chosen if progress[name].change < change and (absent or progress[name].connected)}


class Acknowledgements:
    """One for each purpose: `bound` is how many seconds a proxy may be late before the others go on without it."""

    def __init__(self, proxies: Proxies, published: Latest[Published], bound: float) -> None:
        self.bound = bound
        self._proxies = proxies
        self._published = published
        self._late: set[ProxyName] = set()
        self._stopped: set[ProxyName] = set()  # those of whom it was said

    @property
    def late(self) -> frozenset[ProxyName]:
        """Who is not waited for, because it was late and has not kept up since."""
        return frozenset(self._late)

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever anybody may have acknowledged something."""
        return self._proxies.moved

    async def wait(self) -> bool:
        """Until what is published now, or newer, runs on every proxy that answers; False when the bound was reached.
        Not "the newest of everything": while changes follow each other closely there is always something newer.
        """
        change = self._published.value.change
        try:
            async with asyncio.timeout(self.bound):
                while True:
                    seen = self._proxies.moved.value
                    if not self.missing(change):
                        self.pardon(change)
                        return True
                    await self._proxies.moved.newer_than(seen)
        except TimeoutError:
            self.give_up(self.missing(change))
            return False

    def missing(
        self, change: int, names: Collection[ProxyName] | None = None, *, absent: bool = False
    ) -> set[ProxyName]:
        """Who is waited for until it runs this publication, of `names` (None: of all); `absent`: and who is not
        connected.
        """
        progress = self._proxies.progress()
        late = behind(progress, change, names, absent=absent)
        stopped = {name for name in late if progress[name].stopped}
        for name in sorted(stopped - self._stopped):
            LOG.warning("%s is stopped: nobody waits for it", name)
        still = {name for name in self._stopped if name in progress and progress[name].stopped}
        self._stopped = still | stopped
        return late - stopped - self._late

    def give_up(self, names: Collection[ProxyName]) -> None:
        """These were waited for as long as the bound: nobody does so again before they have kept up."""
        LOG.warning("not waited for any longer, until they keep up: %s", ", ".join(sorted(names)))
        self._late |= set(names)

    def pardon(self, change: int) -> None:
        """The others run this publication: who is not behind them any more, or has gone, is waited for again."""
        if self._late:
            progress = self._proxies.progress()
            self._late = {name for name in self._late if name in progress and progress[name].change < change}
