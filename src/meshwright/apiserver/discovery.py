"""What a client asks first: which groups, versions and resources there are, one by one or all in one answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshwright.apiserver.resources import SUBRESOURCE_VERBS, VERBS, ApiResource, Catalogue
from meshwright.apiserver.values import Json

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SCALE_KIND = ("autoscaling", "v1", "Scale")


@dataclass(frozen=True, slots=True)
class Review:
    """A question that is asked by creating an object which is never kept."""

    group: str
    plural: str
    kind: str
    version: str = "v1"


REVIEWS = (
    Review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    Review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    Review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    Review("authentication.k8s.io", "tokenreviews", "TokenReview"),
)


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of objects with a path of its own that this server has, beside `status` and `scale`."""

    resource: str  # as in `pods`, of the core group
    name: str
    kind: str
    verbs: tuple[str, ...]


def _groups(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    named = {group: versions for group, versions in catalogue.groups.items() if group}
    return {**named, **{review.group: (review.version,) for review in REVIEWS}}


def paths(catalogue: Catalogue) -> Json:
    """`/`: what can be asked for beside objects."""
    found = ["/api", "/api/v1", "/apis"]
    for group, versions in _groups(catalogue).items():
        found += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
    found += ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    return {"paths": sorted(found)}


def core_versions() -> Json:
    """`/api`."""
    return {
        "kind": "APIVersions",
        "apiVersion": "v1",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    }


def group_list(catalogue: Catalogue) -> Json:
    """`/apis`."""
    items = [_group(name, versions) for name, versions in _groups(catalogue).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": items}


def one_group(catalogue: Catalogue, name: str) -> Json | None:
    """`/apis/GROUP`; None where there is none."""
    versions = _groups(catalogue).get(name)
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: tuple[str, ...]) -> Json:
    items = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": items, "preferredVersion": items[0]}


def resource_list(catalogue: Catalogue, extra: Iterable[Subresource], group: str, version: str) -> Json | None:
    """`/api/v1` and `/apis/GROUP/VERSION`; None where there is no such version."""
    if version not in (("v1",) if not group else _groups(catalogue).get(group, ())):
        return None
    items = [item for row in catalogue.in_version(group, version) for item in _entries(row, extra)]
    items += [
        {"name": review.plural, "singularName": "", "namespaced": False, "kind": review.kind, "verbs": ["create"]}
        for review in REVIEWS
        if review.group == group
    ]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": items}


def _entries(row: ApiResource, extra: Iterable[Subresource]) -> list[Json]:
    main: Json = {
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(VERBS),
    }
    if row.short_names:
        main["shortNames"] = list(row.short_names)
    if row.categories:
        main["categories"] = list(row.categories)
    parts = [_part(row, name) for name in row.subresources]
    parts += [
        {
            "name": f"{row.plural}/{part.name}",
            "singularName": "",
            "namespaced": row.namespaced,
            "kind": part.kind,
            "verbs": list(part.verbs),
        }
        for part in _of(row, extra)
    ]
    return [main, *parts]


def _part(row: ApiResource, name: str) -> Json:
    entry: Json = {"name": f"{row.plural}/{name}", "singularName": "", "namespaced": row.namespaced}
    if name == "scale":
        group, version, kind = SCALE_KIND
        entry.update(group=group, version=version, kind=kind)
    else:
        entry["kind"] = row.kind
    return {**entry, "verbs": list(SUBRESOURCE_VERBS)}


def _of(row: ApiResource, extra: Iterable[Subresource]) -> list[Subresource]:
    return [part for part in extra if not row.group and part.resource == row.plural]


def aggregated(catalogue: Catalogue, extra: tuple[Subresource, ...], *, core: bool) -> Json:
    """The answer to `/api` (core) or `/apis` for clients that want everything at once."""
    groups = {"": ("v1",)} if core else _groups(catalogue)
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": _discoveries(catalogue, extra, group, version),
                }
                for version in versions
            ],
        }
        for group, versions in groups.items()
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _discoveries(catalogue: Catalogue, extra: tuple[Subresource, ...], group: str, version: str) -> list[Json]:
    found = [_discovery(row, extra, version) for row in catalogue.in_version(group, version)]
    return found + [
        {
            "resource": review.plural,
            "responseKind": {"group": group, "version": version, "kind": review.kind},
            "scope": "Cluster",
            "singularResource": "",
            "verbs": ["create"],
        }
        for review in REVIEWS
        if review.group == group
    ]


def _discovery(row: ApiResource, extra: tuple[Subresource, ...], version: str) -> Json:
    own = {"group": row.group, "version": version, "kind": row.kind}
    scale = dict(zip(("group", "version", "kind"), SCALE_KIND, strict=True))
    parts: list[Json] = [
        {
            "subresource": name,
            "responseKind": scale if name == "scale" else own,
            "verbs": list(SUBRESOURCE_VERBS),
        }
        for name in row.subresources
    ]
    parts += [
        {"subresource": part.name, "responseKind": {**own, "kind": part.kind}, "verbs": list(part.verbs)}
        for part in _of(row, extra)
    ]
    entry: Json = {
        "resource": row.plural,
        "responseKind": own,
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(VERBS),
        "shortNames": list(row.short_names),
        "categories": list(row.categories),
        "subresources": parts,
    }
    return {name: value for name, value in entry.items() if value != []}
