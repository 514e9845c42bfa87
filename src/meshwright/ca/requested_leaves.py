"""Every local workload's certificate: keys are made here and never leave, an authority elsewhere signs.

Kept on disk over restarts, renewed at half their life, served by SDS. One file per proxy, `<folder>/<proxy>.pem`
(0600, key and chain), so that Envoys see the same certificate when the agent comes back. A file that is damaged, of
another identity or of another authority is replaced.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from meshwright.asynctools.latest import Latest
from meshwright.ca import files
from meshwright.ca.authority import CERTIFICATE_MARK, LeafCertificate, recognise, renew_at
from meshwright.ca.secrets import Secrets, gateway_secrets, workload_secrets
from meshwright.model.config import SecretContent
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 60.0  # seconds; a clock that is set forward must not keep a certificate past its end
RETRY = 5.0  # seconds until a renewal that failed (a full disk, a refusal) is tried again
RENEWAL_BOUND = 10.0  # seconds; then others get their turn
NO_SECRETS: Secrets = {}


@dataclass(frozen=True, slots=True)
class Held:
    """What one proxy has. `secrets` is the same object until something in it changes; `roots_pem` stands in it."""

    leaf: LeafCertificate
    is_gateway: bool
    roots_pem: bytes
    secrets: Secrets


class Signer(Protocol):
    """Who signs: the relay of the agent is one."""

    @property
    def roots_pem(self) -> Latest[bytes]:
        """By what peers are checked; empty as long as nobody said."""
        ...

    async def sign(self, proxy: ProxyName, csr_pem: bytes) -> bytes:
        """The chain (PEM) for a request; waits while nobody can sign. Raises ValueError for a refusal."""
        ...


class RequestedLeaves:
    """The secrets of all proxies of this machine; a `SecretSource` for the xDS server. For one event loop.

    As long as nobody can sign, what is on disk is used to its end.
    """

    def __init__(self, signer: Signer, folder: Path, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time in UTC. Raises OSError when `folder` cannot be made."""
        files.make_folder(folder)
        self._signer = signer
        self._folder = folder
        self._clock = clock
        self._roots = signer.roots_pem
        self._held: dict[ProxyName, Held] = {}
        self._credentials: dict[str, Secrets] = {}
        self._changed = Latest(0)

    # ------------------------------------------------------------ what the xDS server asks

    @property
    def secrets_changed(self) -> Latest[int]:
        """Counts the changes."""
        return self._changed

    def secrets_of(self, proxy: ProxyName) -> Secrets:
        """`default`, `ROOTCA` and, at a gateway, the credentials of its namespace."""
        held = self._held.get(proxy)
        if held is None:
            return NO_SECRETS
        if held.roots_pem != self._roots.value:  # at once: who asks whether a proxy has everything means these too
            held = self._hold(proxy, held.leaf, is_gateway=held.is_gateway)
        return held.secrets

    # ------------------------------------------------------------ what the agent does

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

    def remove(self, proxy: ProxyName) -> None:
        """Forget a proxy and destroy its key."""
        if self._held.pop(proxy, None) is not None:
            self._path(proxy).unlink(missing_ok=True)
            self._tick()

    def leaf_of(self, proxy: ProxyName) -> LeafCertificate | None:
        """The certificate that a proxy has now."""
        held = self._held.get(proxy)
        return held.leaf if held else None

    def set_credentials(self, contents: Iterable[SecretContent]) -> tuple[Diagnostic, ...]:
        """All Secrets that users wrote; a gateway gets those of its own namespace. Says which are unusable."""
        spaces: dict[str, list[SecretContent]] = {}
        for content in contents:
            spaces.setdefault(content.meta.namespace, []).append(content)
        findings: list[Diagnostic] = []
        self._credentials = {}
        for namespace, members in spaces.items():
            checked = gateway_secrets(members)
            self._credentials[namespace] = checked.value
            findings += checked.findings
        for proxy, held in list(self._held.items()):
            if held.is_gateway:
                self._hold(proxy, held.leaf, is_gateway=True)
        self._tick()
        return tuple(findings)

    # ------------------------------------------------------------ renewal

    async def run(self) -> None:
        """Renew for ever; cancel it to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_roots())
            while True:
                seen = self._changed.value
                wait = self._until_due() if await self._renew_due() else RETRY
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.newer_than(seen)
                except TimeoutError:
                    continue

    async def _follow_roots(self) -> None:
        """Other roots are other secrets for everybody."""
        seen = self._roots.value
        while True:
            seen = await self._roots.newer_than(seen)
            self._tick()

    def _until_due(self) -> float:
        """How many seconds to sleep before the next look."""
        now = self._clock()
        waits = ((renew_at(held.leaf) - now).total_seconds() for held in self._held.values())
        return max(0.0, min((LONGEST_SLEEP, *waits)))

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

    # ------------------------------------------------------------ parts

    def _hold(self, proxy: ProxyName, leaf: LeafCertificate, *, is_gateway: bool) -> Held:
        roots_pem = self._roots.value
        own = workload_secrets(leaf, roots_pem)
        shared = self._credentials.get(leaf.identity.namespace, NO_SECRETS) if is_gateway else NO_SECRETS
        held = self._held[proxy] = Held(leaf, is_gateway, roots_pem, {**shared, **own})
        return held

    def _write(self, proxy: ProxyName, leaf: LeafCertificate) -> None:
        files.write(self._path(proxy), leaf.key_pem + leaf.chain_pem)

    def _load(self, proxy: ProxyName, identity: Identity) -> LeafCertificate | None:
        try:
            content = self._path(proxy).read_bytes()
        except FileNotFoundError:
            return None
        at = content.find(CERTIFICATE_MARK)
        return recognise(self._roots.value, identity, content[at:], content[:at]) if at > 0 else None

    def _path(self, proxy: ProxyName) -> Path:
        if "/" in proxy or proxy.startswith("."):
            raise ValueError(f"not the name of a proxy: {proxy}")
        return self._folder / f"{proxy}.pem"

    def _tick(self) -> None:
        self._changed.set(self._changed.value + 1)
