"""A proxy becomes the bootstrap file that its Envoy starts with: who it is, whom it asks, and its own ports.

Written as JSON (a few times per pod, never on a hot path).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshwright.compiler.proto import Json
from meshwright.kinds.proxy_config import kept_stats
from meshwright.model.place import CLUSTER
from meshwright.model.proxy import Interception, Proxy, Role
from meshwright.model.settings import MeshSettings

TYPE = "type.googleapis.com/"
HEALTH_PORT, METRICS_PORT = 15021, 15090
# With subordinate uids Envoy is another user than the agent: they meet in the group of the pod's folder, which is
# closed to all others.
ADMIN_MODE = 0o660
SOL_SOCKET, SO_MARK, PROXY_MARK = 1, 36, 1337
ROUTER = "envoy.extensions.filters.http.router.v3.Router"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
KEPT_PREFIXES = (
    "cluster_manager",
    "listener_manager",
    "server",
    "cluster.xds-grpc",
    "wasm",
    "component",
    "istio",
    "reporter=",
)
KEPT_SUFFIXES = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
POD_IP = "{pod_ip}"
KEPT_PATTERN = r"vhost\..*\.route\..*"
# By these a proxy that leaves knows whether clients still hold connections: a sidecar's inbound side where traffic is
# redirected to it, else every listener.
INBOUND_CONNECTIONS = r"listener\.0\.0\.0\.0_15006\.downstream_cx_active"
OPEN_CONNECTIONS = r"listener\.(.*_\d{2,}|.*\.sock)\.downstream_cx_active"
MOST_CONNECTIONS = 2147483647
HISTOGRAMS_INTERVAL = "1s"
"""What histograms say is as old at most: requests are counted by one of them."""

Document = dict[str, Json]

# Envoy's own default grows to 30 s: a proxy would run without its agent long after the agent is back.
RECONNECT: Document = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}


@dataclass(frozen=True, slots=True)
class Sockets:
    """Paths of unix sockets in the pod: the one that serves xDS and SDS, and the proxy's own administration."""

    xds: str
    admin: str


def live_bootstrap(proxy: Proxy, settings: MeshSettings, sockets: Sockets) -> Document:
    """Everything else comes over delta ADS from `sockets.xds`. The admin socket is for owner and group (0660)."""
    return {
        **base(proxy, settings, sockets.admin),
        "static_resources": {
            "listeners": own_listeners(proxy),
            "clusters": [_grpc("xds-grpc", sockets.xds), _grpc("sds-grpc", sockets.xds), _admin(sockets.admin)],
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc", "retry_policy": RECONNECT}}],
            },
            "cds_config": _stream(),
            "lds_config": _stream(),
        },
    }


def base(proxy: Proxy, settings: MeshSettings, admin: str) -> Document:
    """What live and static bootstraps share: all but resources."""
    made: Document = {
        "node": node(proxy, settings),
        "admin": {"address": {"pipe": {"path": admin, "mode": ADMIN_MODE}}},
        "stats_config": {"stats_matcher": _kept_stats(proxy, settings)},
        "stats_flush_interval": HISTOGRAMS_INTERVAL,
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {
                        "re2.max_program_size.error_level": 32768,
                        "envoy.reloadable_features.http_reject_path_with_fragment": False,
                    },
                },
                {"name": "admin", "admin_layer": {}},  # what telemetry sets while the proxy runs
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": TYPE
                        + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": MOST_CONNECTIONS,
                    },
                }
            ]
        },
    }
    if proxy.interception is Interception.MARK:
        made["cluster_manager"] = {
            "upstream_bind_config": {
                "source_address": {"address": "0.0.0.0", "port_value": 0},  # noqa: S104 - any source
                "socket_options": [
                    {"level": SOL_SOCKET, "name": SO_MARK, "int_value": PROXY_MARK, "state": "STATE_PREBIND"}
                ],
            }
        }
    return made


