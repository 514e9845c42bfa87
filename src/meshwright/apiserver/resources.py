"""The resources that the API serves: the kinds that the mesh reads, and those that it only keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from meshwright.kinds.schema import Object
from meshwright.kinds.table import KINDS, Kind
from meshwright.store.names import Resource

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")
_CORE_PACKAGES = {"": "io.k8s.api.core", "apps": "io.k8s.api.apps", "discovery.k8s.io": "io.k8s.api.discovery"}
_WITHOUT_STATUS = frozenset({
    "ConfigMap", "ControllerRevision", "Endpoints", "EndpointSlice", "Event", "Secret", "ServiceAccount",
})  # fmt: skip
_SCALED = frozenset({"Deployment", "ReplicaSet", "StatefulSet"})


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One resource. `versions` are all served, the preferred one first, and are one object; `storage` is how it is
    kept. `shape` is our own table of its fields, None where Kubernetes' definition is used.
    """

    group: str
    versions: tuple[str, ...]
    storage: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    shape: Object | None = None
    subresources: tuple[str, ...] = ()

    @property
    def resource(self) -> Resource:
        """As the store calls it."""
        return Resource(self.group, self.plural)

    @property
    def is_core(self) -> bool:
        """Whether Kubernetes itself defines it: then lists may be merged by key."""
        return self.group in _CORE_PACKAGES

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version

    def definition(self, version: str) -> str:
        """The name of its schema in the OpenAPI documents."""
        package = _CORE_PACKAGES.get(self.group) or ".".join(reversed(self.group.split(".")))
        return f"{package}.{version}.{self.kind}"

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources


_ONLY_KEPT: tuple[ApiResource, ...] = (
    ApiResource("apps", ("v1",), "v1", "ControllerRevision", "controllerrevisions", "controllerrevision"),
    ApiResource("apps", ("v1",), "v1", "ReplicaSet", "replicasets", "replicaset", ("rs",), ("all",)),
    ApiResource("", ("v1",), "v1", "Endpoints", "endpoints", "endpoints", ("ep",)),
    ApiResource("discovery.k8s.io", ("v1",), "v1", "EndpointSlice", "endpointslices", "endpointslice"),
    ApiResource("", ("v1",), "v1", "Event", "events", "event", ("ev",)),
    ApiResource("", ("v1",), "v1", "Node", "nodes", "node", ("no",), namespaced=False),
)
"""Kinds that clients and controllers use and that change nothing in a proxy. A row of KINDS replaces one of these."""


def _of_kind(kind: Kind) -> ApiResource:
    row = ApiResource(
        group=kind.group,
        versions=tuple(sorted(kind.versions, key=_maturity)),
        storage=kind.storage,
        kind=kind.kind,
        plural=kind.plural,
        singular=kind.singular,
        short_names=kind.short_names,
        categories=kind.categories,
        namespaced=kind.namespaced,
        shape=None if kind.group in _CORE_PACKAGES else kind.schema,
    )
    return _with_subresources(row)


def _with_subresources(row: ApiResource) -> ApiResource:
    status = () if row.kind in _WITHOUT_STATUS else ("status",)
    scale = ("scale",) if row.kind in _SCALED else ()
    return ApiResource(
        *(getattr(row, name) for name in ApiResource.__slots__ if name != "subresources"), subresources=scale + status
    )


def _maturity(version: str) -> tuple[int, str]:
    """Sorts v1 before v1beta1 before v1alpha3, as kubectl does."""
    return (2 if "alpha" in version else 1 if "beta" in version else 0), version


class Catalogue:
    """All resources, by every name that a request can give them."""

    def __init__(self, rows: Iterable[ApiResource]) -> None:
        self.rows = tuple(rows)
        self._by_path = {(row.group, version, row.plural): row for row in self.rows for version in row.versions}
        self._by_resource = {row.resource: row for row in self.rows}

    def find(self, group: str, version: str, plural: str) -> ApiResource | None:
        return self._by_path.get((group, version, plural))

    def of(self, resource: Resource) -> ApiResource | None:
        return self._by_resource.get(resource)

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The versions of every group, the preferred one first; the core group is ""."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            found.setdefault(row.group, set()).update(row.versions)
        return {group: tuple(sorted(versions, key=_maturity)) for group, versions in found.items()}

    def in_version(self, group: str, version: str) -> tuple[ApiResource, ...]:
        return tuple(row for row in self.rows if row.group == group and version in row.versions)


def standard_catalogue() -> Catalogue:
    """The kinds of the table, and the ones that are only kept."""
    read = {(kind.group, kind.kind): _of_kind(kind) for kind in KINDS}
    kept = [_with_subresources(row) for row in _ONLY_KEPT if (row.group, row.kind) not in read]
    return Catalogue((*read.values(), *kept))
