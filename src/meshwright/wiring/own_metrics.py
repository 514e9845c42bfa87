"""What our own processes say of themselves when Prometheus scrapes; one that is away or slow is left out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from meshwright.agent.control_client import lag
from meshwright.asynctools.loop_lag import LoopLag
from meshwright.console.seams import MeshAwayError, MeshRefusesError
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.processes.state import DataDirectory
from meshwright.telemetry.instruments import Gauge

PATIENCE_SECONDS = 1.0
AWAY = (MeshAwayError, MeshRefusesError, RemoteError, Disconnected, OSError)

T = TypeVar("T")
Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class OwnMetrics:
    """`run` for ever; `text` at each scrape."""

    def __init__(self, data: DataDirectory, ask: Ask) -> None:
        """`ask`: one operation of the control plane."""
        self._data = data
        self._ask = ask
        self._lag = LoopLag()

    async def run(self) -> None:
        """See how late this process is."""
        await self._lag.run()

    async def text(self) -> str:
        """What all processes say."""
        late = Gauge(
            "meshwright_event_loop_lag_seconds",
            "How late tasks of a process ran at worst in the last ten seconds.",
            ("process",),
        )
        late.set(self._lag.worst, "telemetry")
        text = ""
        said = await _in_time(self._ask("metrics", {}))
        if said is not None:
            text = str(said["text"])
            late.set(float(said["lag"]), "control-plane")
        agent = await _in_time(lag(self._data.root))
        if agent is not None:
            late.set(agent, "agent")
        return text + "".join(late.lines())


async def _in_time(question: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await question
    except AWAY:
        return None
