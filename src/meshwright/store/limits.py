"""How much of the past is kept, and when it is forgotten."""

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


class Upkeep:
    """Forgets what is over the limits; called between writes, and does mostly nothing."""

    def __init__(self, limits: Limits, now: EpochMilliseconds) -> None:
        self._limits = limits
        self._last = now

    def keep(self, ledger: Ledger, now: EpochMilliseconds) -> None:
        """One portion, where the count is well over its limit or the pause is over."""
        head = ledger.head()
        over = head.revision - self._limits.events - head.compacted
        if over < max(1, self._limits.events // 16) and now - self._last < self._limits.pause_seconds * 1000:
            return
        if not forget(ledger, self._limits, now):
            self._last = now


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
