"""Strategic merge patches: lists of Kubernetes' own kinds are merged item by item, by the keys of their schema."""

from typing import Any

from meshwright.apiserver.schemas import Shape
from meshwright.apiserver.simple_patches import PatchError
from meshwright.apiserver.values import Json, is_list, is_map, same, without_nulls

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_REMOVE = "$deleteFromPrimitiveList/"


def strategic_patch(value: Json, patch: object, shape: Shape) -> Json:
    """A new value with the patch on it. Raises PatchError."""
    if not is_map(patch):
        raise PatchError("a strategic merge patch is an object")
    return _merge_maps(value, patch, shape)


def _merge_maps(value: Json, patch: Json, shape: Shape) -> Json:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return _plain({name: item for name, item in patch.items() if name != _DIRECTIVE})
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown {_DIRECTIVE}: {directive}")
    out = dict(value)
    if _RETAIN in patch:
        kept = _list(patch, _RETAIN)
        out = {name: item for name, item in out.items() if name in kept}
    for name, item in patch.items():
        if name.startswith("$"):
            continue
        if item is None:
            out.pop(name, None)
        else:
            out[name] = _merge(out.get(name), item, shape.field(name))
    _lists_by_directive(out, patch, shape)
    return out


def _lists_by_directive(out: Json, patch: Json, shape: Shape) -> None:
    """Removals from lists of plain values, and the order that lists are to have."""
    for name in patch:
        if name.startswith(_REMOVE) and is_list(current := out.get(name.removeprefix(_REMOVE))):
            gone = _list(patch, name)
            out[name.removeprefix(_REMOVE)] = [item for item in current if item not in gone]
    for name in patch:
        if name.startswith(_ORDER) and is_list(current := out.get(name.removeprefix(_ORDER))):
            field = name.removeprefix(_ORDER)
            out[field] = _ordered(current, _list(patch, name), shape.field(field).patch_key)


def _list(patch: Json, name: str) -> list[Any]:
    value = patch[name]
    if not is_list(value):
        raise PatchError(f"{name} must be a list")
    return value


def _merge(value: Any, patch: Any, shape: Shape) -> Any:
    if is_map(patch):
        return _merge_maps(value if is_map(value) else {}, patch, shape)
    if is_list(patch):
        return _merge_lists(value if is_list(value) else [], patch, shape)
    return patch


def _merge_lists(value: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    if any(is_map(item) and item.get(_DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
        return _plain([item for item in patch if not (is_map(item) and _DIRECTIVE in item)])
    if "merge" not in shape.patch_strategies:
        return _plain(patch)
    key = shape.patch_key
    if not key:
        return [*value, *(item for item in patch if item not in value)]
    out = list(value)
    for item in patch:
        if not is_map(item) or key not in item:
            raise PatchError(f"an item of a merged list lacks its key `{key}`")
        _merge_item(out, item, key, shape)
    return out


def _merge_item(out: list[Any], patch: Json, key: str, shape: Shape) -> None:
    """One item of a patch, put into the list of items."""
    places = [index for index, item in enumerate(out) if is_map(item) and same(item.get(key), patch[key])]
    if patch.get(_DIRECTIVE) == "delete":
        for index in reversed(places):
            del out[index]
    elif places:
        out[places[0]] = _merge_maps(out[places[0]], patch, shape.item)
    else:
        out.append(_merge_maps({}, patch, shape.item))


def _ordered(value: list[Any], order: list[Any], key: str) -> list[Any]:
    """The items that `order` names in that order; others keep their place behind the item they followed."""
    wanted = [item.get(key) if key and is_map(item) else item for item in order]
    told: dict[int, Any] = {}
    others: list[tuple[int, Any]] = []
    for index, item in enumerate(value):
        mark = item.get(key) if key and is_map(item) else item
        if mark in wanted:
            told[wanted.index(mark)] = item
        else:
            others.append((index, item))
    out = [told[place] for place in sorted(told)]
    for index, item in others:
        out.insert(min(index, len(out)), item)
    return out


def _plain(value: Any) -> Any:
    """A part of a patch that becomes a value: without nulls and directives."""
    if is_map(value):
        return {name: _plain(item) for name, item in without_nulls(value).items() if not name.startswith("$")}
    if is_list(value):
        return [_plain(item) for item in value]
    return value
