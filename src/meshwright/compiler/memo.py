"""A pure function that remembers: the same argument objects give the same result object.

Keys are identities, so a look-up costs a few `id` calls however large the values
are; that is sound because every value of the compiler is frozen. An entry holds
its arguments, so an identity cannot be reused while its entry lives. Entries that
one whole round did not ask for are forgotten: the size follows the mesh, and no
limit has to be tuned. Equal results become one object, so that a change which
changes nothing stops here instead of waking everything downstream.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, TypeVarTuple

Result = TypeVar("Result", bound=Hashable)
Value = TypeVar("Value", bound=Hashable)
Arguments = TypeVarTuple("Arguments")
Part = TypeVar("Part")
Whole = TypeVar("Whole")


class ImpureError(Exception):
    """A remembered function answered differently the second time: a bug of ours."""


class Memo(Generic[Result, *Arguments]):
    """Wrap `function`; call it as before; call `turn` once after each compilation.

    With `audit` every hit is computed again and must be equal; tests use that. Raises ImpureError then.
    """

    def __init__(self, function: Callable[[*Arguments], Result], *, audit: bool = False) -> None:
        self._function = function
        self._audit = audit
        self._old: dict[tuple[int, ...], tuple[tuple[object, ...], Result]] = {}
        self._new: dict[tuple[int, ...], tuple[tuple[object, ...], Result]] = {}
        self._results: dict[Result, Result] = {}

    def __call__(self, *args: *Arguments) -> Result:
        key = tuple(map(id, args))
        entry = self._new.get(key) or self._old.get(key)
        if entry is None:
            result = self._function(*args)
            entry = (args, self._results.setdefault(result, result))
        elif self._audit and self._function(*args) != entry[1]:
            raise ImpureError(self._function, args)
        self._new[key] = entry
        return entry[1]

    def __len__(self) -> int:
        """How many answers are kept; those of both rounds count twice."""
        return len(self._new) + len(self._old)

    def turn(self) -> None:
        """End a round: forget what it did not ask for."""
        self._old, self._new = self._new, {}
        self._results = {result: result for _, result in self._old.values()}


class Interner:
    """Small values that are made anew in each round become one object, so that they can be arguments of a Memo."""

    def __init__(self) -> None:
        self._old: dict[object, object] = {}
        self._new: dict[object, object] = {}

    def same(self, value: Value) -> Value:
        """The first object that is equal to `value` and of its type."""
        key = (type(value), value)
        kept = self._new.get(key, self._old.get(key, value))
        self._new[key] = kept
        assert isinstance(kept, type(value))
        return kept

    def turn(self) -> None:
        """End a round: forget what it did not ask for."""
        self._old, self._new = self._new, {}


class Shared(Generic[Part, Whole]):
    """A function of many parts whose answer is shared by all who ask with the same parts in one round or the next.

    As a Memo, but answers need not be hashable, and equal answers to different questions stay two objects.
    """

    def __init__(self, function: Callable[[tuple[Part, ...]], Whole]) -> None:
        self._function = function
        self._old: dict[tuple[int, ...], tuple[tuple[Part, ...], Whole]] = {}
        self._new: dict[tuple[int, ...], tuple[tuple[Part, ...], Whole]] = {}

    def __call__(self, parts: tuple[Part, ...]) -> Whole:
        key = tuple(map(id, parts))
        entry = self._new.get(key) or self._old.get(key) or (parts, self._function(parts))
        self._new[key] = entry
        return entry[1]

    def turn(self) -> None:
        """End a round: forget what it did not ask for."""
        self._old, self._new = self._new, {}
