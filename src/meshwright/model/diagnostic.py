"""A finding about what a user wrote: a code, a place and the words that fill the sentence.

User mistakes travel as these values, never as exceptions, so that one broken rule
cannot stop the rest of a document, or of the mesh, from being used.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from meshwright.model.origin import Origin

T_co = TypeVar("T_co", covariant=True)


class Effect(StrEnum):
    """What was done about a finding; the reader's first question."""

    REFUSED = "refused"  # at the door: the object is not taken
    NOTED = "noted"  # nothing changed
    DROPPED = "dropped"  # the one broken traffic rule is left out
    DENIED = "denied"  # a security object was broken, so it now refuses all


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of mistake. `id` is public and stable; `sentence` and `fix` are formatted with the arguments. `istio`
    is Istio's own number where the meaning is the same, else "".
    """

    id: str
    effect: Effect
    sentence: str
    fix: str
    istio: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A code, where it was met, and the arguments of its sentences."""

    code: Code
    origin: Origin
    args: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return self.code.sentence.format(*self.args)

    @property
    def fix(self) -> str:
        return self.code.fix.format(*self.args)


@dataclass(frozen=True, slots=True)
class Checked(Generic[T_co]):
    """The part of the input that could be used, and what was wrong with the rest."""

    value: T_co
    findings: tuple[Diagnostic, ...] = ()
