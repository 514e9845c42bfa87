"""Istio's standard metrics, counted by Envoy itself: an access logger that writes into Envoy's own histograms.

Stock Envoy has no istio_stats filter. Tags hold what only this request shows: codes, flags, the peer's address and
identity and the cluster's name. Whose proxy it is, and which workload has an address or an identity, is put to it
when the counters are gathered (`telemetry`): so the bytes are the same for every proxy, and nobody can pass for
somebody else with a header. No request costs Python.

Each series costs a proxy about a microsecond per request, and each operator in its tag a part of one. So there is no
counter of requests: the histogram of durations has counted them; and of a busy proxy's requests only a share is
asked for its sizes, which telemetry puts to all of them (`telemetry.totals`). What a proxy's configuration tells is
written as text, and its own identity is left to who reads.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache

from meshwright.compiler.proto import pack, uint
from meshwright.envoyapi.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    ComparisonFilter,
)
from meshwright.envoyapi.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from meshwright.envoyapi.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config
from meshwright.envoyapi.envoy.type.v3.percent_pb2 import FractionalPercent
from meshwright.envoyapi.envoy.type.v3.scope_pb2 import Scope
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt64Value
from meshwright.model import metric_tags

LOGGER = "envoy.access_loggers.stats"
FILE_LOGGER = "envoy.access_loggers.file"
PREFIX = "istio"
MOST_SERIES = 2000
"""Counters of each logger; what comes beyond is not counted."""
MOST_LABEL_SETS = 1000
"""Kinds of requests that a listener tells apart, with all their histograms."""


class Side(StrEnum):
    """Whose view of a request is counted; the value is Istio's `reporter`."""

    SOURCE = metric_tags.SOURCE
    GATEWAY = "gateway"
    DESTINATION = metric_tags.DESTINATION


FLAGS: Mapping[str, str] = {"response_flags": "%RESPONSE_FLAGS%"}
_HTTP: Mapping[str, str] = {
    **FLAGS,
    "response_code": "%RESPONSE_CODE%",
    "grpc_response_status": "%GRPC_STATUS_NUMBER%",
}
_GATEWAY: Mapping[str, str] = {
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "workload": "%METADATA(UPSTREAM_HOST:istio:workload)%",
    "destination_principal": "%UPSTREAM_PEER_URI_SAN%",
}
_ROUTE: Mapping[str, str] = {"route": "%ROUTE_NAME%"}
# The Host header stands for services that the mesh does not know. It is the pod's own, so a pod that makes up names
# uses up its own series only; a gateway's clients are anybody.
_SOURCE: Mapping[str, str] = {**_GATEWAY, "host": "%REQ(:AUTHORITY)%"}
_DESTINATION: Mapping[str, str] = {
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "source_principal": "%DOWNSTREAM_PEER_URI_SAN%",
}
_PLACES: Mapping[Side, Mapping[str, str]] = {
    Side.SOURCE: _SOURCE,
    Side.GATEWAY: _GATEWAY,
    Side.DESTINATION: _DESTINATION,
}


