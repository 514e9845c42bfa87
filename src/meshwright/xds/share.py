"""What all connections of one peer may cost together, so that none of them is at the others' expense."""

import math
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Allowance:
    """`kept`: bytes of messages that are not complete. `waiting`: bytes that the peer has not taken, above which it
    gets nothing new. `rate`: the part of this process's time that what it says may take; `burst`: seconds of it that
    it may take at once.
    """

    kept: int = 16 << 20
    waiting: int = 1 << 20
    rate: float = 0.25
    burst: float = 0.5


DEFAULT_ALLOWANCE = Allowance()
UNTIMED = Allowance(rate=math.inf)


@dataclass(slots=True)
class Share:
    """One peer's account. Connections say how much they keep and how much waits, and what they took of our time."""

    allowance: Allowance = DEFAULT_ALLOWANCE
    _kept: dict[Any, int] = field(default_factory=dict[Any, int])
    _waiting: dict[Any, int] = field(default_factory=dict[Any, int])
    _owed: float = 0.0  # seconds of our time
    _at: float = 0.0
    is_full: bool = False
    """Whether so much waits on all connections that nothing more should be added."""

    def keeps(self, connection: object, size: int) -> bool:
        """Note what this connection keeps now; False when all together keep too much."""
        self._kept[connection] = size
        return sum(self._kept.values()) <= self.allowance.kept

    def waits(self, connection: object, size: int) -> bool:
        """Note what waits on this connection now; False when nothing more should be added."""
        self._waiting[connection] = size
        self.is_full = sum(self._waiting.values()) >= self.allowance.waiting
        return not self.is_full

    def took(self, seconds: float, now: float) -> float:
        """Note time that was taken; for how many seconds nothing should be read from this peer."""
        allowance = self.allowance
        if allowance.rate == math.inf:
            return 0.0
        self._owed = max(0.0, self._owed - (now - self._at) * allowance.rate) + seconds
        self._at = now
        return max(0.0, self._owed - allowance.burst) / allowance.rate

    def forget(self, connection: object) -> None:
        """The connection is over."""
        self._kept.pop(connection, None)
        self._waiting.pop(connection, None)
        self.is_full = sum(self._waiting.values()) >= self.allowance.waiting


def clock() -> float:
    """Processor time of this thread, in seconds."""
    return time.thread_time()
