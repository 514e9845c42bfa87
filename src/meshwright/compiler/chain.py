"""The order of the HTTP filters: read it from top to bottom and you know a request's way.

Whatever a user can change per request lies in the routes (typed_per_filter_config), because a change of routes
reaches open connections at once, while a filter's own settings reach them only after their listener has drained.
"""

from enum import StrEnum

from meshwright.compiler.features import fault
from meshwright.compiler.features.metrics import messages
from meshwright.compiler.proto import flag, pack
from meshwright.envoyapi.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from meshwright.envoyapi.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from meshwright.envoyapi.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpFilter,
)


class Direction(StrEnum):
    """Which of a proxy's listeners a chain belongs to."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


ROUTER = "envoy.filters.http.router"
ALL = frozenset(Direction)
CLIENT_SIDE = frozenset({Direction.OUTBOUND, Direction.GATEWAY})


def http_filters(direction: Direction, *, counted: bool) -> tuple[HttpFilter, ...]:
    """The filters of a connection manager of this direction, the router last. `counted`: metrics are on."""
    counting = ALL if counted else frozenset[Direction]()
    chain: tuple[tuple[frozenset[Direction], HttpFilter], ...] = (
        # disabled, too: routes to ports that may speak gRPC enable it; before faults, whose answers are no messages
        (counting, messages.counting()),
        # on the client's side only, as faults are rules about destinations; disabled costs nothing per request:
        # the routes that have a fault enable it by their own settings
        (CLIENT_SIDE, HttpFilter(name=fault.FILTER, typed_config=pack(HTTPFault()), disabled=True)),
        # the router ends every chain; statistics per status code would cost 2 % of throughput and are not collected
        (ALL, HttpFilter(name=ROUTER, typed_config=pack(Router(dynamic_stats=flag(value=False))))),
    )
    return tuple(made for places, made in chain if direction in places)
