"""A mapping in chunks: one that differs from another in few names shares the other chunks with it.

What the compiler publishes has thousands of names, and one change concerns a few of them. So the next mapping is made
of the same chunks but one, and what differs between two of them is found by looking at the chunks that are not the
same objects. Whatever takes a Mapping takes this.
"""

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeVar, cast

Key = TypeVar("Key")
Value = TypeVar("Value")
NOTHING: Mapping[Any, Any] = MappingProxyType({})


class ChunkedMapping(Mapping[Key, Value]):
    """Immutable. `place` says in which of `chunks` a name is, if it is in one; `rest` holds further names, few of
    them (a name that a chunk has too is left out). Chunks must not change afterwards, and a name is in the chunk of
    its place or in none. Plain dicts are the fastest chunks.
    """

    __slots__ = ("_chunks", "_hash", "_length", "_place", "_rest")

    def __init__(
        self,
        chunks: tuple[Mapping[Key, Value], ...],
        place: Callable[[Key], int],
        rest: Mapping[Key, Value] = NOTHING,
    ) -> None:
        twice = [name for name in rest if name in chunks[place(name)]]
        self._chunks = chunks
        self._place = place
        self._rest = {name: rest[name] for name in rest if name not in twice} if twice else rest
        self._length = sum(map(len, chunks)) + len(self._rest)

    def with_rest(self, rest: Mapping[Key, Value]) -> "ChunkedMapping[Key, Value]":
        """The same chunks and `rest` besides; what was there already stands."""
        return ChunkedMapping(self._chunks, self._place, {**rest, **self._rest})

    def chunks(self) -> tuple[Mapping[Key, Value], ...]:
        """All chunks, the rest last."""
        return (*self._chunks, self._rest)

    def pairs_with(self, other: Mapping[Any, Any]) -> tuple[tuple[Mapping[Key, Value], Mapping[Any, Any]], ...]:
        """The chunks of both that are not the same object, side by side; the whole of both when `other` is divided
        otherwise.
        """
        if isinstance(other, ChunkedMapping) and other.division == self.division:
            pairs = zip(self.chunks(), other.chunks(), strict=True)
            return tuple((mine, its) for mine, its in pairs if mine is not its)
        return ((self, other),)

    @property
    def division(self) -> tuple[Callable[[Any], int], int]:
        """How names are put into chunks: the function, and how many there are."""
        return self._place, len(self._chunks)

    def __getitem__(self, name: Key) -> Value:
        chunk = self._chunks[self._place(name)]
        return chunk[name] if name in chunk else self._rest[name]

    def get(self, name: Key, default: Any = None, /) -> Any:  # type: ignore[override] - one signature for all
        chunk = self._chunks[self._place(name)]
        return chunk[name] if name in chunk else self._rest.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._rest or name in self._chunks[self._place(cast("Key", name))]

    def __iter__(self) -> Iterator[Key]:
        return chain.from_iterable(self.chunks())

    def __len__(self) -> int:
        return self._length

    def keys(self) -> KeysView[Key]:
        return _Keys(self)

    def values(self) -> ValuesView[Value]:
        return _Values(self)

    def items(self) -> ItemsView[Key, Value]:
        return _Items(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Mapping) or self._length != len(cast("Mapping[Any, Any]", other)):
            return False
        pairs = self.pairs_with(cast("Mapping[Any, Any]", other))
        if pairs and pairs[0][0] is self:
            return dict(self.items()) == dict(cast("Mapping[Any, Any]", other).items())
        plain = cast("Mapping[Any, Any]", other)
        return all(mine == its or (mine.keys() != its.keys() and self._agrees(mine, plain)) for mine, its in pairs)

    def _agrees(self, mine: Mapping[Key, Value], other: Mapping[Any, Any]) -> bool:
        """Whether `other`, which has as many names, has these with equal values, in whichever chunk."""
        return all(name in other and other[name] == value for name, value in mine.items())

    __hash__ = None  # type: ignore[assignment] - as every mapping

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.items())!r})"


class _Keys(KeysView[Key]):
    """Sets are compared chunk by chunk, in the interpreter's own loops."""

    _mapping: ChunkedMapping[Key, Any]

    def __le__(self, other: AbstractSet[Any]) -> bool:
        return all(chunk.keys() <= other for chunk in self._mapping.chunks())


class _Values(ValuesView[Value]):
    _mapping: ChunkedMapping[Any, Value]

    def __iter__(self) -> Iterator[Value]:
        return chain.from_iterable(chunk.values() for chunk in self._mapping.chunks())


class _Items(ItemsView[Key, Value]):
    _mapping: ChunkedMapping[Key, Value]

    def __iter__(self) -> Iterator[tuple[Key, Value]]:
        return chain.from_iterable(chunk.items() for chunk in self._mapping.chunks())


def differing(old: Mapping[Key, Any], new: Mapping[Key, Any]) -> frozenset[Key]:
    """The names that only one of them has, and those with another object in each."""
    if old is new:
        return frozenset()
    pairs = new.pairs_with(old) if isinstance(new, ChunkedMapping) else ((new, old),)
    names = chain.from_iterable(one.keys() | other.keys() for one, other in pairs)
    missing = object()
    return frozenset(name for name in names if old.get(name, missing) is not new.get(name, missing))
