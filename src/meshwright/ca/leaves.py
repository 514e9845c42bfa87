"""Every local workload's certificate: kept over restarts, renewed at half its life, served by SDS.

One file per proxy, `<folder>/<proxy>.pem` (0600, key and chain), so that Envoys see the same certificate when the
agent comes back. A file that is damaged, of another identity or of another authority is replaced.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from meshwright.asynctools.latest import Latest
from meshwright.ca import files
from meshwright.ca.authority import CERTIFICATE_MARK, LEAF_LIFETIME, Authority, LeafCertificate, renew_at
from meshwright.ca.secrets import Secrets, gateway_secrets, workload_secrets
from meshwright.model.config import SecretContent
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 60.0  # seconds; a clock that is set forward must not keep a certificate past its end
RETRY = 5.0  # seconds until a renewal that failed (a full disk) is tried again
NO_SECRETS: Secrets = {}


@dataclass(frozen=True, slots=True)
class _Held:
    """What one proxy has. `secrets` is the same object until something in it changes."""

    leaf: LeafCertificate
    is_gateway: bool
    secrets: Secrets


class LeafStore:
    """The secrets of all proxies of this machine; a `SecretSource` for the xDS server. For one event loop."""

    def __init__(
        self,
        authority: Authority,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> None:
        """`clock` gives the time in UTC. Raises OSError when `folder` cannot be made."""
        files.make_folder(folder)
        self._authority = authority
        self._folder = folder
        self._clock = clock
        self._lifetime = lifetime
        self._held: dict[ProxyName, _Held] = {}
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
        return held.secrets if held else NO_SECRETS

    # ------------------------------------------------------------ what the agent does

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
        return min((renew_at(held.leaf) for held in self._held.values()), default=None)

    async def run(self) -> None:
        """Renew for ever; cancel it to stop."""
        while True:
            seen, wait = self._changed.value, LONGEST_SLEEP
            try:
                due = self.renew()
                seen = self._changed.value
                if due is not None:
                    wait = min(wait, max(0.0, (due - self._clock()).total_seconds()))
            except OSError as error:
                LOG.error("a certificate could not be renewed: %s", error)  # noqa: TRY400 - the reason is enough
                wait = RETRY
            try:
                async with asyncio.timeout(wait):
                    await self._changed.newer_than(seen)
            except TimeoutError:
                continue

    # ------------------------------------------------------------ parts

    def _hold(self, proxy: ProxyName, leaf: LeafCertificate, *, is_gateway: bool) -> None:
        own = workload_secrets(leaf, self._authority.roots_pem)
        shared = self._credentials.get(leaf.identity.namespace, NO_SECRETS) if is_gateway else NO_SECRETS
        self._held[proxy] = _Held(leaf, is_gateway, {**shared, **own})

    def _issue(self, proxy: ProxyName, identity: Identity) -> LeafCertificate:
        leaf = self._authority.issue(identity, self._clock(), self._lifetime)
        files.write(self._path(proxy), leaf.key_pem + leaf.chain_pem)
        return leaf

    def _load(self, proxy: ProxyName, identity: Identity) -> LeafCertificate | None:
        try:
            content = self._path(proxy).read_bytes()
        except FileNotFoundError:
            return None
        at = content.find(CERTIFICATE_MARK)
        return self._authority.recognises(identity, content[at:], content[:at]) if at > 0 else None

    def _path(self, proxy: ProxyName) -> Path:
        if "/" in proxy or proxy.startswith("."):
            raise ValueError(f"not the name of a proxy: {proxy}")
        return self._folder / f"{proxy}.pem"

    def _tick(self) -> None:
        self._changed.set(self._changed.value + 1)
