"""Schemas of all kinds, in the form of OpenAPI 3.0, and the questions that writing objects asks of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from meshwright.apiserver.own_schemas import own_schema
from meshwright.apiserver.resources import ApiResource
from meshwright.apiserver.values import Json, is_list, is_map

SCALE = "io.k8s.api.autoscaling.v1.Scale"
REFERENCE = "#/components/schemas/"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
_KEY_DEFAULTS = {"protocol": "TCP"}  # the one key of a list that may be left out


class SchemasMissingError(Exception):
    """The build product is not there; the text says what makes it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of the values at one place. An empty `node` says nothing: anything may stand there."""

    node: Json
    definitions: Mapping[str, Json]

    def _at(self, node: object) -> "Shape":
        return Shape(_resolved(node if is_map(node) else {}, self.definitions), self.definitions)

    @property
    def fields(self) -> Json:
        """The declared fields of an object."""
        return self.node.get("properties", {})

    @property
    def is_open(self) -> bool:
        """Whether undeclared fields are as good as declared ones."""
        return "properties" not in self.node or bool(self.node.get(PRESERVE))

    @property
    def is_atomic(self) -> bool:
        """Whether one writer owns the map as a whole."""
        return self.node.get("x-kubernetes-map-type") == "atomic"

    @property
    def merge_keys(self) -> tuple[str, ...]:
        """The fields that tell the items of a list apart; empty where it is not merged by keys."""
        if self.node.get("x-kubernetes-list-type") != "map":
            return ()
        return tuple(self.node.get("x-kubernetes-list-map-keys", ()))

    @property
    def is_set(self) -> bool:
        """Whether a list of plain values is a set."""
        return self.node.get("x-kubernetes-list-type") == "set"

    @property
    def patch_key(self) -> str:
        """The field by which a strategic merge patch finds an item."""
        return self.node.get("x-kubernetes-patch-merge-key", "")

    @property
    def patch_strategies(self) -> frozenset[str]:
        return frozenset(self.node.get("x-kubernetes-patch-strategy", "").split(","))

    def field(self, name: str) -> "Shape":
        """The shape of a member of an object."""
        declared = self.fields.get(name)
        return self._at(self.node.get("additionalProperties") if declared is None else declared)

    @property
    def item(self) -> "Shape":
        """The shape of the items of a list."""
        return self._at(self.node.get("items"))

    def key_of(self, item: object) -> Json | None:
        """The keys of an item of a list with `merge_keys`; None where one is missing."""
        if not is_map(item):
            return None
        found: Json = {}
        for name in self.merge_keys:
            value = item.get(name, _KEY_DEFAULTS.get(name))
            if value is None or is_map(value) or is_list(value):
                return None
            found[name] = value
        return found


def _resolved(node: Json, definitions: Mapping[str, Json]) -> Json:
    """The schema that a reference leads to, with what the reference adds to it."""
    while True:
        wrapped: Any = node.get("allOf")
        pointer = node.get("$ref") or (wrapped[0].get("$ref") if wrapped else None)
        if pointer is None:
            return node
        target = definitions.get(pointer.removeprefix(REFERENCE), {})
        added = {name: value for name, value in node.items() if name.startswith("x-")}
        node = {**target, **added}


class Schemas:
    """All definitions, by name."""

    def __init__(self, definitions: Mapping[str, Json], rows: Iterable[ApiResource]) -> None:
        own = {
            row.definition(version): own_schema(row, version)
            for row in rows
            if row.shape is not None
            for version in row.versions
        }
        self.definitions: Mapping[str, Json] = {**definitions, **own}

    def shape(self, row: ApiResource) -> Shape:
        """The shape of whole objects of a resource."""
        return self.named(row.definition(row.storage))

    def named(self, name: str) -> Shape:
        return Shape(_resolved(self.definitions.get(name, {}), self.definitions), self.definitions)


def load(rows: Iterable[ApiResource]) -> Schemas:
    """Kubernetes' schemas as `make setup` left them, and our own. Raises SchemasMissingError."""
    file = resources.files("meshwright.apiserver") / "schemas" / "core.json"
    try:
        definitions = json.loads(file.read_bytes())["definitions"]
    except (OSError, ValueError, KeyError) as problem:
        raise SchemasMissingError(
            f"the schemas of Kubernetes' kinds cannot be read ({problem}): run `make setup`"
        ) from problem
    return Schemas(definitions, rows)
