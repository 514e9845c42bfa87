"""Leaves that an authority elsewhere signs: keys are made here and never leave, renewed at half their life."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from meshwright.asynctools.latest import Latest
from meshwright.ca.authority import LeafCertificate, recognise, renew_at
from meshwright.ca.leaf_shelf import RETRY, Held, LeafShelf
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity

LOG = logging.getLogger(__name__)
RENEWAL_BOUND = 10.0  # seconds; then others get their turn


class Signer(Protocol):
    """Who signs: the relay of the agent is one."""

    @property
    def roots_pem(self) -> Latest[bytes]:
        """By what peers are checked; empty as long as nobody said."""
        ...

    async def sign(self, proxy: ProxyName, csr_pem: bytes) -> bytes:
        """The chain (PEM) for a request; waits while nobody can sign. Raises ValueError for a refusal."""
        ...


class RequestedLeaves(LeafShelf):
    """A shelf whose certificates are asked for. As long as nobody can sign, what is on disk is used to its end."""

    def __init__(self, signer: Signer, folder: Path, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time in UTC. Raises OSError when `folder` cannot be made."""
        super().__init__(folder, clock, signer.roots_pem)
        self._signer = signer

    async def add(self, proxy: ProxyName, identity: Identity, *, is_gateway: bool = False) -> LeafCertificate:
        """Have a certificate for `proxy`: the one that is kept while it is valid, or a new one, for which this waits.

        Raises ValueError when the authority refuses.
        """
        while not self._roots.value:
            await self._roots.newer_than(self._roots.value)
        leaf = self._load(proxy, identity)
        if leaf is None or leaf.not_after <= self._clock():
            leaf = await self._request(proxy, identity)
        self._hold(proxy, leaf, is_gateway=is_gateway)
        self._tick()
        return leaf

    async def run(self) -> None:
        """Renew for ever; cancel it to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_roots())
            while True:
                seen = self._changed.value
                wait = self._seconds_until(self._due()) if await self._renew_due() else RETRY
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.newer_than(seen)
                except TimeoutError:
                    continue

    async def _renew_due(self) -> bool:
        """Renew everything that is past half its life, all at once; whether all of it worked."""
        now = self._clock()
        due = [(proxy, held) for proxy, held in self._held.items() if renew_at(held.leaf) <= now]
        async with asyncio.TaskGroup() as tasks:
            results = [tasks.create_task(self._renew(proxy, held)) for proxy, held in due]
        return all(each.result() for each in results)

    async def _renew(self, proxy: ProxyName, held: Held) -> bool:
        try:
            async with asyncio.timeout(RENEWAL_BOUND):
                leaf = await self._request(proxy, held.leaf.identity, renewed=held)
        except TimeoutError:
            LOG.warning("the certificate of %s cannot be renewed: nobody signs", proxy)
            return False
        except ValueError as error:
            LOG.error("the certificate of %s cannot be renewed: %s", proxy, error)  # noqa: TRY400 - says enough
            return False
        if self._held.get(proxy) is held:
            self._hold(proxy, leaf, is_gateway=held.is_gateway)
            self._tick()
        return True

    async def _request(self, proxy: ProxyName, identity: Identity, renewed: Held | None = None) -> LeafCertificate:
        """A new key and its certificate, on disk unless the proxy has left meanwhile."""
        from meshwright.ca import requests

        csr_pem, key_pem = requests.new_request(identity.uri)
        chain_pem = await self._signer.sign(proxy, csr_pem)
        leaf = recognise(self._roots.value, identity, chain_pem, key_pem)
        if leaf is None:
            raise ValueError("what the authority signed is not what it was asked for")
        if renewed is None or self._held.get(proxy) is renewed:
            try:
                self._write(proxy, leaf)
            except OSError as error:  # it is as good without a copy; a restarted agent asks for another one
                LOG.error("the certificate of %s is not kept on disk: %s", proxy, error)  # noqa: TRY400 - says enough
        return leaf