@cache
def request_metrics(side: Side, cluster: str = "", *, refusing: bool = False) -> tuple[AccessLog, ...]:
    """For HTTP: the histogram of durations, which counts the requests too, and those of sizes, of a share of them
    when they are many. `cluster`: the only one that requests of this chain go to, where that is known. `refusing`:
    a sidecar's routes refuse hosts that nobody knows, which only the route's name tells.
    """
    told = tags(side, {**_HTTP, **_ROUTE} if refusing else _HTTP, cluster)
    durations = _histogram("request_duration_milliseconds", told, Config.Histogram.Milliseconds, "%DURATION%")
    sizes = (
        _histogram("request_bytes", told, Config.Histogram.Bytes, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
        _histogram("response_bytes", told, Config.Histogram.Bytes, "%DOWNSTREAM_WIRE_BYTES_SENT%"),
    )
    some = AccessLogFilter()
    _take_share(some, SIZES)
    return (
        AccessLog(name=LOGGER, typed_config=pack(Config(stats_scope=scope(), histograms=[durations]))),
        AccessLog(
            name=LOGGER, filter=some, typed_config=pack(Config(stats_scope=scope(len(sizes)), histograms=sizes))
        ),
    )


SHARE, SIZES, SHARE_WHOLE = "meshwright.records", "meshwright.sizes", 10_000
"""The runtime keys with the share of requests that are written down, and of those whose sizes are counted, in parts
of 10,000; all, where one is not set."""


def _take_share(made: AccessLogFilter, key: str) -> None:
    made.runtime_filter.runtime_key = key
    made.runtime_filter.percent_sampled.numerator = SHARE_WHOLE
    made.runtime_filter.percent_sampled.denominator = FractionalPercent.TEN_THOUSAND
    made.runtime_filter.use_independent_randomness = True


SERVER_ERROR = 500
RECORDS = "requests.log"
"""In the folder where the proxy works; whoever gathers it cuts it."""
RECORD: Mapping[str, str] = {
    "time": "%START_TIME(%s.%3f)%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "ms": "%DURATION%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "upstream": "%UPSTREAM_HOST%",
    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "route": "%ROUTE_NAME%",
    "config": "%METADATA(ROUTE:istio:config)%",
}
_REQUEST: Mapping[str, str] = {
    "scheme": "%REQ(:SCHEME)%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "id": "%REQ(X-REQUEST-ID)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}


@cache
def request_records(side: Side) -> tuple[AccessLog, ...]:
    """One line of JSON for each request, with the tags of its counters."""
    written = lines(side, {**_HTTP, **RECORD, **_REQUEST})
    return (AccessLog(name=FILE_LOGGER, filter=_worth_writing(), typed_config=pack(written)),)


def _worth_writing() -> AccessLogFilter:
    """What failed, and a share of all others, which telemetry makes smaller when they are many."""
    made = AccessLogFilter()
    some, failed, flagged = (made.or_filter.filters.add() for _ in range(3))
    _take_share(some, SHARE)
    failed.status_code_filter.comparison.op = ComparisonFilter.GE
    failed.status_code_filter.comparison.value.default_value = SERVER_ERROR
    failed.status_code_filter.comparison.value.runtime_key = f"{SHARE}.code"
    flagged.response_flag_filter.SetInParent()
    return made


def lines(side: Side, more: Mapping[str, str], path: str = RECORDS) -> FileAccessLog:
    """JSON with what tells a series apart, and `more`."""
    made = FileAccessLog(path=path)
    for name, value in formats(side, more).items():
        made.log_format.json_format.fields[name].string_value = value
    return made


def one(name: str, tags: Iterable[Config.Tag]) -> Config.Counter:
    """A counter that goes up by one."""
    return Config.Counter(stat=Config.Stat(name=name, tags=tags), value_fixed=UInt64Value(value=1))


def scope(histograms: int = 1) -> Scope:
    """`histograms`: how many there are of each kind of requests. The bound counts for each logger, of which a
    listener has few: Envoy 1.40 dies, when it ends, of a scope that loggers share by a name (`sharing_name`).
    """
    return Scope(prefix=PREFIX, max_counters=uint(MOST_SERIES), max_histograms=uint(histograms * MOST_LABEL_SETS))


def formats(side: Side, more: Mapping[str, str]) -> dict[str, str]:
    """What tells a series apart: who reports it, both ends, and `more`."""
    reporter = Side.DESTINATION if side is Side.DESTINATION else Side.SOURCE
    return {"reporter": reporter.value, **more, **_PLACES[side]}


def tags(side: Side, more: Mapping[str, str], cluster: str = "") -> list[Config.Tag]:
    """All of it as one tag; with `cluster` as text, if it is given, instead of Envoy's operator."""
    told = formats(side, more)
    if cluster:
        told["cluster"] = cluster
    return [Config.Tag(name=told["reporter"], value_format=metric_tags.joined(told))]


def _histogram(name: str, tags: Iterable[Config.Tag], unit: Config.Histogram.Unit, value: str) -> Config.Histogram:
    return Config.Histogram(stat=Config.Stat(name=name, tags=tags), unit=unit, value_format=value)
