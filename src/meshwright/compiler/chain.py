"""The order of the HTTP filters: read it from top to bottom and you know a request's way.

Whatever a user can change per request lies in the routes (typed_per_filter_config), because a change of routes
reaches open connections at once, while a filter's own settings reach them only after their listener has drained.
"""

from enum import StrEnum

from google.protobuf.message import Message

from meshwright.compiler.features import fault
from meshwright.compiler.proto import pack
from meshwright.envoyapi.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from meshwright.envoyapi.envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from meshwright.envoyapi.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from meshwright.envoyapi.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpFilter,
)


class Direction(StrEnum):
    """Which of a proxy's listeners a chain belongs to."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


ALL = frozenset(Direction)
CLIENT_SIDE = frozenset({Direction.OUTBOUND, Direction.GATEWAY})


def http_filters(direction: Direction) -> tuple[HttpFilter, ...]:
    """The filters of a connection manager of this direction, the router last."""
    chain: tuple[tuple[frozenset[Direction], str, Message], ...] = (
        # before the fault, so that an injected gRPC status is counted too
        (ALL, "envoy.filters.http.grpc_stats", GrpcStats(emit_filter_state=True)),
        # on the client's side only, as faults are rules about destinations; empty here, settings per route
        (CLIENT_SIDE, fault.FILTER, HTTPFault()),
        # the router ends every chain
        (ALL, "envoy.filters.http.router", Router()),
    )
    return tuple(
        HttpFilter(name=name, typed_config=pack(settings)) for places, name, settings in chain if direction in places
    )
