"""Istio's counters of gRPC messages, counted by Envoy's own grpc_stats filter.

The filter stands, switched off, in every chain through which gRPC may come; plain HTTP costs nothing. Routes to ports
that may speak gRPC switch it on. What it counted stands in the stream's filter state as "<requests>,<responses>",
which no operator of Envoy takes apart. So a finished call counts one under a tag that holds both numbers, and
telemetry multiplies; a call with many messages (a stream) writes a line, as it would make a series of its own.
"""

from functools import cache

from meshwright.compiler.features.metrics import requests
from meshwright.compiler.features.metrics.requests import FILE_LOGGER, LOGGER, Side
from meshwright.compiler.proto import flag, pack
from meshwright.envoyapi.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import FilterConfig as RouteFilterConfig
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route
from meshwright.envoyapi.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from meshwright.envoyapi.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config
from meshwright.envoyapi.envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig
from meshwright.envoyapi.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpFilter,
)
from meshwright.model import metric_tags
from meshwright.model.protocol import Protocol

FILTER = "envoy.filters.http.grpc_stats"
CEL_FILTER = "envoy.access_loggers.extension_filters.cel"
CONTENT = "application/grpc"
LONG = 4
"""Characters of "<requests>,<responses>" from which a call is a stream: one of the numbers has two digits."""


def may_be_grpc(protocol: Protocol) -> bool:
    """Whether the port is declared as one that speaks HTTP/2, or not declared at all."""
    return protocol.is_http2 or protocol is Protocol.AUTO


def counting() -> HttpFilter:
    """For every chain that may have gRPC; off where no route switches it on."""
    config = FilterConfig(emit_filter_state=True, stats_for_all_methods=flag(value=False))
    return HttpFilter(name=FILTER, typed_config=pack(config), disabled=True)


def switch_on(route: Route) -> None:
    """Count the messages of this route's calls."""
    enabled = RouteFilterConfig()
    enabled.config.SetInParent()  # there, and empty: the chain's own settings
    route.typed_per_filter_config[FILTER].CopyFrom(pack(enabled))


@cache
def message_metrics(side: Side, *, long: bool) -> tuple[AccessLog, ...]:
    """Loggers of calls that had a message. `long`: somebody reads the lines of streams; otherwise they count, too."""
    pair = Config.Tag(name=metric_tags.MESSAGES, value_format=f"%FILTER_STATE({FILTER}:PLAIN)%")
    config = Config(
        stats_scope=requests.scope(), counters=[requests.one("messages_total", [*requests.tags(side, {}), pair])]
    )
    counted = _where(f" && size(filter_state['{FILTER}']) < {LONG}" if long else "")
    counter = AccessLog(name=LOGGER, filter=counted, typed_config=pack(config))
    if not long:
        return (counter,)
    lines = requests.lines(side, {"id": "%STREAM_ID%", metric_tags.MESSAGES: pair.value_format}, metric_tags.FLOWS)
    streams = _where(f" && size(filter_state['{FILTER}']) >= {LONG}")
    return (counter, AccessLog(name=FILE_LOGGER, filter=streams, typed_config=pack(lines)))


def _where(more: str) -> AccessLogFilter:
    """Of gRPC only, which the header tells at little cost: calls that had a message, and of which `more` is true."""
    made = AccessLogFilter()
    grpc, counted = (made.and_filter.filters.add() for _ in range(2))
    grpc.header_filter.header.name = "content-type"
    grpc.header_filter.header.string_match.prefix = CONTENT
    counted.extension_filter.name = CEL_FILTER
    expression = ExpressionFilter(expression=f"'{FILTER}' in filter_state{more}")
    counted.extension_filter.typed_config.CopyFrom(pack(expression))
    return made
