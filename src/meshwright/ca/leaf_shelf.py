"""Every local workload's certificate, whoever signed it: kept on disk over restarts, served by SDS.

One file per proxy, `<folder>/<proxy>.pem` (0600, key and chain), so that Envoys see the same certificate when the
agent comes back. A file that is damaged, of another identity or of another authority is replaced.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from meshwright.asynctools.latest import Latest
from meshwright.ca import files
from meshwright.ca.authority import CERTIFICATE_MARK, LeafCertificate, recognise, renew_at
from meshwright.ca.secrets import Secrets, gateway_secrets, workload_secrets
from meshwright.model.config import SecretContent
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity

LONGEST_SLEEP = 60.0  # seconds; a clock that is set forward must not keep a certificate past its end
RETRY = 5.0  # seconds until a renewal that failed (a full disk, a refusal) is tried again
NO_SECRETS: Secrets = {}


@dataclass(frozen=True, slots=True)
class Held:
    """What one proxy has. `secrets` is the same object until something in it changes; `roots_pem` stands in it."""

    leaf: LeafCertificate
    is_gateway: bool
    roots_pem: bytes
    secrets: Secrets


class LeafShelf:
    """The secrets of all proxies of this machine; a `SecretSource` for the xDS server. For one event loop."""

    def __init__(self, folder: Path, clock: Callable[[], datetime], roots: Latest[bytes]) -> None:
        """`clock` gives the time in UTC; by `roots` (PEM) peers are checked, empty as long as nobody has said.

        Raises OSError when `folder` cannot be made.
        """
        files.make_folder(folder)
        self._folder = folder
        self._clock = clock
        self._roots = roots
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

    async def _follow_roots(self) -> None:
        """Other roots are other secrets for everybody."""
        seen = self._roots.value
        while True:
            seen = await self._roots.newer_than(seen)
            self._tick()

    def _due(self) -> datetime | None:
        """When the next certificate is to be renewed, None without any."""
        return min((renew_at(held.leaf) for held in self._held.values()), default=None)

    def _seconds_until(self, due: datetime | None) -> float:
        """How long to sleep before the next look."""
        return LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, max(0.0, (due - self._clock()).total_seconds()))

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
