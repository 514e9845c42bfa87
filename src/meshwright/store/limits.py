"""How much of the past is kept, and when it is forgotten."""

from collections.abc import Callable
from dataclasses import dataclass

from meshwright.store.engine import Ledger
from meshwright.store.names import EpochMilliseconds, Revision

SLICE = 2_000  # events forgotten at once, so that no writer waits long


@dataclass(frozen=True, slots=True)
class Limits:
    """The newest state of every object is always kept; of the past, what is within count and age (seconds).

    Up to a sixteenth more may be there, as forgetting is done in portions and at most every `pause_seconds`.
    """

    events: int = 20_000
    event_seconds: int = 3_600
    changes: int = 1_000
    change_seconds: int = 90 * 86_400
    window_events: int = 4_096
    window_bytes: int = 16 * 1024 * 1024
    pause_seconds: int = 60


class Forgetting:
    """The store's upkeep: forgets what is over the limits, a portion at a time."""

    def __init__(self, limits: Limits, now: Callable[[], EpochMilliseconds]) -> None:
        self._limits = limits
        self._now = now
        self._looked = EpochMilliseconds(0)
        self._compacted = Revision(0)

    def due(self, revision: Revision) -> bool:
        """The count is well over its limit, or the pause is over."""
        over = revision - self._limits.events - self._compacted
        return over >= max(1, self._limits.events // 16) or self._now() - self._looked >= self._pause

    @property
    def _pause(self) -> int:
        return self._limits.pause_seconds * 1000

    def keep(self, ledger: Ledger) -> None:
        """One portion; the pause begins when nothing is left to do."""
        now = self._now()
        if not forget(ledger, self._limits, now):
            self._looked = now
        self._compacted = ledger.head().compacted


def forget(ledger: Ledger, limits: Limits, now: EpochMilliseconds) -> bool:
    """Forget one portion of what is over the limits; whether there is more."""
    head = ledger.head()
    young = ledger.first_after(EpochMilliseconds(now - limits.event_seconds * 1000))
    too_old = young - 1 if young is not None else head.revision
    target = max(head.compacted, head.revision - limits.events, too_old)
    portion = Revision(min(target, head.compacted + SLICE))
    ledger.compact(portion)
    ledger.forget_changes(limits.changes, EpochMilliseconds(now - limits.change_seconds * 1000))
    return portion < target
