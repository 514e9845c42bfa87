"""Objects that Envoy refuses are held back, so that all others of the same resource get through. Decisions only.

Envoy refuses a route configuration or a listener as a whole, and such a resource is made of many objects. The culprit
is replaced by its last version that was taken (or by nothing), and what is left is published. When words do not tell
which of several new objects it is, all of them are held back, and let go again half by half.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from meshwright.model.names import ProxyName
from meshwright.status.refusals import SHARED, Refused
from meshwright.status.register import Hold, Register
from meshwright.status.standing import Refusal
from meshwright.store.names import Key


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Hold this object back; `refusal` None: it is one of several that may be the reason."""

    key: Key
    refusal: Refusal | None


@dataclass(slots=True)
class _Case:
    """What is known about one resource that is refused: by whom, and who was held back for which words.

    Somebody who was picked out of several, and without whom Envoy says the very same, is put on trial.
    """

    proxies: set[ProxyName] = field(default_factory=set[ProxyName])
    version: str = ""
    picked: tuple[Key, str] | None = None


class Quarantine:
    """Ask `suspicions` when somebody refuses something, and `next_trial` when those who did have caught up."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._trials: deque[tuple[Key, ...]] = deque()
        self._cases: dict[tuple[str, str], _Case] = {}

    def suspicions(self, refused: Iterable[Refused]) -> tuple[Suspicion, ...]:
        """Whom to hold back now."""
        found: dict[Key, Suspicion] = {}
        for each in refused:
            if self.is_our_business(each):
                for suspicion in self._suspected(each):
                    found.setdefault(suspicion.key, suspicion)
        return tuple(found.values())

    @staticmethod
    def is_our_business(refused: Refused) -> bool:
        """Whether others suffer: the resource is made of many objects, and no proxy takes it."""
        return refused.resource.type_url in SHARED and not refused.is_taken_elsewhere and len(refused.concerned) != 1

    def _suspected(self, refused: Refused) -> Sequence[Suspicion]:
        case = self._cases.setdefault((refused.resource.type_url, refused.resource.name), _Case())
        case.proxies |= set(refused.proxies)
        if case.version != refused.resource.version:
            case.version = refused.resource.version
            self._doubt(case, refused.words)
        suspects = [key for key in refused.concerned or self._register.entries if self._is_suspect(key)]
        fields = [(key, path) for key, path in refused.blamed(suspects).fields if self._is_here(key)]
        if len(fields) == 1:
            key, path = fields[0]
            case.picked = (key, refused.words) if len(suspects) > 1 else None
            return [Suspicion(key, refused.told(path))]
        keys = tuple(key for key, _ in fields)
        half = len(keys) // 2
        self._trials.extend(part for part in (keys[:half], keys[half:]) if part)
        return [Suspicion(key, None) for key in keys]

    def _doubt(self, case: _Case, words: str) -> None:
        """Envoy says the same without whom we picked: it may have been another one."""
        picked, case.picked = case.picked, None
        if picked is None or picked[1] != words:
            return
        entry = self._register.get(picked[0])
        if entry is not None and entry.hold is not None and entry.hold.refusal is not None:
            entry.verdict = None
            self.retry(picked[0])

    def retry(self, key: Key) -> None:
        """Put somebody who is held back on trial again."""
        entry = self._register.get(key)
        if entry is not None and entry.hold is not None:
            entry.hold = Hold(entry.hold.instead, None)
            self._trials.append((key,))

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
        self._cases.clear()
        return ()

    @property
    def has_trials(self) -> bool:
        return bool(self._trials)

    @property
    def witnesses(self) -> frozenset[ProxyName]:
        """The proxies whose word counts in the trials: those that refused something."""
        return frozenset(name for case in self._cases.values() for name in case.proxies)


def _is_suspected(register: Register, key: Key) -> bool:
    entry = register.get(key)
    return entry is not None and entry.hold is not None and entry.hold.refusal is None
