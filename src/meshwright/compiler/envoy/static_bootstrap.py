"""What one proxy gets over the stream becomes one static bootstrap: for `envoy --mode validate`, and to run alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from meshwright.compiler.envoy.bootstrap import base, own_clusters, own_listeners
from meshwright.compiler.proto import Json
from meshwright.envoyapi.pool import class_of_url, to_json_dict
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, ResourceName, TypeUrl
from meshwright.model.proxy import Proxy
from meshwright.model.published import Published, Resources
from meshwright.model.settings import MeshSettings

TYPES = (("listeners", LISTENER), ("clusters", CLUSTER), ("routes", ROUTES), ("endpoints", ENDPOINTS))


@dataclass(frozen=True, slots=True)
class StaticSecret:
    """PEM texts under one SDS name: a certificate chain with its key, or the CA by which others are checked."""

    certificate_chain: str = ""
    private_key: str = ""
    trusted_ca: str = ""

    def __repr__(self) -> str:
        return "StaticSecret(...)"


def resources_json(published: Published, proxy: ProxyName) -> dict[str, Any]:
    """All resources of a proxy in Envoy's proto JSON with original field names, sorted by name; `secrets` are
    names only. Raises KeyError for an unknown proxy.
    """
    proxy_class = published.proxies[proxy]
    resources = published.classes[proxy_class]
    made: dict[str, Any] = {key: list(_messages(resources, url).values()) for key, url in TYPES}
    made["secrets"] = list(published.secrets[proxy_class])
    return made


def static_bootstrap(
    published: Published,
    proxy: Proxy,
    settings: MeshSettings,
    admin: str,
    secrets: Mapping[ResourceName, StaticSecret],
) -> dict[str, Any]:
    """Routes, endpoints and secrets are inlined. `secrets` must have every name of `Published.secrets`."""
    resources = published.classes[published.proxies[proxy.name]]
    routes = _messages(resources, ROUTES)
    endpoints = _messages(resources, ENDPOINTS)
    listeners = [_inlined(one, routes) for one in _messages(resources, LISTENER).values()]
    clusters = [_inlined(_with_members(one, endpoints), routes) for one in _messages(resources, CLUSTER).values()]
    return {
        **base(proxy, settings, admin),
        "static_resources": {
            "listeners": [*own_listeners(proxy), *listeners],
            "clusters": [*own_clusters(admin), *clusters],
            "secrets": [_secret(name, secrets[name]) for name in sorted(secrets)],
        },
    }


def _messages(resources: Resources, url: TypeUrl) -> dict[str, Any]:
    kind = class_of_url(url)
    found = resources.get(url, {})
    return {name: to_json_dict(kind.FromString(found[name].value)) for name in sorted(found)}


def _with_members(cluster: dict[str, Any], endpoints: Mapping[str, Any]) -> dict[str, Any]:
    if cluster.get("type") != "EDS":
        return cluster
    members = endpoints.get(cluster["name"], {"cluster_name": cluster["name"]})
    rest = {key: value for key, value in cluster.items() if key != "eds_cluster_config"}
    return {**rest, "type": "STATIC", "load_assignment": members}


def _inlined(value: Any, routes: Mapping[str, Any]) -> Any:
    """References to the stream become what they refer to; secrets are then looked up among the static ones."""
    if isinstance(value, list):
        return [_inlined(item, routes) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    value = cast("dict[str, Any]", value)
    made = {key: _inlined(item, routes) for key, item in value.items() if key not in ("rds", "sds_config")}
    if "rds" in value:
        name = value["rds"]["route_config_name"]
        made["route_config"] = routes.get(name, {"name": name})
    return made


def _secret(name: str, secret: StaticSecret) -> dict[str, Json]:
    if secret.trusted_ca:
        return {"name": name, "validation_context": {"trusted_ca": {"inline_string": secret.trusted_ca}}}
    return {
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": secret.certificate_chain},
            "private_key": {"inline_string": secret.private_key},
        },
    }
