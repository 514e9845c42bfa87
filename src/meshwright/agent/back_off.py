"""How long a container waits before it is started again. Plain decisions: the caller has the clock."""

from dataclasses import dataclass

from meshwright.agent.settings import BackOff
from meshwright.model.names import Milliseconds


@dataclass(frozen=True, slots=True)
class Restarts:
    """`count` restarts so far in this life of the pod; `streak` of them since it last ran long enough."""

    count: int = 0
    streak: int = 0

    def after_exit(self, ran: Milliseconds, rule: BackOff) -> tuple["Restarts", Milliseconds]:
        """The state after one more end, `ran` ms after its start, and the wait before the next start."""
        streak = 0 if ran >= rule.reset_after else self.streak
        # 2**30 times the shortest wait is past every limit: no need for larger numbers.
        wait = min(rule.most, rule.first * 2 ** min(streak, 30))
        return Restarts(self.count + 1, streak + 1), Milliseconds(wait)
