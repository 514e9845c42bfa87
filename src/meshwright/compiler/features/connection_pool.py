"""Limits and timers of connections become a cluster's circuit breakers and protocol options."""

from meshwright.compiler.proto import duration, pack, uint
from meshwright.envoyapi.envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions
from meshwright.envoyapi.envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions as CommonOptions
from meshwright.envoyapi.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from meshwright.model.connection_pool import ConnectionPool, H2Upgrade
from meshwright.model.names import Milliseconds
from meshwright.model.protocol import Protocol

UNLIMITED = 4294967295
NOT_SET = ConnectionPool()
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def apply(cluster: Cluster, pool: ConnectionPool | None, connect_timeout: Milliseconds) -> None:
    """Circuit breakers (unlimited unless set), connect timeout and TCP keepalive."""
    chosen = pool or NOT_SET
    timeout = chosen.connect_timeout if chosen.connect_timeout is not None else connect_timeout
    cluster.connect_timeout.CopyFrom(duration(timeout))
    cluster.circuit_breakers.thresholds.append(
        CircuitBreakers.Thresholds(
            max_connections=uint(chosen.max_connections or UNLIMITED),
            max_pending_requests=uint(chosen.http1_max_pending_requests or UNLIMITED),
            max_requests=uint(chosen.http2_max_requests or UNLIMITED),
            max_retries=uint(chosen.max_retries or UNLIMITED),
        )
    )
    if chosen.keepalive is not None:
        _keep_alive(cluster, chosen)


def _keep_alive(cluster: Cluster, pool: ConnectionPool) -> None:
    keepalive = pool.keepalive
    assert keepalive is not None
    made = cluster.upstream_connection_options.tcp_keepalive
    made.SetInParent()
    if keepalive.probes:
        made.keepalive_probes.CopyFrom(uint(keepalive.probes))
    if keepalive.time:
        made.keepalive_time.CopyFrom(uint(keepalive.time // 1000))
    if keepalive.interval:
        made.keepalive_interval.CopyFrom(uint(keepalive.interval // 1000))


def apply_protocol(cluster: Cluster, protocol: Protocol, pool: ConnectionPool | None) -> None:
    """What is spoken upstream: HTTP/2 for its ports and where the user upgrades, the client's own version for
    detected ports and where the user asks for it, else HTTP/1.1.
    """
    chosen = pool or NOT_SET
    made = HttpProtocolOptions()
    common = _common(chosen)
    if common.ByteSize():
        made.common_http_protocol_options.CopyFrom(common)
    if is_http2(protocol, pool):
        streams = made.explicit_http_config.http2_protocol_options
        streams.SetInParent()
        _limit_streams(streams, chosen)
    elif chosen.use_client_protocol or protocol is Protocol.AUTO:
        made.use_downstream_protocol_config.http_protocol_options.SetInParent()
        streams = made.use_downstream_protocol_config.http2_protocol_options
        streams.SetInParent()
        _limit_streams(streams, chosen)
    elif not common.ByteSize():
        return  # Envoy's default: HTTP/1.1
    else:
        made.explicit_http_config.http_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(made))


def is_http2(protocol: Protocol, pool: ConnectionPool | None) -> bool:
    """Whether the cluster speaks HTTP/2 whatever the client speaks."""
    return protocol.is_http2 or (pool is not None and pool.h2_upgrade is H2Upgrade.UPGRADE)


def _common(pool: ConnectionPool) -> CommonOptions:
    made = CommonOptions()
    idle = pool.http_idle_timeout if pool.http_idle_timeout is not None else pool.tcp_idle_timeout
    if idle is not None:
        made.idle_timeout.CopyFrom(duration(idle))
    if pool.max_connection_duration is not None:
        made.max_connection_duration.CopyFrom(duration(pool.max_connection_duration))
    if pool.max_requests_per_connection:
        made.max_requests_per_connection.CopyFrom(uint(pool.max_requests_per_connection))
    return made


def _limit_streams(options: Http2ProtocolOptions, pool: ConnectionPool) -> None:
    if pool.max_concurrent_streams:
        options.max_concurrent_streams.CopyFrom(uint(pool.max_concurrent_streams))
