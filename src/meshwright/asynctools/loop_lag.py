"""How late an event loop is: what every other task of its process waits, too."""

import asyncio
from collections import deque

EVERY_SECONDS = 0.1
KEPT = 100
"""Looks: of the last ten seconds."""


class LoopLag:
    """`run` looks ten times a second; `worst` is the latest of the last ten seconds, in seconds."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)

    @property
    def worst(self) -> float:
        return max(self._late, default=0.0)

    async def run(self) -> None:
        """For ever."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + EVERY_SECONDS
            await asyncio.sleep(EVERY_SECONDS)
            self._late.append(max(0.0, clock() - due))
