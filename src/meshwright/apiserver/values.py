"""JSON values: small questions that every part of the object API asks."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from meshwright.store.names import Json

MAX_DEPTH = 100  # levels of nesting that a body may have; walkers below recurse


def is_map(value: object) -> TypeGuard[Json]:
    """A JSON object (JSON has text keys only)."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """A JSON array."""
    return isinstance(value, list)


def map_of(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if is_map(value) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if is_list(value) else []


def dig(value: object, *path: str) -> Any:
    """What is at a path of fields; None where something is missing."""
    for name in path:
        if not is_map(value):
            return None
        value = value.get(name)
    return value


def metadata_of(value: Mapping[str, Any]) -> Json:
    """The metadata, empty where it is missing or no object."""
    return map_of(value.get("metadata"))


def copied(value: Any) -> Any:
    """A deep copy: whoever changes it changes nobody else's."""
    if is_map(value):
        return {name: copied(item) for name, item in value.items()}
    if is_list(value):
        return [copied(item) for item in value]
    return value


def same(one: object, other: object) -> bool:
    """Equal as JSON, where `true` is not 1 and 1 is 1.0."""
    if is_map(one) and is_map(other):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if is_list(one) and is_list(other):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def without_nulls(value: Any) -> Any:
    """The same without members that are null: in Kubernetes null stands for an absent field."""
    if is_map(value):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if is_list(value):
        return [without_nulls(item) for item in value]
    return value


def too_deep(value: object, limit: int = MAX_DEPTH) -> bool:
    """Whether a value nests deeper than `limit`; without recursion, as it may be hostile."""
    level: list[object] = [value]
    for _ in range(limit):
        inner: list[object] = []
        for item in level:
            if is_map(item):
                inner.extend(item.values())
            elif is_list(item):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return True
