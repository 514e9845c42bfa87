"""What the control plane says of itself, under Istio's names; the telemetry worker asks for it at each scrape."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from meshwright.asynctools.latest import Latest
from meshwright.asynctools.loop_lag import LoopLag
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.objects import MeshObjects
from meshwright.model.published import Published, Resources
from meshwright.node.progress import ProxyProgress
from meshwright.processes.messages import Fields
from meshwright.store.version import Event, EventType
from meshwright.telemetry.instruments import Counter, Gauge, Histogram
from meshwright.wiring.affected import affected

SHORT: Mapping[TypeUrl, str] = {CLUSTER: "cds", ENDPOINTS: "eds", LISTENER: "lds", ROUTES: "rds"}
OTHER = "other"
SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)
MOST_OPEN = 1_000
"""Changes that some proxy does not run yet; of more the oldest is no longer followed."""
EVENTS = {EventType.ADDED: "add", EventType.MODIFIED: "update", EventType.DELETED: "delete"}
NOTHING: Resources = {}


class Proxies(Protocol):
    """How far proxies are: `node.server.NodeServer` is one."""

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever anything moved."""
        ...

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        """Every published proxy."""
        ...


@dataclass(slots=True)
class _Open:
    """A publication, when its oldest change was stored, and who does not run it yet."""

    publication: int
    since: float
    waiting: set[ProxyName]


class ControlPlaneMetrics:
    """Tell it what happens; `text` is the exposition."""

    def __init__(self, proxies: Proxies, published: Latest[Published], clock: Callable[[], float]) -> None:
        """`clock` is the one of `published`'s `since`, in seconds."""
        self._lag = LoopLag()
        self._proxies = proxies
        self._latest = published
        self._before = published.value
        self._clock = clock
        self._open: list[_Open] = []
        self._refused: frozenset[tuple[ProxyName, TypeUrl, ResourceName, Version]] = frozenset()
        self._convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change being stored until a proxy that it affects runs it.",
            SECONDS,
        )
        self._connected = Gauge("pilot_xds", "Proxies that are connected.")
        self._pushes = Counter(
            "pilot_xds_pushes", "Updates made for connected proxies, by what is different for them.", ("type",)
        )
        self._rejects = Counter("pilot_total_xds_rejects", "Resources that proxies refused.")
        self._services = Gauge("pilot_services", "Services, those of ServiceEntries included.")
        self._virtual_services = Gauge("pilot_virt_services", "VirtualServices.")
        self._events = Counter("pilot_k8s_cfg_events", "Changes of stored objects.", ("type", "event"))
        self._requests = Counter("citadel_server_csr_count", "Certificates that were asked for.")
        self._issued = Counter("citadel_server_success_cert_issuance_count", "Certificates that were issued.")
        self._unsigned = Counter("citadel_server_csr_sign_err_count", "Certificates that could not be issued.")
        kind = ("group", "version", "resource")
        self._passed = Counter("galley_validation_passed", "Objects that the rules of their kind accept.", kind)
        self._failed = Counter("galley_validation_failed", "Objects that the rules of their kind refuse.", kind)

    # ------------------------------------------------------------ what happens

    def published(self, since: float) -> None:
        """Something new was published, of which the oldest change was stored at `since`."""
        now, before = self._latest.value, self._before
        self._before = now
        names = affected(before, now)
        progress = self._proxies.progress()
        there = {name for name in names if name in progress and progress[name].connected}
        for name in there:
            for url in _different(before.resources_of(name) or NOTHING, now.resources_of(name) or NOTHING):
                self._pushes.add(SHORT.get(url, OTHER))
        if there:
            self._open = [*self._open, _Open(now.change, since, there)][-MOST_OPEN:]

    def stored(self, event: Event) -> None:
        """An object came, changed or went."""
        self._events.add(str(event.version.key.resource), EVENTS[event.type])

    def signed(self, *, issued: bool) -> None:
        """A certificate was asked for."""
        self._requests.add()
        (self._issued if issued else self._unsigned).add()

    def validated(self, value: Mapping[str, Any], *, accepted: bool) -> None:
        """An object was put before the rules of its kind."""
        group, _, version = str(value.get("apiVersion", "")).rpartition("/")
        (self._passed if accepted else self._failed).add(group, version, str(value.get("kind", "")).lower())

    async def run(self) -> None:
        """Follow the proxies for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lag.run())
            while True:
                seen = self._proxies.moved.value
                self._look()
                await self._proxies.moved.newer_than(seen)

    def _look(self) -> None:
        progress = self._proxies.progress()
        refused = frozenset((name, *row) for name, each in progress.items() for row in each.refused)
        self._rejects.add(amount=len(refused - self._refused))
        self._refused = refused
        if not self._open:
            return
        now = self._clock()
        for each in self._open:
            for name in sorted(each.waiting):
                known = progress.get(name)
                if known is None or not known.connected:
                    each.waiting.discard(name)  # who comes back gets everything at once
                elif known.change >= each.publication:
                    each.waiting.discard(name)
                    self._convergence.observe(now - each.since)
        self._open = [each for each in self._open if each.waiting]

    # ------------------------------------------------------------ what is asked

    def text(self, objects: MeshObjects | None) -> str:
        """The exposition."""
        self._connected.set(sum(each.connected for each in self._proxies.progress().values()))
        if objects is not None:
            self._services.set(len(objects.services))
            self._virtual_services.set(len(objects.virtual_services))
        instruments = (
            self._convergence,
            self._connected,
            self._pushes,
            self._rejects,
            self._services,
            self._virtual_services,
            self._events,
            self._requests,
            self._issued,
            self._unsigned,
            self._passed,
            self._failed,
        )
        return "".join(line for each in instruments for line in each.lines())

    def operation(self, objects: Callable[[], MeshObjects | None]) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
        """The exposition, and how late the event loop is, in seconds."""

        async def metrics(fields: Fields) -> dict[str, Any]:
            del fields
            return {"text": self.text(objects()), "lag": self._lag.worst}

        return metrics


def _different(before: Resources, now: Resources) -> Iterable[TypeUrl]:
    return [url for url in before.keys() | now.keys() if before.get(url) != now.get(url)]
