"""All totals as the text that Prometheus scrapes."""

from collections.abc import Iterator

from meshwright.telemetry.instruments import escaped
from meshwright.telemetry.labels import Labels
from meshwright.telemetry.totals import Series, Totals

TYPE = "text/plain; version=0.0.4; charset=utf-8"
HELP = {
    "istio_requests_total": "Requests, at their end.",
    "istio_request_duration_milliseconds": "How long requests took, in milliseconds.",
    "istio_request_bytes": "Bytes of requests, headers included.",
    "istio_response_bytes": "Bytes of responses, headers included.",
    "istio_tcp_connections_opened_total": "Connections that a destination has taken.",
    "istio_tcp_connections_closed_total": "Connections that are closed.",
    "istio_request_messages_total": "Messages from clients of gRPC, at the end of each call.",
    "istio_response_messages_total": "Messages to clients of gRPC, at the end of each call.",
    "istio_tcp_sent_bytes_total": "Bytes towards the client.",
    "istio_tcp_received_bytes_total": "Bytes from the client.",
}
HISTOGRAM_PARTS = frozenset({"sum", "count"})


def exposition(totals: Totals) -> str:
    """One block per metric, in the order of names; series in the order of labels."""
    return "".join(line for metric in sorted(totals.series) for line in _metric(metric, totals.series[metric]))


def _metric(metric: str, series: dict[Labels, Series]) -> Iterator[str]:
    is_histogram = any("count" in each.values for each in series.values())
    yield f"# HELP {metric} {HELP.get(metric, 'As Envoy counts it.')}\n"
    yield f"# TYPE {metric} {'histogram' if is_histogram else 'counter'}\n"
    for labels in sorted(series):
        written = ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
        values = series[labels].values
        if not is_histogram:
            yield f"{metric}{{{written}}} {_number(values.get('', 0.0))}\n"
            continue
        bounds = [bound for bound in values if bound not in HISTOGRAM_PARTS]
        for bound in sorted(bounds, key=float):
            yield f'{metric}_bucket{{{written},le="{bound}"}} {_number(values[bound])}\n'
        yield f"{metric}_sum{{{written}}} {_number(values.get('sum', 0.0))}\n"
        yield f"{metric}_count{{{written}}} {_number(values.get('count', 0.0))}\n"


def _number(value: float) -> str:
    """Whole numbers without a point, `+Inf` as Prometheus writes it."""
    return str(int(value)) if value == int(value) else repr(value)