def node(proxy: Proxy, settings: MeshSettings) -> Document:
    """Istio's node: role, address, pod and namespace in the id; for people and tools in the metadata."""
    workload = proxy.workload
    namespace = workload.meta.namespace
    labels = dict(workload.labels.pairs)
    app = labels.get("app") or workload.owner or workload.meta.name
    metadata: Document = {
        "NAME": workload.meta.name,
        "NAMESPACE": namespace,
        "WORKLOAD_NAME": workload.owner or workload.meta.name,
        "SERVICE_ACCOUNT": workload.service_account,
        "CLUSTER_ID": CLUSTER,
        "MESH_ID": settings.trust_domain,
        "INTERCEPTION_MODE": "NONE" if proxy.interception is Interception.NONE else "REDIRECT",
        "INSTANCE_IPS": workload.address,
        "LABELS": dict(sorted(labels.items())),
    }
    made: Document = {
        "id": f"{proxy.role.value}~{workload.address}~{proxy.name}~{namespace}.svc.{settings.cluster_domain}",
        "cluster": f"{app}.{namespace}",
        "metadata": metadata,
    }
    if workload.locality:
        region, zone, sub_zone = (*workload.locality.split("/"), "", "", "")[:3]
        made["locality"] = {"region": region, "zone": zone, "sub_zone": sub_zone}
    return made


def own_listeners(proxy: Proxy) -> list[Document]:
    """Health and metrics: answered by the admin interface, of which nothing else can be reached."""
    bind = proxy.workload.address if proxy.interception is Interception.NONE else "0.0.0.0"  # noqa: S104
    return [
        _listener(bind, HEALTH_PORT, "agent", {"path": "/healthz/ready"}, {"prefix_rewrite": "/ready"}),
        _listener(bind, METRICS_PORT, "stats", {"path": "/stats/prometheus"}, {}),
    ]


def own_clusters(admin: str) -> list[Document]:
    """What `own_listeners` needs."""
    return [_admin(admin)]


def _listener(bind: str, port: int, stat: str, match: Mapping[str, Json], action: Mapping[str, Json]) -> Document:
    route: Document = {"match": match, "route": {"cluster": "prometheus_stats", **action}}
    manager: Document = {
        "@type": TYPE + MANAGER,
        "codec_type": "AUTO",
        "stat_prefix": stat,
        "route_config": {"virtual_hosts": [{"name": "backend", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": TYPE + ROUTER}}],
    }
    return {
        "name": f"{bind}_{port}",
        "address": {"socket_address": {"address": bind, "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _pipe_cluster(name: str, path: str) -> Document:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}],
        },
    }


def _admin(path: str) -> Document:
    return _pipe_cluster("prometheus_stats", path)


def _grpc(name: str, path: str) -> Document:
    limits = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    http2: Document = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
    return {
        **_pipe_cluster(name, path),
        "circuit_breakers": {"thresholds": [{**limits}, {"priority": "HIGH", **limits}]},
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": TYPE + HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": http2},
            }
        },
    }


def _stream() -> Document:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _kept_stats(proxy: Proxy, settings: MeshSettings) -> Document:
    """What Istio keeps, what we need, and what the pod or the mesh asks for beside it."""
    own = kept_stats(proxy.workload.meta.annotations, settings.kept_stats)

    def named(words: tuple[str, ...]) -> Iterator[str]:
        return (word.replace(POD_IP, proxy.workload.address) for word in words)

    redirected = proxy.role is Role.SIDECAR and proxy.interception is not Interception.NONE
    patterns: list[Json] = [
        *({"prefix": one} for one in KEPT_PREFIXES),
        *({"suffix": one} for one in KEPT_SUFFIXES),
        {"safe_regex": {"regex": KEPT_PATTERN}},
        {"safe_regex": {"regex": INBOUND_CONNECTIONS if redirected else OPEN_CONNECTIONS}},
        *({"prefix": one} for one in named(own.prefixes)),
        *({"suffix": one} for one in named(own.suffixes)),
        *({"safe_regex": {"regex": one}} for one in named(own.regexps)),
    ]
    return {"inclusion_list": {"patterns": patterns}}
