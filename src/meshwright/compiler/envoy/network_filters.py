"""The two network filters that end every filter chain: HTTP connection manager and TCP proxy."""

from collections.abc import Iterable

from meshwright.compiler.chain import Direction, http_filters
from meshwright.compiler.envoy.access_log import logs, stream_logs
from meshwright.compiler.features import mutual_tls
from meshwright.compiler.features.metrics import connections, messages, requests
from meshwright.compiler.features.metrics.requests import Side
from meshwright.compiler.proto import ads, duration, flag, pack
from meshwright.envoyapi.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import Filter
from meshwright.envoyapi.envoy.extensions.filters.common.set_filter_state.v3.value_pb2 import FilterStateValue
from meshwright.envoyapi.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpConnectionManager,
    Rds,
)
from meshwright.envoyapi.envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2 import Config
from meshwright.envoyapi.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from meshwright.envoyapi.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from meshwright.model.names import Milliseconds, ResourceName
from meshwright.model.settings import MeshSettings, OutboundMode

SERVER = "istio-envoy"
EARLY_BYTES = 65_536
"""What a client may have sent before the application is connected; then it waits."""
ALPN_KEY = "envoy.network.application_protocols"
SIDES = {
    Direction.INBOUND: Side.DESTINATION,
    Direction.OUTBOUND: Side.SOURCE,
    Direction.GATEWAY: Side.GATEWAY,
}


def http_manager(
    direction: Direction, stat_prefix: str, routes: ResourceName, settings: MeshSettings, *, grpc: bool = True
) -> Filter:
    """HTTP whose routes are asked for by name. `grpc`: calls of gRPC may come, whose messages are counted."""
    manager = HttpConnectionManager(
        stat_prefix=stat_prefix,
        rds=Rds(route_config_name=routes, config_source=ads(wait=False)),
        http_filters=http_filters(direction, counted=settings.metrics and grpc),
        access_log=_request_logs(direction, settings, routes, grpc=grpc),
        use_remote_address=flag(direction is Direction.GATEWAY),
        normalize_path=flag(value=True),
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        stream_idle_timeout=duration(Milliseconds(0)),
    )
    identify(manager, direction)
    return Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))


def identify(manager: HttpConnectionManager, direction: Direction) -> None:
    """What is told of the client's certificate, and as whom the proxy answers, as in Istio."""
    match direction:
        case Direction.OUTBOUND:
            return
        case Direction.INBOUND:
            manager.forward_client_cert_details = HttpConnectionManager.APPEND_FORWARD
        case Direction.GATEWAY:
            manager.forward_client_cert_details = HttpConnectionManager.SANITIZE_SET
            manager.set_current_client_cert_details.cert = True
    manager.server_name = SERVER
    manager.set_current_client_cert_details.subject.value = True
    manager.set_current_client_cert_details.uri = True
    manager.set_current_client_cert_details.dns = True


def tcp_proxy(cluster: ResourceName, settings: MeshSettings, *, direction: Direction = Direction.OUTBOUND) -> Filter:
    """Connections forwarded to one cluster."""
    return _tcp(TcpProxy(stat_prefix=cluster, cluster=cluster), settings, direction)


def weighted_tcp_proxy(
    stat_prefix: str, clusters: Iterable[tuple[ResourceName, int]], settings: MeshSettings
) -> Filter:
    """Connections shared out among clusters by weight."""
    shares = [TcpProxy.WeightedCluster.ClusterWeight(name=name, weight=weight) for name, weight in clusters]
    if len(shares) == 1:
        return tcp_proxy(ResourceName(shares[0].name), settings)
    proxy = TcpProxy(
        stat_prefix=stat_prefix,
        weighted_clusters=TcpProxy.WeightedCluster(clusters=shares),
    )
    return _tcp(proxy, settings, Direction.OUTBOUND)


def _request_logs(
    direction: Direction, settings: MeshSettings, routes: ResourceName, *, grpc: bool
) -> tuple[AccessLog, ...]:
    """Inbound routes have the name of the only cluster that they lead to."""
    side = SIDES[direction]
    cluster = routes if direction is Direction.INBOUND else ""
    if not settings.metrics:
        return logs(settings)
    refusing = side is Side.SOURCE and settings.outbound_mode is OutboundMode.REGISTRY_ONLY
    counted = requests.request_metrics(side, cluster, refusing=refusing)
    called = messages.message_metrics(side, long=settings.records) if grpc else ()
    recorded = requests.request_records(side) if settings.records else ()
    return (*logs(settings), *counted, *called, *recorded)


def _tcp(proxy: TcpProxy, settings: MeshSettings, direction: Direction) -> Filter:
    """With metrics a connection is logged several times, of which the file takes the end. A server's proxy then waits
    for the handshake before it calls the application: who calls must be known when the connection counts as opened.
    """
    if settings.metrics:
        side = SIDES[direction]
        proxy.access_log.extend(stream_logs(settings))
        connections.watch(proxy, side, long=settings.records)
        if settings.records:
            proxy.access_log.extend(connections.connection_records(side))
        if direction is Direction.INBOUND:
            proxy.upstream_connect_mode = tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE
            proxy.max_early_data_bytes.value = EARLY_BYTES
    else:
        proxy.access_log.extend(logs(settings))
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))


def as_stream() -> Filter:
    """Say to the other side that this connection of a detected port turned out not to be HTTP: the cluster's own
    list says HTTP, and the server chooses its chain by it.
    """
    value = FilterStateValue(object_key=ALPN_KEY)
    value.format_string.text_format_source.inline_string = ",".join(mutual_tls.CLIENT_STREAM)
    config = Config(on_new_connection=[value])
    return Filter(name="envoy.filters.network.set_filter_state", typed_config=pack(config))
