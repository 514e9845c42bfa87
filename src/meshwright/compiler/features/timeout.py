"""VirtualService `http[].timeout` becomes the limits of a route; without it there is none."""

from meshwright.compiler.proto import duration
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction
from meshwright.model.names import Milliseconds

NO_TIMEOUT = Milliseconds(0)


def set_timeout(action: RouteAction, timeout: Milliseconds | None) -> None:
    """A gRPC client's own deadline (`grpc-timeout`) counts too, but cannot be longer than the route's."""
    limit = duration(NO_TIMEOUT if timeout is None else timeout)
    action.timeout.CopyFrom(limit)
    action.max_stream_duration.grpc_timeout_header_max.CopyFrom(limit)
