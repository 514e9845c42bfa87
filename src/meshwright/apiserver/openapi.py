"""The OpenAPI 3.0 documents: an index, and one document per group and version, made when somebody asks."""

import hashlib
from collections.abc import Iterator

import msgspec

from meshwright.apiserver.resources import ApiResource, Catalogue
from meshwright.apiserver.schemas import REFERENCE, SCALE, Schemas
from meshwright.apiserver.values import Json, is_list, is_map

_ANSWER: Json = {"200": {"description": "OK"}}
_WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")
_LIST_OPTIONS = ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch")
_PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
_STRATEGIC = "application/strategic-merge-patch+json"  # kubectl looks for it before it sends one


V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def empty_v2(accept: str) -> tuple[bytes, str]:
    """An OpenAPI 2.0 document without anything, and its type, in the form that is asked for.

    kubectl reads it when a file holds a `kind: List`, which has no path that version 3 could describe; it then
    leaves validation to the server.
    """
    info: Json = {"title": "meshwright", "version": "v1.37"}
    if "protobuf" not in accept:
        document = {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}
        return msgspec.json.encode(document), "application/json"
    inner = b"".join(bytes((10 + 8 * index, len(text))) + text.encode() for index, text in enumerate(info.values()))
    # fields 1 (swagger), 2 (info), 8 (paths) and 9 (definitions), the last two empty
    return b"\x0a\x032.0\x12" + bytes((len(inner),)) + inner + b"\x42\x00\x4a\x00", V2_PROTOBUF


class OpenApi:
    """All documents as JSON text."""

    def __init__(self, catalogue: Catalogue, schemas: Schemas) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._made: dict[tuple[str, str], bytes] = {}

    def index(self) -> Json:
        """`/openapi/v3`."""
        paths: Json = {}
        for group, versions in self._catalogue.groups.items():
            for version in versions:
                path = _root(group, version)
                digest = hashlib.sha256(self.document(group, version) or b"").hexdigest()[:32].upper()
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    def document(self, group: str, version: str) -> bytes | None:
        """`/openapi/v3/apis/GROUP/VERSION`; None where there is no such version."""
        rows = self._catalogue.in_version(group, version)
        if not rows:
            return None
        if (group, version) not in self._made:
            self._made[group, version] = msgspec.json.encode(self._build(rows, group, version))
        return self._made[group, version]

    def _build(self, rows: tuple[ApiResource, ...], group: str, version: str) -> Json:
        paths: Json = {}
        for row in rows:
            paths.update(_paths(row, _root(group, version), version))
        wanted = [row.definition(version) for row in rows]
        if any("scale" in row.subresources for row in rows):
            wanted.append(SCALE)
        return {
            "openapi": "3.0.0",
            "info": {"title": "meshwright", "version": "v1.37"},
            "paths": paths,
            "components": {"schemas": {name: self._schemas.definitions[name] for name in self._reached(wanted)}},
        }

    def _reached(self, names: list[str]) -> list[str]:
        found: set[str] = set()
        open_ends = list(names)
        while open_ends:
            name = open_ends.pop()
            if name not in found and name in self._schemas.definitions:
                found.add(name)
                open_ends.extend(_references(self._schemas.definitions[name]))
        return sorted(found)


def _references(value: object) -> Iterator[str]:
    if is_map(value):
        for name, item in value.items():
            if name == "$ref" and isinstance(item, str):
                yield item.removeprefix(REFERENCE)
            else:
                yield from _references(item)
    elif is_list(value):
        for item in value:
            yield from _references(item)


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _paths(row: ApiResource, root: str, version: str) -> Json:
    """The operations on one resource; kubectl reads from them which options a patch takes."""
    place = f"/{root}/namespaces/{{namespace}}/{row.plural}" if row.namespaced else f"/{root}/{row.plural}"
    make = _Operations(row, version)
    patches = (*_PATCH_TYPES, _STRATEGIC) if row.is_core else _PATCH_TYPES
    item: Json = {
        "get": make.operation("get", "read", ()),
        "put": make.operation("put", "replace", _WRITE_OPTIONS, body=("application/json",)),
        "patch": make.operation("patch", "patch", (*_WRITE_OPTIONS, "force"), body=patches),
        "delete": make.operation("delete", "delete", ("dryRun", "gracePeriodSeconds", "propagationPolicy")),
    }
    collection: Json = {
        "get": make.operation("list", "list", _LIST_OPTIONS),
        "post": make.operation("post", "create", _WRITE_OPTIONS, body=("application/json",)),
        "delete": make.operation("deletecollection", "deleteCollection", _LIST_OPTIONS),
    }
    found: Json = {place: collection, f"{place}/{{name}}": item}
    if row.namespaced:
        found[f"/{root}/{row.plural}"] = {"get": make.operation("list", "listAll", _LIST_OPTIONS)}
    for part in row.subresources:
        found[f"{place}/{{name}}/{part}"] = {
            "get": make.operation("get", f"read{part.title()}", ()),
            "put": make.operation("put", f"replace{part.title()}", _WRITE_OPTIONS, body=("application/json",)),
            "patch": make.operation("patch", f"patch{part.title()}", (*_WRITE_OPTIONS, "force"), body=patches),
        }
    return found


class _Operations:
    """Makes the operations of one resource."""

    def __init__(self, row: ApiResource, version: str) -> None:
        self._row = row
        self._version = version

    def operation(self, action: str, name: str, options: tuple[str, ...], body: tuple[str, ...] = ()) -> Json:
        row = self._row
        reference = {"$ref": REFERENCE + row.definition(self._version)}
        group = row.group.partition(".")[0].title() or "Core"
        made: Json = {
            "operationId": f"{name}{group}{self._version.title()}{row.kind}",
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": row.group, "version": self._version, "kind": row.kind},
            "parameters": [{"name": option, "in": "query", "schema": {"type": "string"}} for option in options],
            "responses": _ANSWER
            if "list" in action
            else {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
        }
        if body:
            schema = {"type": "object"} if action == "patch" else reference
            made["requestBody"] = {"content": {kind: {"schema": schema} for kind in body}}
        return made
