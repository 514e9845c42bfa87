"""Envoy's admin interface over its unix socket: readiness, draining, requests in flight."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from meshwright.agent.http_client import HttpAnswer, HttpError, HttpRequest, exchange
from meshwright.processes import unixsockets

_SECONDS = 5.0
_HOST = (("Host", "envoy-admin"),)
# Hosts of clusters count what they serve themselves, so this is there however few statistics Envoy keeps.
_ACTIVE = re.compile(r"^(.+?)::[^:]+(?::\d+)?::rq_active::(\d+)$", re.MULTILINE)
_OWN_CLUSTERS = frozenset({"xds-grpc", "sds-grpc", "prometheus_stats"})
_OPEN = re.compile(r"^listener\.(.+)\.downstream_cx_active: (\d+)$", re.MULTILINE)
_OPEN_TARGET = "/stats?filter=^listener%5C..*downstream_cx_active$"
# The listener of each worker counts again what the listener counts; applications, not clients, use the last three.
_NOT_CLIENTS = re.compile(r"worker_\d+$|^admin\b|_(15001|15021|15090)$")
_INBOUND = ("inbound|", "InboundPassthrough")


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin interface of one Envoy. Its methods answer also when that Envoy is not there."""

    path: Path

    async def get(self, target: str) -> HttpAnswer | None:
        """The answer to a GET, None when nobody answers properly."""
        return await self._ask(HttpRequest(target, _HOST))

    async def ready(self) -> bool:
        """Whether Envoy is live: first configuration there, workers started."""
        answer = await self.get("/ready")
        return answer is not None and answer.status == 200  # noqa: PLR2004

    async def drain(self, *, inbound_only: bool) -> None:
        """Begin to end connections gracefully; listeners go on accepting until the drain time is over."""
        scope = "inboundonly&" if inbound_only else ""
        await self._ask(HttpRequest(f"/drain_listeners?{scope}graceful&skip_exit", _HOST, method="POST"))

    async def in_flight(self, *, inbound_only: bool) -> int:
        """Requests and TCP connections that are on their way to a destination (or the application, `inbound_only`).

        0 also when there is no Envoy.
        """
        answer = await self.get("/clusters")
        return (
            0
            if answer is None
            else active_requests(answer.body.decode("utf-8", "replace"), inbound_only=inbound_only)
        )

    async def open_connections(self) -> int:
        """Connections that clients hold; 0 also when there is no Envoy."""
        answer = await self.get(_OPEN_TARGET)
        return 0 if answer is None else client_connections(answer.body.decode("utf-8", "replace"))

    async def _ask(self, request: HttpRequest) -> HttpAnswer | None:
        try:
            async with asyncio.timeout(_SECONDS):
                return await exchange(unixsockets.connect(self.path), request)
        except (OSError, HttpError, TimeoutError):
            return None


def active_requests(clusters: str, *, inbound_only: bool) -> int:
    """The sum of all active requests in the text that Envoy's /clusters answers, its own calls left out."""
    return sum(
        int(number)
        for name, number in _ACTIVE.findall(clusters)
        if name not in _OWN_CLUSTERS and (name.startswith(_INBOUND) or not inbound_only)
    )


def client_connections(stats: str) -> int:
    """The sum of all connections of clients in what Envoy's /stats answers about its listeners."""
    return sum(int(number) for name, number in _OPEN.findall(stats) if not _NOT_CLIENTS.search(name))
