"""What each proxy of this machine should run, and since when it is connected and does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from meshwright.agent.ports import ProxyAim
from meshwright.asynctools.latest import Latest
from meshwright.model.names import Milliseconds, ProxyName, ResourceName
from meshwright.model.published import EncodedResource, Published
from meshwright.xds.server import XdsServer


class Secrets(Protocol):
    """Who has the certificates."""

    def secrets_of(self, proxy: ProxyName) -> Mapping[ResourceName, EncodedResource]:
        """All secrets of a proxy."""
        ...


@dataclass(frozen=True, slots=True)
class _Times:
    connected: bool
    synced: bool
    connected_since: Milliseconds
    synced_since: Milliseconds


class ProxyAims:
    """`run` notes the times; `of` answers."""

    def __init__(
        self, published: Latest[Published], secrets: Secrets, xds: XdsServer, clock: Callable[[], float] = time.time
    ) -> None:
        self._published = published
        self._secrets = secrets
        self._xds = xds
        self._clock = clock
        self._times: dict[ProxyName, _Times] = {}

    def of(self, proxy: ProxyName) -> ProxyAim:
        """What a proxy should run now."""
        published, times = self._published.value, self._times.get(proxy)
        its_class = published.proxies.get(proxy)
        return ProxyAim(
            role="" if its_class is None else its_class.role.value,
            resources=published.resources_of(proxy) or {},
            secrets={name: item.version for name, item in self._secrets.secrets_of(proxy).items()},
            connected_since=times.connected_since if times else None,
            synced_since=times.synced_since if times else None,
        )

    async def run(self) -> None:
        """Look whenever something moved, for ever."""
        while True:
            seen = self._xds.moved.value
            self._look()
            await self._xds.moved.newer_than(seen)

    def _look(self) -> None:
        now = Milliseconds(int(self._clock() * 1000))
        self._times = {name: self._looked_at(name, now) for name in self._xds.proxies()}

    def _looked_at(self, name: ProxyName, now: Milliseconds) -> _Times:
        status, before = self._xds.status_of(name, in_full=False), self._times.get(name)
        if before is None:
            return _Times(status.connected, status.synced, now, now)
        return _Times(
            status.connected,
            status.synced,
            before.connected_since if before.connected == status.connected else now,
            before.synced_since if before.synced == status.synced else now,
        )
