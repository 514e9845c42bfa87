"""Sets of fields: which of them a value has, how two values differ, and the form in which they are stored.

A field is a path of steps as Kubernetes writes them: `f:name` a member, `k:{...}` an item by its keys, `v:...` an
item of a set.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from meshwright.apiserver.schemas import Shape
from meshwright.apiserver.values import Json, is_list, is_map, same

Path = tuple[str, ...]
FieldSet = frozenset[Path]
Fields = dict[Path, Any]  # what stands at each field; the containers among them stand for themselves

CONTAINER = object()
_STORE_KEPT = frozenset({
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
})  # fmt: skip
_encode = msgspec.json.Encoder(order="sorted").encode


def fields_of(value: Json, shape: Shape) -> Fields:
    """All fields of a whole object that a writer can own: not its identity, not what the server keeps, no status."""
    owned = {name: item for name, item in value.items() if name not in ("apiVersion", "kind", "status")}
    metadata = owned.get("metadata")
    if is_map(metadata):
        kept = {name: item for name, item in metadata.items() if name not in _STORE_KEPT}
        owned["metadata"] = kept
        if not kept:
            del owned["metadata"]
    found: Fields = {}
    for name, item in owned.items():
        _collect(item, shape.field(name), (f"f:{name}",), found)
    return found


def _collect(value: Any, shape: Shape, path: Path, found: Fields) -> None:
    if is_map(value) and value and not shape.is_atomic:
        declared = shape.fields
        for name, item in value.items():
            inner = (*path, f"f:{name}")
            if name not in declared and is_map(item):
                found[inner] = CONTAINER
            _collect(item, shape.field(name), inner, found)
    elif is_list(value) and value and (keyed := _steps(value, shape)) is not None:
        for step, item in zip(keyed, value, strict=True):
            inner = (*path, step)
            found[inner] = CONTAINER
            if is_map(item):
                _collect(item, shape.item, inner, found)
    else:
        found[path] = value


def _steps(items: list[Any], shape: Shape) -> list[str] | None:
    """The step to each item of a list that is merged; None for one that is taken as a whole."""
    if shape.is_set:
        return [set_step(item) for item in items]
    if not shape.merge_keys:
        return None
    keys = [shape.key_of(item) for item in items]
    return [key_step(key) for key in keys if key is not None] if None not in keys else None


def key_step(key: Mapping[str, Any]) -> str:
    return "k:" + _encode(key).decode()


def set_step(item: Any) -> str:
    return "v:" + _encode(item).decode()


def changed(before: Fields, after: Fields) -> FieldSet:
    """Fields of `after` that are new or have another value."""
    return frozenset(path for path, value in after.items() if path not in before or not _equal(before[path], value))


def _equal(one: Any, other: Any) -> bool:
    return one is other or (one is not CONTAINER and other is not CONTAINER and same(one, other))


def merged(live: Any, applied: Any, shape: Shape) -> Any:
    """What is applied, on top of what is there; lists and maps that have one owner are replaced as a whole."""
    if is_map(live) and is_map(applied) and not shape.is_atomic:
        out = dict(live)
        for name, item in applied.items():
            out[name] = merged(out.get(name), item, shape.field(name))
        return out
    if is_list(live) and is_list(applied):
        mine, theirs = _steps(live, shape), _steps(applied, shape)
        if mine is not None and theirs is not None:
            items = dict(zip(mine, live, strict=True))
            for step, item in zip(theirs, applied, strict=True):
                items[step] = merged(items[step], item, shape.item) if step in items else item
            return list(items.values())
    return applied


def without(value: Any, gone: FieldSet, kept: FieldSet, shape: Shape) -> Any:
    """A value without the fields `gone`, as far as nothing below them is in `kept`; empty holders go with them."""
    return _without(value, (), gone, {path[:end] for path in kept for end in range(1, len(path) + 1)}, shape)[0]


def _without(value: Any, path: Path, gone: FieldSet, held: set[Path], shape: Shape) -> tuple[Any, bool]:
    """The value that is left, and whether anything of it is."""
    if path in gone and path not in held:
        return None, False
    if is_map(value) and not shape.is_atomic:
        left: Json = {}
        for name, item in value.items():
            inner, stays = _without(item, (*path, f"f:{name}"), gone, held, shape.field(name))
            if stays:
                left[name] = inner
        return left, bool(left) or not value or path in held or not path
    if is_list(value) and (steps := _steps(value, shape)) is not None:
        rest: list[Any] = []
        for step, item in zip(steps, value, strict=True):
            inner, stays = _without(item, (*path, step), gone, held, shape.item)
            if stays:
                rest.append(inner)
        return rest, bool(rest) or not value or path in held
    return value, True


def to_json(paths: Iterable[Path]) -> Json:
    """The form of `fieldsV1`: a tree of steps, where `.` marks a field that has fields below it."""
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _without_lone_marks(tree)


def _without_lone_marks(node: Json) -> Json:
    if list(node) == ["."]:
        return {}
    return {step: _without_lone_marks(inner) if step != "." else inner for step, inner in node.items()}


def from_json(tree: object) -> FieldSet:
    """The set of a `fieldsV1` tree; what is no such tree is empty."""
    found: set[Path] = set()
    _read(tree, (), found)
    return frozenset(found)


def _read(node: object, path: Path, found: set[Path]) -> None:
    if not is_map(node):
        return
    if path and (not node or "." in node):
        found.add(path)
    for step, inner in node.items():
        if step != ".":
            _read(inner, (*path, step), found)


def readable(path: Path) -> str:
    """A field as Kubernetes' messages write it: `.spec.containers[name="web"].image`."""
    parts: list[str] = []
    for step in path:
        kind, text = step[:2], step[2:]
        if kind == "f:":
            parts.append(f".{text}")
        elif kind == "k:":
            key: Json = msgspec.json.decode(text)
            parts.append("[" + ",".join(f"{name}={_encode(item).decode()}" for name, item in key.items()) + "]")
        else:
            parts.append(f"[={text}]")
    return "".join(parts)
