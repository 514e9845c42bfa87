"""What a route does with a request that it takes."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RedirectAction, Route, RouteAction
from meshwright.envoyapi.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from meshwright.envoyapi.envoy.type.v3.percent_pb2 import FractionalPercent
from meshwright.envoyapi.google.protobuf.duration_pb2 import Duration
from meshwright.evaluator.matching import regex
from meshwright.evaluator.values import Call, InjectedFault, Mirror, Rewritten

FAULT_FILTER = "envoy.filters.http.fault"
DENOMINATORS = {
    FractionalPercent.HUNDRED: 100,
    FractionalPercent.TEN_THOUSAND: 10_000,
    FractionalPercent.MILLION: 1_000_000,
}
REDIRECT_CODES = {
    RedirectAction.MOVED_PERMANENTLY: 301,
    RedirectAction.FOUND: 302,
    RedirectAction.SEE_OTHER: 303,
    RedirectAction.TEMPORARY_REDIRECT: 307,
    RedirectAction.PERMANENT_REDIRECT: 308,
}
DEFAULT_TIMEOUT_MS = 15_000
ALL = 100.0


@dataclass(frozen=True, slots=True)
class Share:
    """A cluster with its weight and its place inside the route."""

    cluster: str
    weight: int
    place: str


def shares(action: RouteAction) -> list[Share]:
    """The clusters that requests are shared out among."""
    if action.WhichOneof("cluster_specifier") == "weighted_clusters":
        return [
            Share(each.name, each.weight.value, f"route.weighted_clusters.clusters[{index}]")
            for index, each in enumerate(action.weighted_clusters.clusters)
            if each.weight.value
        ]
    return [Share(action.cluster, 100, "route.cluster")]


def faults(route: Route) -> tuple[InjectedFault, ...]:
    """The faults of a route; a delay comes before an abort."""
    if FAULT_FILTER not in route.typed_per_filter_config:
        return ()
    settings = HTTPFault()
    route.typed_per_filter_config[FAULT_FILTER].Unpack(settings)
    found: list[InjectedFault] = []
    if settings.HasField("delay"):
        share = percentage(settings.delay.percentage)
        found.append(InjectedFault("delay", share, delay_ms=milliseconds(settings.delay.fixed_delay)))
    if settings.HasField("abort"):
        share, abort = percentage(settings.abort.percentage), settings.abort
        if abort.WhichOneof("error_type") == "grpc_status":
            found.append(InjectedFault("abort", share, grpc_status=abort.grpc_status))
        else:
            found.append(InjectedFault("abort", share, status=abort.http_status))
    return tuple(found)


def certain_abort(found: tuple[InjectedFault, ...]) -> InjectedFault | None:
    """The abort that takes every request."""
    return next((each for each in found if each.type == "abort" and each.percentage >= ALL), None)


def mirrors(action: RouteAction) -> tuple[Mirror, ...]:
    """Where copies go."""
    return tuple(
        Mirror(
            each.cluster,
            percentage(each.runtime_fraction.default_value) if each.HasField("runtime_fraction") else ALL,
        )
        for each in action.request_mirror_policies
    )


def timeout_ms(action: RouteAction) -> int | None:
    """None = none."""
    if not action.HasField("timeout"):
        return DEFAULT_TIMEOUT_MS
    return milliseconds(action.timeout) or None


def retries(action: RouteAction) -> int:
    """How often a request is tried again at most."""
    if not action.HasField("retry_policy"):
        return 0
    policy = action.retry_policy
    return policy.num_retries.value if policy.HasField("num_retries") else 1


def rewritten(route: Route, call: Call) -> Rewritten | None:
    """What of the request is another at the destination."""
    action = route.route
    path, mark, query = call.path.partition("?")
    new = ""
    if action.prefix_rewrite:
        new = _replaced(route, path, action.prefix_rewrite) + mark + query
    elif action.HasField("regex_rewrite"):
        rule = action.regex_rewrite
        new = regex(rule.pattern.regex).sub(rule.substitution, path) + mark + query
    host = action.host_rewrite_literal
    return Rewritten(new, host) if new or host else None


def _replaced(route: Route, path: str, new: str) -> str:
    """What matched is replaced: a prefix, or all of the path."""
    if route.match.WhichOneof("path_specifier") == "prefix":
        return new + path[len(route.match.prefix) :]
    return new


def location(route: Route, call: Call) -> str:
    """Where a redirect leads."""
    action = route.redirect
    old = urlsplit(f"{'https' if call.encrypted else 'http'}://{call.host}{call.path}")
    scheme = action.scheme_redirect or ("https" if action.https_redirect else old.scheme)
    host = action.host_redirect or (old.hostname or "")
    port = action.port_redirect or (0 if action.host_redirect else old.port or 0)
    path, mark, query = call.path.partition("?")
    if action.path_redirect:
        target = action.path_redirect if "?" in action.path_redirect else action.path_redirect + mark + query
    elif action.prefix_rewrite:
        target = _replaced(route, path, action.prefix_rewrite) + mark + query
    else:
        target = path + mark + query
    usual = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}{f':{port}' if port and port != usual else ''}{target}"


def percentage(fraction: FractionalPercent) -> float:
    """A share in per cent."""
    return min(ALL, fraction.numerator * ALL / DENOMINATORS[fraction.denominator])


def milliseconds(duration: Duration) -> int:
    """A duration in whole milliseconds."""
    return duration.seconds * 1000 + duration.nanos // 1_000_000
