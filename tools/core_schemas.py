#!/usr/bin/env python3
"""Kubernetes' own schemas of the kinds we serve become `apiserver/schemas/core.json`: a build product, out of git.

In: the definitions in the installed `kubernetes-validate` distribution, newest version. Out: one JSON file with the
definitions that our kinds reach, in the form of OpenAPI 3.0 as an API server gives them (references wrapped where
they have siblings, no `null` types), with the keys by which lists are merged. A second run with the same input
writes nothing. Exit code 1 and one sentence when the distribution is missing or holds something else.
"""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DISTRIBUTION = "kubernetes_validate"
TARGET = Path(__file__).resolve().parent.parent / "src" / "meshwright" / "apiserver" / "schemas" / "core.json"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
ROOTS = (
    *(
        f"io.k8s.api.core.v1.{kind}"
        for kind in (
            "ConfigMap",
            "Endpoints",
            "Event",
            "Namespace",
            "Node",
            "Pod",
            "Secret",
            "Service",
            "ServiceAccount",
        )
    ),
    *(f"io.k8s.api.apps.v1.{kind}" for kind in ("ControllerRevision", "Deployment", "ReplicaSet", "StatefulSet")),
    "io.k8s.api.discovery.v1.EndpointSlice",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.authentication.v1.TokenRequest",
    "io.k8s.api.authentication.v1.TokenReview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    f"{META}.DeleteOptions",
    f"{META}.ObjectMeta",
    f"{META}.ListMeta",
)
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
MARK = "x-kubernetes-group-version-kind"
FORMAT = 4  # of the file: a change of this tool that matters makes a new one

Schema = dict[str, Any]


def main() -> int:
    folder = _newest()
    if folder is None:
        print("core_schemas: kubernetes-validate is not installed: run `make setup`", file=sys.stderr)
        return 1
    stamp = f"{folder.name} {FORMAT}"
    if TARGET.exists() and json.loads(TARGET.read_bytes()).get("stamp") == stamp:
        return 0
    definitions: dict[str, Schema] = json.loads((folder / "_definitions.json").read_bytes())["$defs"]
    missing = [root for root in ROOTS if root not in definitions]
    if missing:
        print(f"core_schemas: {folder} has no {', '.join(missing)}", file=sys.stderr)
        return 1
    reached = {name: _converted(definitions[name]) for name in sorted(_reached(definitions))}
    reached[INT_OR_STRING] = {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    unfinished = TARGET.with_suffix(f".{os.getpid()}.new")
    unfinished.write_text(json.dumps({"stamp": stamp, "definitions": reached}, separators=(",", ":")))
    unfinished.replace(TARGET)
    print(f"core_schemas: {len(reached)} definitions, {TARGET.stat().st_size // 1024} KiB")
    return 0


def _newest() -> Path | None:
    """The folder of the newest version in the distribution."""
    found = importlib.util.find_spec(DISTRIBUTION)
    if found is None or not found.submodule_search_locations:
        return None
    root = Path(found.submodule_search_locations[0]) / "kubernetes-json-schema"
    versions = [
        (tuple(map(int, match.groups())), path) for path in root.glob("v*-local") if (match := _version(path))
    ]
    return max(versions)[1] if versions else None


def _version(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)-local", path.name)


def _reached(definitions: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    open_ends = list(ROOTS)
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found.add(name)
            open_ends.extend(_references(definitions[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _references(item)
    if isinstance(value, dict):
        for name, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if name == "$ref" and isinstance(item, str):
                yield item.rpartition("/")[2]
            else:
                yield from _references(item)


def _converted(schema: Schema, *, top: bool = True) -> Schema:
    """One schema in the form of OpenAPI 3.0."""
    out: Schema = {}
    for name, value in schema.items():
        if name == "properties":
            out[name] = {
                field: _converted(_field(field, inner, top=top), top=False) for field, inner in value.items()
            }
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            out[name] = _converted(value, top=False)  # pyright: ignore[reportUnknownArgumentType]
        elif name in ("oneOf", "anyOf"):
            out[name] = [_converted(choice, top=False) for choice in value]
        elif name == "type":
            out[name] = value if isinstance(value, str) else next(kind for kind in value if kind != "null")
        elif name != "$ref":
            out[name] = value
    return _with_reference(out, schema.get("$ref"))


def _field(name: str, schema: Schema, *, top: bool) -> Schema:
    """`apiVersion` and `kind` of a kind name one value there; an API server leaves them open."""
    if top and name in ("apiVersion", "kind"):
        return {key: value for key, value in schema.items() if key != "enum"}
    return schema


def _with_reference(out: Schema, reference: str | None) -> Schema:
    if reference is None:
        return out
    pointer = {"$ref": f"#/components/schemas/{reference.rpartition('/')[2]}"}
    return {**out, "allOf": [pointer]} if out else pointer


if __name__ == "__main__":
    sys.exit(main())
