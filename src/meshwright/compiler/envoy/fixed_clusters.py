"""Clusters that every proxy of a role has, and the inbound ones: towards the application beside the proxy."""

from meshwright.compiler.built import Built
from meshwright.compiler.features import connection_pool
from meshwright.compiler.names import BLACK_HOLE, INBOUND_PASSTHROUGH, PASSTHROUGH, inbound_cluster
from meshwright.compiler.proto import address, duration
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.address_pb2 import SocketAddress
from meshwright.envoyapi.envoy.config.core.v3.socket_option_pb2 import SocketOption
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.model.connection_pool import ConnectionPool
from meshwright.model.names import CLUSTER, Milliseconds, PortNumber, ResourceName
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, ProxyClass, Role, application_address
from meshwright.model.settings import MeshSettings

INBOUND_SOURCE = "127.0.0.6"
IDLE = ConnectionPool(http_idle_timeout=Milliseconds(300_000))
# Applications close idle connections after 2 seconds (gunicorn) and more; a request that meets that is lost, and may
# not be sent again. So the proxy is always first: a new connection to the application beside it costs nothing.
OWN_IDLE = ConnectionPool(http_idle_timeout=Milliseconds(1_000))
CLEANUP = Milliseconds(60_000)
SOL_SOCKET, SO_MARK, PROXY_MARK = 1, 36, 1337


def fixed_clusters(proxy_class: ProxyClass, settings: MeshSettings) -> tuple[Built, ...]:
    """Black hole for all; pass-through for sidecars, outbound and inbound; the inbound cluster of each port."""
    black_hole = Cluster(name=BLACK_HOLE, alt_stat_name=f"{BLACK_HOLE};", type=Cluster.STATIC)
    black_hole.connect_timeout.CopyFrom(duration(settings.connect_timeout))
    made = [Built(CLUSTER, BLACK_HOLE, black_hole)]
    if proxy_class.role is Role.SIDECAR:
        made.append(_passthrough(PASSTHROUGH, settings))
        made += (_inbound(port.port, port.protocol, proxy_class, settings) for port in proxy_class.inbound)
        if proxy_class.interception is not Interception.NONE:
            made.append(_passthrough(INBOUND_PASSTHROUGH, settings, proxy_class))
    return tuple(made)


def mark_option() -> SocketOption:
    """SO_MARK 1337: how the proxy's own traffic is told apart where there is only one uid."""
    return SocketOption(level=SOL_SOCKET, name=SO_MARK, int_value=PROXY_MARK, state=SocketOption.STATE_PREBIND)


def _original(name: ResourceName, settings: MeshSettings) -> Cluster:
    cluster = Cluster(
        name=name,
        alt_stat_name=f"{name};",
        type=Cluster.ORIGINAL_DST,
        lb_policy=Cluster.CLUSTER_PROVIDED,
        cleanup_interval=duration(CLEANUP),
    )
    connection_pool.apply(cluster, None, settings.connect_timeout)
    return cluster


def _passthrough(name: ResourceName, settings: MeshSettings, inward: ProxyClass | None = None) -> Built:
    cluster = _original(name, settings)
    connection_pool.apply_protocol(cluster, Protocol.AUTO, IDLE if inward is None else OWN_IDLE)
    if inward is not None:
        _from_inside(cluster, inward)
    return Built(CLUSTER, name, cluster)


def _inbound(port: PortNumber, protocol: Protocol, proxy_class: ProxyClass, settings: MeshSettings) -> Built:
    name = inbound_cluster(port)
    cluster = _original(name, settings)
    connection_pool.apply_protocol(cluster, protocol, OWN_IDLE if _may_be_http(protocol) else None)
    if proxy_class.address:
        _to_application(cluster, port, proxy_class)
    else:
        _from_inside(cluster, proxy_class)
    return Built(CLUSTER, name, cluster)


def _may_be_http(protocol: Protocol) -> bool:
    return protocol.is_http or protocol is Protocol.AUTO


def _from_inside(cluster: Cluster, proxy_class: ProxyClass) -> None:
    """The source address by which the interception rules know the proxy's way to its own application."""
    cluster.upstream_bind_config.source_address.CopyFrom(SocketAddress(address=INBOUND_SOURCE, port_value=0))
    if proxy_class.interception is Interception.MARK:
        cluster.upstream_bind_config.socket_options.append(mark_option())


def _to_application(cluster: Cluster, port: PortNumber, proxy_class: ProxyClass) -> None:
    cluster.type = Cluster.STATIC
    cluster.lb_policy = Cluster.ROUND_ROBIN
    cluster.ClearField("cleanup_interval")
    member = LbEndpoint(endpoint=Endpoint(address=address(application_address(proxy_class.address), port)))
    cluster.load_assignment.CopyFrom(
        ClusterLoadAssignment(cluster_name=cluster.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[member])])
    )
