"""What is wrong with an object by its schema: fields it does not have, values of the wrong type, missing ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshwright.apiserver.failure import FieldError
from meshwright.apiserver.schemas import Shape
from meshwright.apiserver.values import Json, is_list, is_map

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_WORDS: Mapping[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}


@dataclass(slots=True)
class Findings:
    """`unknown` are the paths of fields that the schema does not have; `kept` the object without them."""

    unknown: list[str] = field(default_factory=list[str])
    errors: list[FieldError] = field(default_factory=list[FieldError])


def check(value: Json, shape: Shape, *, types: bool) -> Findings:
    """Everything at once. With `types` also wrong types and missing fields (our own kinds say that better)."""
    findings = Findings()
    _walk(value, shape, "", findings, types)
    return findings


def pruned(value: Any, shape: Shape) -> Any:
    """The value without the fields that the schema does not have."""
    if is_map(value):
        known = value if shape.is_open else {name: item for name, item in value.items() if name in shape.fields}
        return {name: pruned(item, shape.field(name)) for name, item in known.items()}
    if is_list(value):
        return [pruned(item, shape.item) for item in value]
    return value


def _walk(value: Any, shape: Shape, path: str, findings: Findings, types: bool) -> None:  # noqa: FBT001 - recursion
    if value is None:
        return
    if types and not _has_type(value, shape.node):
        findings.errors.append(_wrong_type(value, shape.node, path))
        return
    if is_map(value):
        for name, item in value.items():
            inner = member(path, name)
            if not shape.is_open and name not in shape.fields:
                findings.unknown.append(inner)
            else:
                _walk(item, shape.field(name), inner, findings, types)
        if types:
            missing = [name for name in shape.node.get("required", ()) if value.get(name) is None]
            findings.errors.extend(
                FieldError(member(path, name), "Required value", "FieldValueRequired") for name in missing
            )
    elif is_list(value):
        for index, item in enumerate(value):
            _walk(item, shape.item, f"{path}[{index}]", findings, types)


def member(path: str, name: str) -> str:
    """The path of a member, as users write it."""
    if "." in name or "/" in name or not name:
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def _has_type(value: object, node: Json) -> bool:
    choices: list[Json] = node.get("oneOf", [node])
    return any(_is(value, choice.get("type")) for choice in choices)


def _is(value: object, kind: str | None) -> bool:
    if kind is None:
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def _wrong_type(value: Any, node: Json, path: str) -> FieldError:
    choices: list[Json] = node.get("oneOf", [node])
    wanted = " or ".join(str(choice.get("type")) for choice in choices)
    met = next((words for kind, words in _WORDS.items() if isinstance(value, kind)), "something else")
    return FieldError(path, f"Invalid value: {met}: must be of type {wanted}", "FieldValueTypeInvalid")
