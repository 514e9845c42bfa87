"""What people should hear of a container: counted each time, said not more often than it is worth."""

from collections.abc import Callable
from dataclasses import replace

from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import Occurrence

PAUSE = Milliseconds(10_000)
"""Between two statuses that only say that the same happened once more: each is written to the store."""
_LONGEST_MESSAGE = 300


class Occurrences:
    """Of one container since the agent's start. `clock` is the time in ms since the epoch."""

    def __init__(self, clock: Callable[[], Milliseconds]) -> None:
        self._clock = clock
        self._counted: dict[tuple[str, str], Occurrence] = {}
        self._said: dict[tuple[str, str], Milliseconds] = {}

    def add(self, reason: str, topic: str, message: str, *, warning: bool = True) -> bool:
        """Count it; whether that is to be said now. What is not goes with whatever is said next."""
        now, key, text = self._clock(), (reason, topic), message[:_LONGEST_MESSAGE]
        before = self._counted.get(key)
        self._counted[key] = (
            Occurrence(reason, topic, text, warning, count=1, first=now, last=now)
            if before is None
            else replace(before, message=text, count=before.count + 1, last=now)
        )
        said = self._said.get(key)
        return said is None or not 0 <= now - said < PAUSE  # a clock that was set back must not silence it

    def take(self) -> tuple[Occurrence, ...]:
        """All of them, which are said now."""
        now = self._clock()
        self._said = dict.fromkeys(self._counted, now)
        return tuple(self._counted.values())
