"""Envoy's admin interface over its unix socket: readiness, draining, requests in flight."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from meshwright.agent.http_client import HttpAnswer, HttpError, HttpRequest, exchange
from meshwright.processes import unixsockets

_SECONDS = 5.0
_HOST = (("Host", "envoy-admin"),)
_IN_FLIGHT = re.compile(
    r"^(?:http\.(?!admin\.).*\.downstream_rq_active|tcp\..*\.downstream_cx_active): (\d+)$", re.MULTILINE
)


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

    async def in_flight(self) -> int | None:
        """Requests and TCP connections that are being served (0: no Envoy either); None when Envoy does not say."""
        answer = await self.get("/stats?filter=downstream_(rq|cx)_active")
        if answer is None:
            return 0
        numbers = _IN_FLIGHT.findall(answer.body.decode("utf-8", "replace"))
        return sum(map(int, numbers)) if numbers else None

    async def _ask(self, request: HttpRequest) -> HttpAnswer | None:
        try:
            async with asyncio.timeout(_SECONDS):
                return await exchange(unixsockets.connect(self.path), request)
        except (OSError, HttpError, TimeoutError):
            return None
