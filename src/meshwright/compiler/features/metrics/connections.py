"""Istio's metrics of TCP: connections opened and closed, and their bytes while they are open.

Envoy's counters know a connection's bytes when it ends. So those of short connections are counted there; one that
lives for `INTERVAL` or longer writes a line with all its bytes so far each `INTERVAL`, and when it ends. Which of the
two it is, its duration decides at its end: no byte is counted twice. Who reads the lines (telemetry) adds what is new
in each.
"""

from functools import cache

from meshwright.compiler.features.metrics import requests
from meshwright.compiler.features.metrics.requests import FILE_LOGGER, FLAGS, LOGGER, Side
from meshwright.compiler.proto import duration, pack
from meshwright.envoyapi.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    ComparisonFilter,
    LogTypeFilter,
)
from meshwright.envoyapi.envoy.data.accesslog.v3 import accesslog_pb2
from meshwright.envoyapi.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config
from meshwright.envoyapi.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from meshwright.model import metric_tags
from meshwright.model.names import Milliseconds

INTERVAL = Milliseconds(5_000)
"""Istio's reporting interval of TCP metrics."""
_LINE = {
    "id": "%STREAM_ID%",
    "moment": "%ACCESS_LOG_TYPE%",
    metric_tags.RECEIVED: "%BYTES_RECEIVED%",
    metric_tags.SENT: "%BYTES_SENT%",
}


def watch(proxy: TcpProxy, side: Side, *, long: bool) -> None:
    """Count a proxy's connections. `long`: somebody reads the lines of those that last; otherwise all bytes are
    counted at the end.
    """
    proxy.access_log.extend(_counters(_place(side), long=long))
    proxy.access_log_options.flush_access_log_on_connected = True
    if long:
        proxy.access_log.extend(_lines(_place(side)))
        proxy.access_log_options.access_log_flush_interval.CopyFrom(duration(INTERVAL))


@cache
def connection_records(side: Side) -> tuple[AccessLog, ...]:
    """A record of each connection, when it closes, to look at."""
    lines = requests.lines(_place(side), {**FLAGS, **requests.RECORD})
    return (AccessLog(name=FILE_LOGGER, filter=_at(accesslog_pb2.TcpConnectionEnd), typed_config=pack(lines)),)


def _place(side: Side) -> Side:
    """Connections have no Host header."""
    return Side.DESTINATION if side is Side.DESTINATION else Side.GATEWAY


@cache
def _counters(side: Side, *, long: bool) -> tuple[AccessLog, ...]:
    tags = requests.tags(side, FLAGS)
    opened = [requests.one("tcp_connections_opened_total", tags)]
    closed = [requests.one("tcp_connections_closed_total", tags)]
    amounts = [
        Config.Counter(stat=Config.Stat(name="tcp_sent_bytes_total", tags=tags), value_format="%BYTES_SENT%"),
        Config.Counter(stat=Config.Stat(name="tcp_received_bytes_total", tags=tags), value_format="%BYTES_RECEIVED%"),
    ]
    end = accesslog_pb2.TcpConnectionEnd
    if not long:
        return (_logger(opened, _at(accesslog_pb2.TcpUpstreamConnected)), _logger([*closed, *amounts], _at(end)))
    return (
        _logger(opened, _at(accesslog_pb2.TcpUpstreamConnected)),
        _logger(closed, _at(end)),
        _logger(amounts, _both(_at(end), _lasted(ComparisonFilter.LE, INTERVAL - 1))),
    )


@cache
def _lines(side: Side) -> tuple[AccessLog, ...]:
    """Each `INTERVAL`, and at the end of those that lasted."""
    made = AccessLogFilter()
    ended = _both(_at(accesslog_pb2.TcpConnectionEnd), _lasted(ComparisonFilter.GE, INTERVAL))
    made.or_filter.filters.extend((_at(accesslog_pb2.TcpPeriodic), ended))
    lines = requests.lines(side, {**FLAGS, **_LINE}, metric_tags.FLOWS)
    return (AccessLog(name=FILE_LOGGER, filter=made, typed_config=pack(lines)),)


def _logger(counters: list[Config.Counter], chosen: AccessLogFilter) -> AccessLog:
    config = Config(stats_scope=requests.scope(), counters=counters)
    return AccessLog(name=LOGGER, filter=chosen, typed_config=pack(config))


def _at(moment: accesslog_pb2.AccessLogType) -> AccessLogFilter:
    return AccessLogFilter(log_type_filter=LogTypeFilter(types=[moment]))


def _lasted(how: ComparisonFilter.Op, bound: int) -> AccessLogFilter:
    made = AccessLogFilter()
    made.duration_filter.comparison.op = how
    made.duration_filter.comparison.value.default_value = bound
    made.duration_filter.comparison.value.runtime_key = "meshwright.unset"
    return made


def _both(*filters: AccessLogFilter) -> AccessLogFilter:
    made = AccessLogFilter()
    made.and_filter.filters.extend(filters)
    return made
