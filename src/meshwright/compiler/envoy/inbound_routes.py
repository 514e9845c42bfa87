"""The HTTP ports of a sidecar's own workload become route configurations: everything goes to the application."""

from meshwright.compiler.built import Built
from meshwright.compiler.envoy.listeners_inbound import rows
from meshwright.compiler.features.metrics.messages import may_be_grpc, switch_on
from meshwright.compiler.names import INBOUND_PASSTHROUGH, inbound_cluster, inbound_routes
from meshwright.compiler.proto import duration, flag, uint
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import (
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.names import ROUTES, Milliseconds, PortNumber, ResourceName
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import InboundPort, ProxyClass

RETRIES = 2
NO_LIMIT = Milliseconds(0)


def inbound_route_configs(proxy_class: ProxyClass) -> tuple[Built, ...]:
    """One per inbound port that has an HTTP chain, and one for ports of no service."""
    made = [_of_port(port) for port in proxy_class.inbound if any(row.http for row in rows(port.protocol, port.mode))]
    if not proxy_class.address:
        made.append(_config(INBOUND_PASSTHROUGH, INBOUND_PASSTHROUGH, PortNumber(0), Protocol.AUTO, retries=True))
    return tuple(made)


def _of_port(port: InboundPort) -> Built:
    retries = port.retry_safe and port.protocol is not Protocol.GRPC
    cluster = inbound_cluster(port.port)
    return _config(inbound_routes(port.port), cluster, port.service_port, port.protocol, retries=retries)


def _config(
    name: ResourceName, cluster: ResourceName, service_port: PortNumber, protocol: Protocol, *, retries: bool
) -> Built:
    """`retries`: a request on a connection that the application just closed is sent again, as it was never read."""
    action = RouteAction(cluster=cluster, timeout=duration(NO_LIMIT))
    action.max_stream_duration.max_stream_duration.CopyFrom(duration(NO_LIMIT))
    action.max_stream_duration.grpc_timeout_header_max.CopyFrom(duration(NO_LIMIT))
    if retries:
        action.retry_policy.CopyFrom(RetryPolicy(retry_on="reset-before-request", num_retries=uint(RETRIES)))
    route = Route(name="default", match=RouteMatch(prefix="/"), route=action)
    if may_be_grpc(protocol):
        switch_on(route)
    host = VirtualHost(name=f"inbound|http|{service_port}", domains=["*"], routes=[route])
    config = RouteConfiguration(name=name, virtual_hosts=[host], validate_clusters=flag(value=False))
    return Built(ROUTES, name, config)
