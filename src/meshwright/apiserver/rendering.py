"""Stored objects become what a client asked for: whole, as a table, or their metadata alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from meshwright.apiserver.columns import columns_of
from meshwright.apiserver.negotiation import Form, Wanted
from meshwright.apiserver.options import Target
from meshwright.apiserver.resources import ApiResource
from meshwright.apiserver.values import Json
from meshwright.store.names import Revision
from meshwright.store.query import Page
from meshwright.store.version import Version

_HEADS = ("None", "Metadata", "Object")


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders objects of one resource, in one version of its API. `include` is what rows of tables carry."""

    row: ApiResource
    version: str
    wanted: Wanted
    include: str = "Metadata"

    @classmethod
    def of(cls, target: Target, wanted: Wanted, include: str | None = None) -> "Renderer":
        return cls(target.row, target.version, wanted, include if include in _HEADS else "Metadata")

    @property
    def _api_version(self) -> str:
        return self.row.api_version(self.version)

    def whole(self, version: Version) -> bytes:
        """The object as JSON text, in the served version; without decoding it, as they are kept in a fixed form."""
        text = version.json()
        kept = b'{"apiVersion":"%s",' % self.row.api_version(self.row.storage).encode()
        if text.startswith(kept) and b'"kind":' in text:
            if self.version == self.row.storage:
                return text
            return b'{"apiVersion":"%s",' % self._api_version.encode() + text[len(kept) :]
        return msgspec.json.encode(self.value(version))

    def value(self, version: Version) -> Json:
        """The object as a value in the served version."""
        return {**version.value(), "apiVersion": self._api_version, "kind": self.row.kind}

    def one(self, version: Version) -> bytes:
        """One object in the form that is wanted."""
        match self.wanted.form:
            case Form.TABLE:
                return msgspec.json.encode(self.table([version], {"resourceVersion": str(version.revision)}))
            case Form.METADATA:
                return msgspec.json.encode(self._metadata(version))
            case _:
                return self.whole(version)

    def event(self, version: Version, *, first: bool) -> bytes:
        """One object of a watch; tables say only once what their columns are."""
        if self.wanted.form is Form.TABLE:
            metadata = {"resourceVersion": str(version.revision)}
            return msgspec.json.encode(self.table([version], metadata, columns=first))
        if self.wanted.form in (Form.METADATA, Form.METADATA_LIST):
            return msgspec.json.encode(self._metadata(version))
        return self.whole(version)

    def bookmark(self, revision: Revision, *, initial_end: bool) -> Json:
        """How far a watch is; `initial_end` marks that everything there was has been sent."""
        metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.wanted.form is Form.TABLE:
            return self.table([], metadata, columns=False)
        if self.wanted.form in (Form.METADATA, Form.METADATA_LIST):
            return {"kind": "PartialObjectMetadata", "apiVersion": self._meta_version, "metadata": metadata}
        return {"kind": self.row.kind, "apiVersion": self._api_version, "metadata": metadata}

    def page(self, page: Page) -> bytes:
        """One page of a list."""
        metadata: Json = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
            if page.remaining is not None:
                metadata["remainingItemCount"] = page.remaining
        if self.wanted.form is Form.TABLE:
            return msgspec.json.encode(self.table(page.items, metadata))
        if self.wanted.form in (Form.METADATA, Form.METADATA_LIST):
            items = [self._metadata(version) for version in page.items]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": self._meta_version, "metadata": metadata}
            return msgspec.json.encode({**head, "items": items})
        return self.list_of(page.items, metadata)

    def list_of(self, items: Iterable[Version], metadata: Json) -> bytes:
        head = {"kind": f"{self.row.kind}List", "apiVersion": self._api_version, "metadata": metadata}
        return b"".join((msgspec.json.encode(head)[:-1], b',"items":[', b",".join(map(self.whole, items)), b"]}"))

    @property
    def _meta_version(self) -> str:
        return f"meta.k8s.io/{self.wanted.version or 'v1'}"

    def _metadata(self, version: Version) -> Json:
        metadata = version.value()["metadata"]
        return {"kind": "PartialObjectMetadata", "apiVersion": self._meta_version, "metadata": metadata}

    def table(self, items: Iterable[Version], metadata: Json, *, columns: bool = True) -> Json:
        """Rows for people."""
        made = table_of(self.row.kind, map(self.value, items), metadata, self.wanted, self.include)
        return made if columns else {**made, "columnDefinitions": []}


def table_of(
    kind: str, values: Iterable[Json], metadata: Json, wanted: Wanted, include: str | None = "Metadata"
) -> Json:
    """The Table of some values of a kind; `include` is what its rows carry: None, Metadata or Object."""
    now = datetime.now(UTC)
    shown = columns_of(kind)
    version = f"meta.k8s.io/{wanted.version or 'v1'}"
    rows: list[Json] = []
    for value in values:
        entry: Json = {"cells": [column.cell(value, now) for column in shown]}
        if include == "Object":
            entry["object"] = value
        elif include != "None":
            head = {"kind": "PartialObjectMetadata", "apiVersion": version}
            entry["object"] = {**head, "metadata": value["metadata"]}
        rows.append(entry)
    definitions = [column.definition() for column in shown]
    head = {"kind": "Table", "apiVersion": version, "metadata": metadata}
    return {**head, "columnDefinitions": definitions, "rows": rows}
