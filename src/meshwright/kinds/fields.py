"""A checked object seen through the types that its schema promises: readers take model values out of it."""

from collections.abc import Iterator
from typing import cast

from meshwright.documents.document import Value
from meshwright.kinds.durations import milliseconds
from meshwright.kinds.place import Place, origin_of
from meshwright.model.names import Milliseconds
from meshwright.model.origin import ObjectRef, Origin


class Fields:
    """One object that passed its schema. A field that is absent or null gives the default."""

    __slots__ = ("_place", "_ref", "_value")

    def __init__(self, value: dict[str, Value], ref: ObjectRef, place: Place = None) -> None:
        self._value = value
        self._ref = ref
        self._place = place

    @property
    def origin(self) -> Origin:
        """Where this object stands; made only for those who ask."""
        return origin_of(self._ref, self._place)

    def has(self, name: str) -> bool:
        """Whether the field is written and not null."""
        return self._value.get(name) is not None

    def raw(self, name: str) -> Value:
        return self._value.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self._value.get(name)
        return default if value is None else cast("str", value)

    def optional_text(self, name: str) -> str | None:
        return cast("str | None", self._value.get(name))

    def number(self, name: str) -> int | None:
        value = self._value.get(name)
        return None if value is None else int(cast("int | float", value))

    def number_or(self, name: str, default: int) -> int:
        value = self._value.get(name)
        return default if value is None else int(cast("int | float", value))

    def real(self, name: str) -> float | None:
        value = self._value.get(name)
        return None if value is None else float(cast("int | float", value))

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._value.get(name)
        return default if value is None else cast("bool", value)

    def optional_flag(self, name: str) -> bool | None:
        return cast("bool | None", self._value.get(name))

    def number_or_text(self, name: str) -> int | str | None:
        """A port by number or by name."""
        value = self._value.get(name)
        return int(value) if isinstance(value, float) else cast("int | str | None", value)

    def duration(self, name: str) -> Milliseconds | None:
        value = self._value.get(name)
        return None if value is None else milliseconds(cast("str", value))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._value.get(name)
        return () if value is None else tuple(cast("list[str]", value))

    def pairs(self, name: str) -> dict[str, str]:
        """A map of texts; null values are read as empty."""
        value = self._value.get(name)
        if value is None:
            return {}
        return {key: "" if item is None else item for key, item in cast("dict[str, str | None]", value).items()}

    def child(self, name: str) -> "Fields | None":
        value = self._value.get(name)
        if value is None:
            return None
        return Fields(cast("dict[str, Value]", value), self._ref, (self._place, name))

    def child_or_empty(self, name: str) -> "Fields":
        return self.child(name) or Fields({}, self._ref, (self._place, name))

    def items(self, name: str) -> Iterator["Fields"]:
        """The objects of a list."""
        value = self._value.get(name)
        if value is None:
            return
        place = (self._place, name)
        for index, item in enumerate(cast("list[dict[str, Value]]", value)):
            yield Fields(item, self._ref, (place, index))

    def entries(self, name: str) -> Iterator[tuple[str, "Fields"]]:
        """The objects of a map; an entry that is null is an empty object."""
        value = self._value.get(name)
        if value is None:
            return
        place = (self._place, name)
        for key, item in cast("dict[str, dict[str, Value] | None]", value).items():
            yield key, Fields(item or {}, self._ref, (place, key))
