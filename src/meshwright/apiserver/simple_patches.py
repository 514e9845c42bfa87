"""JSON patches (RFC 6902) and merge patches (RFC 7386)."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from meshwright.apiserver.values import copied, is_list, is_map, same

MAX_OPERATIONS = 10_000
_INDEX = re.compile(r"0|[1-9][0-9]*\Z")


class PatchError(Exception):
    """The patch does not fit the object; the text says which part of it."""


def merge_patch(value: Any, patch: Any) -> Any:
    """The value with a merge patch on it; null takes a member away."""
    if not is_map(patch):
        return patch
    out = dict(value) if is_map(value) else {}
    for name, item in patch.items():
        if item is None:
            out.pop(name, None)
        else:
            out[name] = merge_patch(out.get(name), item)
    return out


def json_patch(value: Any, operations: object) -> Any:
    """A new value: all operations in their order. Raises PatchError."""
    if not is_list(operations) or len(operations) > MAX_OPERATIONS:
        raise PatchError(f"a JSON patch is a list of at most {MAX_OPERATIONS} operations")
    value = copied(value)
    for index, operation in enumerate(operations):
        if not is_map(operation) or not isinstance(name := operation.get("op"), str) or name not in _OPERATIONS:
            raise PatchError(f"operation {index}: `op` must be one of {', '.join(_OPERATIONS)}")
        try:
            value = _OPERATIONS[name](value, operation)
        except PatchError as problem:
            raise PatchError(f"operation {index} ({name}): {problem}") from None
    return value


def _pointer(operation: dict[str, Any], name: str) -> list[str]:
    text: object = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"`{name}` must be empty or start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError("`value` is missing")
    return copied(operation["value"])


def _find(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = _step(value, part)
    return value


def _step(value: Any, part: str) -> Any:
    if is_map(value) and part in value:
        return value[part]
    if is_list(value):
        return value[_index(part, len(value) - 1)]
    raise PatchError(f"there is no `{part}`")


def _index(part: str, last: int) -> int:
    if not _INDEX.match(part) or int(part) > last:
        raise PatchError(f"there is no item `{part}`")
    return int(part)


def _put(value: Any, path: Sequence[str], item: Any) -> Any:
    """Adds or replaces a member, or inserts an item."""
    if not path:
        return item
    holder = _find(value, path[:-1])
    if is_map(holder):
        holder[path[-1]] = item
    elif is_list(holder):
        holder.insert(len(holder) if path[-1] == "-" else _index(path[-1], len(holder)), item)
    else:
        raise PatchError(f"`{path[-1]}` has no place in a single value")
    return value


def _take(value: Any, path: Sequence[str]) -> Any:
    if not path:
        raise PatchError("the whole object cannot be removed")
    holder = _find(value, path[:-1])
    _step(holder, path[-1])
    if is_map(holder):
        del holder[path[-1]]
    else:
        del holder[int(path[-1])]
    return value


def _add(value: Any, operation: dict[str, Any]) -> Any:
    return _put(value, _pointer(operation, "path"), _value(operation))


def _remove(value: Any, operation: dict[str, Any]) -> Any:
    return _take(value, _pointer(operation, "path"))


def _replace(value: Any, operation: dict[str, Any]) -> Any:
    path, item = _pointer(operation, "path"), _value(operation)
    if not path:
        return item
    holder = _find(value, path[:-1])
    _step(holder, path[-1])
    holder[int(path[-1]) if is_list(holder) else path[-1]] = item
    return value


def _move(value: Any, operation: dict[str, Any]) -> Any:
    start, end = _pointer(operation, "from"), _pointer(operation, "path")
    if end[: len(start)] == start and len(end) > len(start):
        raise PatchError("a value cannot be moved into itself")
    item = _find(value, start)
    return _put(_take(value, start), end, item)


def _copy(value: Any, operation: dict[str, Any]) -> Any:
    return _put(value, _pointer(operation, "path"), copied(_find(value, _pointer(operation, "from"))))


def _test(value: Any, operation: dict[str, Any]) -> Any:
    if not same(_find(value, _pointer(operation, "path")), _value(operation)):
        raise PatchError(f"{operation['path']} has another value")
    return value


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
