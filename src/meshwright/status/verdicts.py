"""Which changes are kept from being in effect because Envoy refuses something of them. Pure."""

from meshwright.status.register import Entry, Register
from meshwright.store.names import Key

KEPT = 1000  # changes


class Verdicts:
    """Tell it whom Envoy refuses; ask whether a change is in effect at who runs what is published now."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._blamed: dict[int, set[Key]] = {}

    def blame(self, key: Key) -> None:
        """Envoy refuses what an object is now; it is held back."""
        entry = self._register.get(key)
        if entry is not None and entry.subject.change:
            self._blamed.setdefault(entry.subject.change, set()).add(key)
            while len(self._blamed) > KEPT:
                self._blamed.pop(next(iter(self._blamed)))

    def are_lifted(self, change: int) -> bool:
        """Whether nothing of a change is held back now, and what was refused of it is what is tried again: not what
        another change has cured since.
        """
        for key in self._blamed.get(change, ()):
            entry = self._register.get(key)
            if entry is None or entry.subject.change != change:
                return False
        return not any(_is_held(entry, change) for entry in self._register.entries.values())


def _is_held(entry: Entry, change: int) -> bool:
    return entry.hold is not None and change in entry.changes
