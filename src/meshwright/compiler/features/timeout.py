"""VirtualService `http[].timeout` becomes the limits of a route; without it there is none."""

from meshwright.compiler.proto import duration
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction
from meshwright.model.names import Milliseconds

NO_TIMEOUT = Milliseconds(0)


def set_timeout(action: RouteAction, timeout: Milliseconds | None) -> None:
    """A gRPC client's own deadline is left to the client: of Envoy's two fields for it `max_grpc_timeout` is
    deprecated (a warning per route and update), and `max_stream_duration` switches `timeout` off.
    """
    action.timeout.CopyFrom(duration(NO_TIMEOUT if timeout is None else timeout))
