"""The field tables of our own kinds (Istio's API) in the form of OpenAPI 3.0."""

from meshwright.apiserver.field_texts import text_of
from meshwright.apiserver.resources import ApiResource
from meshwright.apiserver.values import Json
from meshwright.kinds.schema import (
    Anything,
    Duration,
    Enum,
    Flag,
    Integer,
    ListOf,
    MapOf,
    Number,
    NumberOrName,
    Object,
    Text,
    Type,
    Unsupported,
    UnsupportedGuard,
)

Path = tuple[str, ...]  # the kind, and the fields that lead to a place
_META_REFERENCE = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_ANYTHING: Json = {"x-kubernetes-preserve-unknown-fields": True}
_HEADER: Json = {
    "apiVersion": {"type": "string", "description": "The group and version of the API, here the one of this page."},
    "kind": {"type": "string", "description": "What the object is."},
    "metadata": {"allOf": [{"$ref": _META_REFERENCE}], "default": {}, "description": "Name, labels and the like."},
}


def own_schema(row: ApiResource, version: str) -> Json:
    """The definition of one kind; all served versions have the same fields."""
    assert row.shape is not None, "only kinds with a table of fields"
    schema = _converted(row.shape, (row.kind,))
    fields = {name: value for name, value in schema["properties"].items() if name not in _HEADER}
    fields["status"] = {"type": "object", **_ANYTHING, "description": "What the mesh says about the object."}
    mark = {"group": row.group, "version": version, "kind": row.kind}
    return {
        **schema,
        "description": f"{row.kind} of {row.group}: all served versions are one object.",
        "properties": {**_HEADER, **fields},
        "x-kubernetes-group-version-kind": [mark],
    }


def _object(shape: Object, path: Path) -> Json:
    fields = {name: _described(shape, (*path, name), inner) for name, inner in shape.fields.items()}
    others = {name: dict(_ANYTHING, description="Accepted; the mesh does not use it.") for name in shape.others}
    schema: Json = {"type": "object", "properties": {**fields, **dict(sorted(others.items()))}}
    if shape.required:
        schema["required"] = sorted(shape.required)
    return schema


def _described(shape: Object, path: Path, inner: Type) -> Json:
    """A field, with what its table says about it beyond the type."""
    schema = _converted(inner, path)
    name = path[-1]
    said: list[str] = [text_of(path)]
    if isinstance(inner, Unsupported | UnsupportedGuard):
        said.append("This mesh cannot do it yet: what it says is reported, not done.")
    if name in shape.required:
        said.append(f"Required: {shape.required[name]}.")
    said.extend(
        f"Excludes {', '.join(other for other in group if other != name)}." for group in shape.one_of if name in group
    )
    said.append(_bounds(inner))
    text = " ".join(part for part in said if part)
    return {**schema, "description": text} if text else schema


def _bounds(inner: Type) -> str:
    match inner:
        case Text(format=shape) if shape is not None:
            return f"{shape.name[:1].upper()}{shape.name[1:]}, e.g. {shape.example}."
        case Duration(least=least):
            return f"A duration such as 1.5s or 300ms, at least {least}ms."
        case Enum(values=values):
            return f"One of {', '.join(values)}."
        case _:
            return ""


def _number(low: float, high: float, kind: str) -> Json:
    return {"type": kind, "minimum": low, "maximum": high}


def _converted(inner: Type, path: Path) -> Json:  # noqa: PLR0911 - a flat list of the types there are
    match inner:
        case Object():
            return _object(inner, path)
        case ListOf(item=item):
            return {"type": "array", "items": _converted(item, path)}
        case MapOf(value=value):
            return {"type": "object", "additionalProperties": _converted(value, path)}
        case Text() | Duration():
            return {"type": "string"}
        case Enum(values=values, aliases=aliases):
            return {"type": "string", "enum": [*values, *aliases]}
        case Integer(low=low, high=high):
            return _number(low, high, "integer")
        case Number(low=low, high=high):
            return _number(low, high, "number")
        case Flag():
            return {"type": "boolean"}
        case NumberOrName():
            return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
        case Anything() | Unsupported() | UnsupportedGuard():
            return _ANYTHING
        case _:  # a type of one kind's own: all of those are words
            return {"type": "string"}
