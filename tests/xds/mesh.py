"""Small configurations for a real Envoy, made of Envoy's own JSON."""

from collections.abc import Mapping
from typing import Any

from meshwright.envoyapi.pool import class_of_url, parse_json
from meshwright.envoyapi.resource import encode
from meshwright.model.names import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    ROUTES,
    TYPE_PREFIX,
    Namespace,
    ProxyName,
    ResourceName,
    TypeUrl,
    Version,
)
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Published, Resources

ADS: dict[str, Any] = {"resource_api_version": "V3", "ads": {}}
HCM = TYPE_PREFIX + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = TYPE_PREFIX + "envoy.extensions.filters.http.router.v3.Router"
DOWNSTREAM_TLS = TYPE_PREFIX + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
PROXY = ProxyName("web-1.default")
CLASS = ProxyClass(Role.SIDECAR, Namespace("default"), Interception.UID, "1.40.0")


def resource(url: TypeUrl, name: str, body: Mapping[str, Any]) -> EncodedResource:
    message = parse_json(body, class_of_url(url)())
    version, pieces = encode(name, message)
    return EncodedResource(url, ResourceName(name), Version(version), pieces)


def cluster(name: str, connect_timeout: str = "1s", **more: Any) -> EncodedResource:
    body = {
        "name": name,
        "type": "EDS",
        "connect_timeout": connect_timeout,
        "eds_cluster_config": {"eds_config": ADS},
        **more,
    }
    return resource(CLUSTER, name, body)


def endpoints(name: str, *ports: int) -> EncodedResource:
    members = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports
    ]
    return resource(ENDPOINTS, name, {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]})


def listener(name: str, port: int, route: str, **chain: Any) -> EncodedResource:
    manager = {
        "@type": HCM,
        "stat_prefix": name,
        "rds": {"route_config_name": route, "config_source": ADS},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    body = {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}], **chain}],
    }
    return resource(LISTENER, name, body)


def direct(name: str, body: str) -> EncodedResource:
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": body}}}
    return resource(
        ROUTES, name, {"name": name, "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [route]}]}
    )


def routed(name: str, to: str) -> EncodedResource:
    route = {"match": {"prefix": "/"}, "route": {"cluster": to}}
    return resource(
        ROUTES, name, {"name": name, "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [route]}]}
    )


def simple_tls(secret: str) -> dict[str, Any]:
    """The transport socket of a gateway's port, with a credential that comes over ADS."""
    context = {
        "@type": DOWNSTREAM_TLS,
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": secret, "sds_config": ADS}]},
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def mutual_tls() -> dict[str, Any]:
    """The transport socket of a filter chain as sidecars have it."""
    service = {"envoy_grpc": {"cluster_name": "sds-grpc"}}
    source = {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [service]}
    sds = {"resource_api_version": "V3", "api_config_source": source}
    context = {
        "@type": DOWNSTREAM_TLS,
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": sds}],
            "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": sds},
        },
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def resources(*items: EncodedResource) -> Resources:
    sorted_out: dict[TypeUrl, dict[ResourceName, EncodedResource]] = {
        url: {} for url in (CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES)
    }
    for item in items:
        sorted_out[item.type_url][item.name] = item
    return sorted_out


def published(*items: EncodedResource, proxies: tuple[ProxyName, ...] = (PROXY,)) -> Published:
    return Published(dict.fromkeys(proxies, CLASS), {CLASS: resources(*items)}, {CLASS: ()})
