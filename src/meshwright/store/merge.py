"""Three states of a value become one: what a step did is taken back on top of what happened since."""

from typing import Any, cast

from meshwright.store.names import Json


class _Absent:
    """A member that is not there, which is another thing than null."""


ABSENT = _Absent()


def rebase(current: Json | None, after: Json | None, before: Json | None) -> tuple[Json | None, list[str]]:
    """`current` with the step from `before` to `after` taken back, and the paths where that is not possible.

    Maps are merged member by member; lists and scalars as a whole. None: the object is not there. An object that the
    step made goes also when its metadata was written since (finalizers, annotations of controllers), not its content.
    """
    conflicts: list[str] = []
    if before is None and current is not None and after is not None and _same(_content(current), _content(after)):
        return None, conflicts
    ends = tuple(ABSENT if value is None else value for value in (current, after, before))
    merged = _merge(ends[0], ends[1], ends[2], "", conflicts)
    return (None if merged is ABSENT else cast("Json", merged)), conflicts


def _merge(current: object, after: object, before: object, path: str, conflicts: list[str]) -> object:
    if _same(before, after):
        return current
    if _same(current, after) or _same(current, before):
        return before
    if not (isinstance(current, dict) and isinstance(after, dict) and isinstance(before, dict)):
        conflicts.append(path or "the object")
        return cast("object", current)
    sides = (cast("dict[str, Any]", current), cast("dict[str, Any]", after), cast("dict[str, Any]", before))
    merged: Json = {}
    for name in dict.fromkeys(name for side in sides for name in side):
        parts = tuple(cast("object", side.get(name, ABSENT)) for side in sides)
        member = _merge(parts[0], parts[1], parts[2], f"{path}.{name}" if path else name, conflicts)
        if member is not ABSENT:
            merged[name] = member
    return merged


def _content(value: Json) -> Json:
    return {name: member for name, member in value.items() if name != "metadata"}


def _same(one: object, other: object) -> bool:
    """Equal as JSON, where `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, object]", one), cast("dict[str, object]", other)
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(one, list) and isinstance(other, list):
        mine, theirs = cast("list[object]", one), cast("list[object]", other)
        return len(mine) == len(theirs) and all(_same(a, b) for a, b in zip(mine, theirs, strict=True))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
