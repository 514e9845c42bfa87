"""Leaves of an authority in the same process: issued at once, renewed at half their life."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from meshwright.ca.authority import Authority, LeafCertificate, renew_at
from meshwright.ca.leaf_shelf import RETRY, LeafShelf
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity

LOG = logging.getLogger(__name__)


class LeafStore(LeafShelf):
    """A shelf whose certificates (and keys) this process's own authority makes."""

    def __init__(
        self,
        authority: Authority,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        lifetime: timedelta | None = None,
    ) -> None:
        """`clock` gives the time in UTC. Raises OSError when `folder` cannot be made."""
        super().__init__(folder, clock, authority.roots)
        self._authority = authority
        self._lifetime = lifetime

    def add(self, proxy: ProxyName, identity: Identity, *, is_gateway: bool = False) -> LeafCertificate:
        """Have a certificate for `proxy`: the one that is kept, or a new one.

        Raises ForeignIdentityError for another trust domain, OSError when it cannot be written.
        """
        leaf = self._load(proxy, identity)
        if leaf is None or renew_at(leaf) <= self._clock():
            leaf = self._issue(proxy, identity)
        self._hold(proxy, leaf, is_gateway=is_gateway)
        self._tick()
        return leaf

    def renew(self) -> datetime | None:
        """Replace every certificate that is past half its life; when the next one is due, None without any.

        Raises OSError when one cannot be written; the old one stays in use.
        """
        now, renewed = self._clock(), False
        try:
            for proxy, held in list(self._held.items()):
                if renew_at(held.leaf) <= now:
                    self._hold(proxy, self._issue(proxy, held.leaf.identity), is_gateway=held.is_gateway)
                    renewed = True
        finally:
            if renewed:
                self._tick()
        return self._due()

    async def run(self) -> None:
        """Renew for ever; cancel it to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_roots())
            await self._renew_for_ever()

    async def _renew_for_ever(self) -> None:
        while True:
            seen = self._changed.value
            try:
                wait = self._seconds_until(self.renew())
                seen = self._changed.value
            except OSError as error:
                LOG.error("a certificate could not be renewed: %s", error)  # noqa: TRY400 - the reason is enough
                wait = RETRY
            try:
                async with asyncio.timeout(wait):
                    await self._changed.newer_than(seen)
            except TimeoutError:
                continue

    def _issue(self, proxy: ProxyName, identity: Identity) -> LeafCertificate:
        leaf = self._authority.issue(identity, self._clock(), self._lifetime)
        self._write(proxy, leaf)
        return leaf
