"""Whether the other end of a connection that nobody closes still lives, or is stopped, stuck, or gone for good."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

LATE = 1.0  # seconds; a timer that comes this late says that it was we who were stopped


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A peer that said nothing for `idle` seconds is asked; one that does not answer within `patience` seconds
    is taken for dead. It is noticed after `idle + patience` seconds at the latest.
    """

    idle: float = 4.0
    patience: float = 6.0


DEFAULT_HEARTBEAT = Heartbeat()


class Pulse:
    """Watches one connection."""

    __slots__ = (
        "_ask",
        "_asked",
        "_dead",
        "_due",
        "_heard",
        "_heartbeat",
        "_life",
        "_loop",
        "_seen_unsent",
        "_timer",
        "_unsent",
    )

    def __init__(
        self,
        heartbeat: Heartbeat,
        ask: Callable[[], None],
        heard: Callable[[], float],
        unsent: Callable[[], int],
        dead: Callable[[], None],
    ) -> None:
        """`ask` sends a PING, `heard` tells when the peer last said something (time of the loop), `unsent` how many
        bytes the peer has yet to take (fewer are a sign of life too), `dead` is called once.
        """
        self._loop = asyncio.get_running_loop()
        self._heartbeat = heartbeat
        self._ask = ask
        self._heard = heard
        self._unsent = unsent
        self._dead = dead
        self._life = self._loop.time()
        self._seen_unsent = 0
        self._asked: float | None = None  # when; None when what was asked is answered
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._arm(self._life + heartbeat.idle)

    def stop(self) -> None:
        """The connection is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        self._due = at
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        now, unsent = self._loop.time(), self._unsent()
        self._life = now if unsent < self._seen_unsent else max(self._life, self._heard())
        self._seen_unsent = unsent
        answered = self._asked is None or self._life >= self._asked
        if answered and now - self._life < self._heartbeat.idle:
            self._asked = None
            self._arm(self._life + self._heartbeat.idle)
        elif answered or now - self._due > LATE:
            self._asked = now
            self._ask()
            self._arm(now + self._heartbeat.patience)
        else:
            self._timer = None
            self._dead()
