"""One rule of a VirtualService and one of its matches become one Envoy route, with the origins of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshwright.compiler.envoy.targets import Aim, Hashed, Target, aim
from meshwright.compiler.features.consistent_hash import hash_policy
from meshwright.compiler.features.direct_response import direct_response_action
from meshwright.compiler.features.fault import FILTER as FAULT_FILTER
from meshwright.compiler.features.fault import fault_settings
from meshwright.compiler.features.header_operations import change_headers, new_host, refused_values
from meshwright.compiler.features.metrics.messages import switch_on
from meshwright.compiler.features.mirror import mirror_policy
from meshwright.compiler.features.redirect import redirect_action
from meshwright.compiler.features.request_match import route_match
from meshwright.compiler.features.retry import retry_policy
from meshwright.compiler.features.rewrite import set_rewrite
from meshwright.compiler.features.timeout import set_timeout
from meshwright.compiler.features.traffic_split import add_share, set_cluster, sharing_destinations
from meshwright.compiler.names import object_path
from meshwright.compiler.proto import pack
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteAction
from meshwright.model.destination import Destination
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.meta import Meta
from meshwright.model.mirror import Mirror
from meshwright.model.names import Hostname, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.request_match import RequestMatch
from meshwright.model.retry import Retry
from meshwright.model.virtual_service import HttpRule, WeightedDestination

Targets = Mapping[Hostname, Target]


@dataclass(slots=True)
class RouteParts:
    """A route; `origins` by path inside it, "" being the route itself."""

    route: Route
    origins: list[tuple[str, Origin]]
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])


def default_route(target: Target, port: PortNumber) -> RouteParts:
    """All requests to the service itself."""
    assert target.service is not None
    made = RouteParts(Route(name="default"), [("", target.service.meta.origin)])
    made.route.match.CopyFrom(route_match(None))
    goal = aim(Destination(target.host, port=port), target, port, target.service.meta.origin)
    set_cluster(made.route.route, goal.cluster)
    if goal.grpc:
        switch_on(made.route)
    _set_hashes(made, [] if goal.hashed is None else [goal.hashed])
    set_timeout(made.route.route, None)
    _set_retries(made.route.route, None, hashed=goal.hashed is not None)
    made.route.decorator.operation = f"{target.host}:{port}/*"
    return made


def rule_route(
    meta: Meta, rule: HttpRule, match: RequestMatch | None, targets: Targets, port: PortNumber
) -> RouteParts:
    """`port` is the one the requests come to; `targets` holds every host that the rule names."""
    name = rule.name if match is None or not match.name else f"{rule.name}.{match.name}"
    made = RouteParts(Route(name=name), [("", rule.origin if match is None else match.origin)])
    route = made.route
    route.match.CopyFrom(route_match(match))
    # Struct is a message of our own pool: its `fields` map is written, not assigned
    path = object_path("networking.istio.io", "v1", meta.namespace, "virtual-service", meta.name)
    route.metadata.filter_metadata["istio"].fields["config"].string_value = path
    _change_headers(made, rule)
    if rule.redirect is not None:
        route.redirect.CopyFrom(redirect_action(rule.redirect, port))
        made.origins.append(("redirect", rule.origin.field("redirect")))
    elif rule.direct_response is not None:
        route.direct_response.CopyFrom(direct_response_action(rule.direct_response))
        made.origins.append(("direct_response", rule.origin.field("directResponse")))
    else:
        _forward(made, rule, targets, port)
    if rule.fault is not None:
        route.typed_per_filter_config[FAULT_FILTER].CopyFrom(pack(fault_settings(rule.fault)))
        made.origins.append((f"typed_per_filter_config[{FAULT_FILTER}]", rule.origin.field("fault")))
    route.decorator.operation = _operation(route, f"{meta.name}:{port}")
    return made


def _change_headers(made: RouteParts, rule: HttpRule) -> None:
    change_headers(made.route, rule.headers)
    made.findings.extend(refused_values(rule.headers, rule.origin))
    for side, changes in (("request", rule.headers.request), ("response", rule.headers.response)):
        origin = rule.origin.field("headers").field(side)
        if changes.set or changes.add:
            made.origins.append((f"{side}_headers_to_add", origin))
        if changes.remove:
            made.origins.append((f"{side}_headers_to_remove", origin))


def _set_hashes(made: RouteParts, hashes: list[Hashed]) -> None:
    for index, hashed in enumerate(hashes):
        made.route.route.hash_policy.append(hash_policy(hashed.settings))
        made.origins.append((f"route.hash_policy[{index}]", hashed.origin))


def _forward(made: RouteParts, rule: HttpRule, targets: Targets, port: PortNumber) -> None:
    action = made.route.route
    hashes = _set_destinations(made, rule, targets, port)
    _set_hashes(made, hashes)
    set_timeout(action, rule.timeout)
    if rule.timeout is not None:
        made.origins.append(("route.timeout", rule.origin.field("timeout")))
    _set_retries(action, rule.retry, hashed=bool(hashes))
    if rule.retry is not None:
        made.origins.append(("route.retry_policy", rule.origin.field("retries")))
    if rule.rewrite is not None:
        set_rewrite(action, rule.rewrite)
        made.origins.append(("route.prefix_rewrite", rule.origin.field("rewrite")))
    if host := new_host(rule.headers):
        action.host_rewrite_literal = host
    for index, mirror in enumerate(rule.mirrors):
        goal = _aim_mirror(mirror, targets, port)
        made.findings.extend(goal.findings)
        action.request_mirror_policies.append(mirror_policy(mirror, goal.cluster))
        made.origins.append((f"route.request_mirror_policies[{index}]", mirror.origin))


def _set_destinations(made: RouteParts, rule: HttpRule, targets: Targets, port: PortNumber) -> list[Hashed]:
    """Clusters of the rule; gives what is hashed, each way of hashing once."""
    action, hashes = made.route.route, list[Hashed]()
    shares = sharing_destinations(rule)
    for index, share in enumerate(shares):
        goal = aim(share.destination, targets[share.destination.host], port, share.origin.field("destination"))
        made.findings.extend(goal.findings)
        made.findings.extend(refused_values(share.headers, share.origin))
        if goal.hashed is not None and all(goal.hashed.settings != other.settings for other in hashes):
            hashes.append(goal.hashed)
        if goal.grpc:
            switch_on(made.route)
        if len(shares) == 1:
            _set_only(made, share, goal)
            continue
        weighted = add_share(action, goal.cluster, share.weight)
        change_headers(weighted, share.headers)
        if host := new_host(share.headers):
            weighted.host_rewrite_literal = host
        made.origins.append((f"route.weighted_clusters.clusters[{index}]", share.origin))
    return hashes


def _set_only(made: RouteParts, share: WeightedDestination, goal: Aim) -> None:
    """A single destination's header changes join those of the route."""
    set_cluster(made.route.route, goal.cluster)
    change_headers(made.route, share.headers)
    if host := new_host(share.headers):
        made.route.route.host_rewrite_literal = host
    made.origins.append(("route.cluster", share.origin))


def _set_retries(action: RouteAction, retry: Retry | None, *, hashed: bool) -> None:
    policy = retry_policy(retry, hashed=hashed)
    if policy is not None:
        action.retry_policy.CopyFrom(policy)


def _aim_mirror(mirror: Mirror, targets: Targets, port: PortNumber) -> Aim:
    """`mirror` is a destination itself; an entry of `mirrors` holds one."""
    inside = mirror.origin.path.endswith("]")
    origin = mirror.origin.field("destination") if inside else mirror.origin
    return aim(mirror.destination, targets[mirror.destination.host], port, origin)


def _operation(route: Route, several: str) -> str:
    """What a span of this route is called: host and port when there is one destination, then the path."""
    match route.match.WhichOneof("path_specifier"):
        case "prefix":
            path = f"{route.match.prefix}*"
        case "path":
            path = route.match.path
        case _:
            path = route.match.safe_regex.regex
    cluster = route.route.cluster
    if cluster:
        _, port, _, host = cluster.split("|")
        return f"{host}:{port}{path}"
    return several + path
