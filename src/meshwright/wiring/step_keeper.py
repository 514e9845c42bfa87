"""Takes the steps of TLS modes when they have ended: a task of its own, so that nothing else waits for proxies."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Protocol

from meshwright.wiring.acknowledgements import Acknowledgements
from meshwright.wiring.tls_steps import Step


class SteppingMesh(Protocol):
    """What has steps to take: `wiring.live_mesh.LiveMesh` is one."""

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """Those that have not ended."""
        ...

    def take_steps(self, ended: Collection[Step]) -> None:
        """Publish what follows on these."""
        ...


class StepKeeper:
    """`run` it. A step ends when everybody acknowledged it who is waited for, or after the bound of
    `acknowledgements`, by `clock` in seconds.
    """

    def __init__(self, mesh: SteppingMesh, acknowledgements: Acknowledgements, clock: Callable[[], float]) -> None:
        self._mesh = mesh
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._until: dict[int, float] = {}  # the end of each open step's bound

    async def run(self) -> None:
        """Until cancelled."""
        moved = self._acknowledgements.moved
        while True:
            seen = moved.value
            while ended := self._ended():
                self._mesh.take_steps(ended)
            rest = min(self._until.values(), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if rest is None else max(0.0, rest - self._clock())):
                    await moved.newer_than(seen)

    def _ended(self) -> tuple[Step, ...]:
        now, steps = self._clock(), self._mesh.open_steps
        bound = now + self._acknowledgements.bound
        self._until = {each.number: self._until.get(each.number, bound) for each in steps}
        return tuple(each for each in steps if self._has_ended(each, now))

    def _has_ended(self, step: Step, now: float) -> bool:
        missing = self._acknowledgements.missing(step.since, step.names, absent=step.resumed)
        if not missing:
            self._acknowledgements.pardon(step.since)
            return True
        if now < self._until[step.number]:
            return False
        self._acknowledgements.give_up(missing)
        return True
