"""Objects that Envoy refuses are held back, so that all others of the same resource get through. Decisions only.

Envoy refuses a route configuration or a listener as a whole, and such a resource is made of many objects. The culprit
is replaced by its last version that was taken (or by nothing), and what is left is published. When words do not tell
which of several new objects it is, all of them are held back, and let go again half by half.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshwright.status.refusals import SHARED, Refused
from meshwright.status.register import Hold, Register
from meshwright.status.standing import Refusal
from meshwright.store.names import Key


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Hold this object back; `refusal` None: it is one of several that may be the reason."""

    key: Key
    refusal: Refusal | None


class Quarantine:
    """Ask `suspicions` when somebody refuses something, and `next_trial` when nobody does and all have caught up."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._trials: deque[tuple[Key, ...]] = deque()

    def suspicions(self, refused: Iterable[Refused]) -> tuple[Suspicion, ...]:
        """Whom to hold back now."""
        found: dict[Key, Suspicion] = {}
        for each in refused:
            if each.resource.type_url in SHARED and not each.is_taken_elsewhere and len(each.concerned) != 1:
                for suspicion in self._suspected(each):
                    found.setdefault(suspicion.key, suspicion)
        return tuple(found.values())

    def _suspected(self, refused: Refused) -> Sequence[Suspicion]:
        suspects = [key for key in refused.concerned or self._register.entries if self._is_suspect(key)]
        blamed = refused.blamed(suspects)
        fields = [(key, path) for key, path in blamed.fields if self._is_here(key)]
        if len(fields) == 1:
            key, path = fields[0]
            return [Suspicion(key, refused.told(path))]
        keys = tuple(key for key, _ in fields)
        half = len(keys) // 2
        self._trials.extend(part for part in (keys[:half], keys[half:]) if part)
        return [Suspicion(key, None) for key in keys]

    def _is_suspect(self, key: Key) -> bool:
        entry = self._register.get(key)
        return entry is not None and entry.is_suspect

    def _is_here(self, key: Key) -> bool:
        entry = self._register.get(key)
        return entry is not None and entry.hold is None

    def next_trial(self) -> tuple[Key, ...]:
        """Suspects to let go again; () when there are none left."""
        while self._trials:
            group = tuple(key for key in self._trials.popleft() if _is_suspected(self._register, key))
            if group:
                return group
        return ()

    @property
    def has_trials(self) -> bool:
        return bool(self._trials)


def _is_suspected(register: Register, key: Key) -> bool:
    entry = register.get(key)
    return entry is not None and entry.hold is not None and entry.hold.refusal is None


def held(instead: bytes | None, suspicion: Suspicion) -> Hold:
    """What stands in the register while it lasts."""
    return Hold(instead, suspicion.refusal)
