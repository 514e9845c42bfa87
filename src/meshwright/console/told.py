"""What every open page is told: made once for each look at the proxies, however many pages are open."""

import asyncio
import json
from typing import Any

from meshwright.console.seams import MeshAwayError, Seams

LAST_CHANGES = 20
PATIENCE_SECONDS = 2.0  # a control plane that is stopped holds up no graph
_NEVER = -1


class Told:
    """The newest events as text for a stream of server-sent events."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._turn = asyncio.Lock()
        self._graph = (_NEVER, "")
        self._changes = (_NEVER, "")

    def graph(self) -> str:
        """The graph of now."""
        now = self._seams.news.value
        if self._graph[0] != now:
            self._graph = (now, event("graph", self._seams.graph()))
        return self._graph[1]

    async def changes(self) -> str:
        """The last changes, or that the control plane, which knows them, does not answer."""
        async with self._turn:
            now = self._seams.news.value
            if self._changes[0] != now:
                self._changes = (now, event("changes", await self._asked()))
            return self._changes[1]

    async def _asked(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return {**await self._seams.ask("changes", {"limit": LAST_CHANGES}), "control_plane": "running"}
        except (MeshAwayError, TimeoutError):
            return {"changes": [], "control_plane": "away"}


def event(name: str, value: object) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
