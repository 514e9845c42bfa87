"""Values made from other values, kept from one round to the next: the same source gives the very same object."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

S = TypeVar("S")
E = TypeVar("E", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[S, E, V]):
    """Sources are told apart by identity (they are frozen), `extra` by equality. Call `turn` after each round: what
    nobody asked for in it is forgotten then.
    """

    def __init__(self, make: Callable[[S, E], V]) -> None:
        self._make = make
        self._old: dict[tuple[int, E], tuple[S, V]] = {}
        self._new: dict[tuple[int, E], tuple[S, V]] = {}

    def __call__(self, source: S, extra: E) -> V:
        key = (id(source), extra)
        entry = self._new.get(key) or self._old.get(key) or (source, self._make(source, extra))
        self._new[key] = entry
        return entry[1]

    def turn(self) -> None:
        self._old, self._new = self._new, {}
