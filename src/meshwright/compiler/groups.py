"""Groups of objects that a change costs what it changes, and what changed between two tuples of objects."""

from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import compress
from operator import is_not
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
FEW = 10
"""A group is put in order anew when more than one in so many of its objects changes."""


class Group(Generic[Item]):
    """Objects, each once; sorted by `order` if there is one. The tuple of them is made when it is asked for."""

    __slots__ = ("_known", "_order", "_sorted", "_tuple")

    def __init__(self, order: Callable[[Item], Any] | None = None) -> None:
        self._order = order
        self._known: dict[int, Item] = {}
        self._sorted: list[Item] = []
        self._tuple: tuple[Item, ...] | None = ()

    def __len__(self) -> int:
        return len(self._known)

    def items(self) -> tuple[Item, ...]:
        """All of them; the same tuple as long as nothing changed."""
        if self._tuple is None:
            self._tuple = tuple(self._known.values() if self._order is None else self._sorted)
        return self._tuple

    def exchange(self, lost: list[Item], won: list[Item]) -> None:
        """`lost` leave, all of which are in the group; `won` come."""
        self._tuple = None
        for item in lost:
            del self._known[id(item)]
        for item in won:
            self._known[id(item)] = item
        if self._order is None:
            return
        if (len(lost) + len(won)) * FEW > len(self._known):
            self._sorted = sorted(self._known.values(), key=self._order)
            return
        for item in lost:
            self._remove(item, self._order)
        for item in won:
            insort(self._sorted, item, key=self._order)

    def _remove(self, item: Item, order: Callable[[Item], Any]) -> None:
        place = bisect_left(self._sorted, order(item), key=order)
        while self._sorted[place] is not item:  # others may be of the same age
            place += 1
        del self._sorted[place]


def exchanged(old: tuple[Item, ...], new: tuple[Item, ...]) -> tuple[list[Item], list[Item]]:
    """The objects that are only in `old`, and those only in `new`, by identity.

    What both begin and end with is compared by the interpreter's own loops, so that it costs next to nothing.
    """
    shorter = min(len(old), len(new))
    start = next(compress(range(shorter), map(is_not, old, new)), shorter)
    rest = shorter - start
    end = next(compress(range(rest), map(is_not, reversed(old), reversed(new))), rest)
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if len(before) == len(after):
        differs = tuple(map(is_not, before, after))
        before, after = tuple(compress(before, differs)), tuple(compress(after, differs))
    had, has = {id(item): item for item in before}, {id(item): item for item in after}
    gone = [item for identity, item in had.items() if identity not in has]
    return gone, [item for identity, item in has.items() if identity not in had]
