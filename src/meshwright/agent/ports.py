"""What the agent needs of the others, as narrow as it is used; `wiring` fills it in."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from meshwright.agent.paths import PodPaths
from meshwright.model.image import ImageEntry
from meshwright.model.names import Milliseconds, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.published import EncodedResource, Resources
from meshwright.xds.server import Authorize, ProxyStatus


class ProxyPort(Protocol):
    """The xDS server (`xds.server.XdsServer` is one): a unix socket per proxy, and how far each proxy is."""

    async def add(
        self, proxy: ProxyName, path: Path, *, mode: int = 0o600, authorize: Authorize | None = None
    ) -> None:
        """Listen at `path` for this proxy alone; hang up on peers that `authorize` denies."""
        ...

    async def remove(self, proxy: ProxyName) -> None:
        """Stop listening for this proxy and forget it; nothing happens when it is not known."""
        ...

    def status_of(self, proxy: ProxyName, *, in_full: bool = True) -> ProxyStatus:
        """How far it is; an empty status when it is not known. What it acknowledged costs: not unless `in_full`."""
        ...


def wall_clock() -> Milliseconds:
    """Now, in ms since the epoch."""
    return Milliseconds(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class ProxyAim:
    """What a proxy should run: published resources, and its secrets' versions (never the secrets).

    `role` is "" for a proxy that is not published. `since` says when it last began or ceased to be connected, and
    to run all of it, in ms since the epoch.
    """

    role: str = ""
    resources: Resources = field(default_factory=dict[TypeUrl, Mapping[ResourceName, EncodedResource]])
    secrets: Mapping[ResourceName, Version] = field(default_factory=dict[ResourceName, Version])
    connected_since: Milliseconds | None = None
    synced_since: Milliseconds | None = None


def no_aim(proxy: ProxyName) -> ProxyAim:
    """Nothing is published."""
    del proxy
    return ProxyAim()


@dataclass(frozen=True, slots=True)
class AgentPorts:
    """`prepare_identity` issues the pod's certificate; it is called before its Envoy starts and after re-adoption.

    `bootstrap` gives Envoy's bootstrap as JSON. `catalogue`, `config_map` and `secret` answer None for what does
    not exist; the latter two take namespace and name. `drained` returns when every proxy has acknowledged that the
    pod, published as not ready before the call, is no endpoint any more, or when it is useless to wait longer.
    `aim` is for whoever asks how far a proxy is.
    """

    proxies: ProxyPort
    prepare_identity: Callable[[PlannedPod], Awaitable[None]]
    bootstrap: Callable[[PlannedPod, PodPaths], Mapping[str, object]]
    catalogue: Callable[[str], ImageEntry | None]
    config_map: Callable[[str, str], Mapping[str, str] | None]
    secret: Callable[[str, str], Mapping[str, bytes] | None]
    drained: Callable[[PlannedPod], Awaitable[None]]
    clock: Callable[[], Milliseconds] = wall_clock
    aim: Callable[[ProxyName], ProxyAim] = no_aim
