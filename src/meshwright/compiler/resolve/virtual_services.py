"""What is wrong with VirtualServices whoever asks: names of gateways and hosts, and rules that nothing reaches.

Findings about destinations depend on what a client sees and are made where its routes are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from meshwright.compiler.features.request_match import is_catch_all
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.hosts import common
from meshwright.model.names import Hostname
from meshwright.model.request_match import RequestMatch
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, HttpRule, VirtualService


def findings(
    rules: Iterable[VirtualService],
    gateways: Iterable[Gateway],
    services: Collection[Service],
    cluster_domain: str,
) -> tuple[Diagnostic, ...]:
    """In the order of `rules`."""
    by_name = {f"{gateway.meta.namespace}/{gateway.meta.name}": gateway for gateway in gateways}
    hosts = frozenset(service.host for service in services)
    return tuple(
        finding
        for rule in rules
        for finding in (
            *_gateways(rule, by_name),
            *_hosts(rule, hosts, f".svc.{cluster_domain}"),
            *_unreached(rule),
        )
    )


def _gateways(rule: VirtualService, gateways: Mapping[str, Gateway]) -> Iterator[Diagnostic]:
    spec = rule.meta.origin.field("spec")
    for index, name in enumerate(rule.gateways):
        if name == MESH_GATEWAY:
            continue
        gateway = gateways.get(name)
        if gateway is None:
            at = spec.field("gateways").item(index)
            yield Diagnostic(codes.UNKNOWN_GATEWAY, at, (name, _gateway_hint(name, gateways)))
            continue
        for number, host in enumerate(rule.hosts):
            if not any(_serves(gateway, rule.meta.namespace, host)):
                yield Diagnostic(codes.HOST_NOT_SERVED, spec.field("hosts").item(number), (name, host))


def _gateway_hint(name: str, gateways: Mapping[str, Gateway]) -> str:
    own_name = name.partition("/")[2]
    elsewhere = sorted(one for one in gateways if one.partition("/")[2] == own_name)
    near = elsewhere or get_close_matches(name, gateways, n=1)
    return f"did you mean {near[0]}?" if near else f"create the Gateway {name}"


def _serves(gateway: Gateway, namespace: str, host: str) -> Iterator[bool]:
    for server in gateway.servers:
        for served in server.hosts:
            here = served.namespace in ("*", namespace)
            yield here and common(served.host, host) is not None


def _hosts(rule: VirtualService, hosts: frozenset[Hostname], suffix: str) -> Iterator[Diagnostic]:
    """A host of the cluster that no Service has is a mistake; other hosts may be known to a VirtualService alone."""
    if MESH_GATEWAY not in rule.gateways:
        return
    for index, host in enumerate(rule.hosts):
        if host.endswith(suffix) and host not in hosts and not host.startswith("*"):
            name, _, rest = host.partition(".")
            beside = {one.partition(".")[0] for one in hosts if one.partition(".")[2] == rest}
            near = get_close_matches(name, beside, n=1)
            hint = f"did you mean {near[0]}.{rest}?" if near else f"create the Service {name}"
            yield Diagnostic(
                codes.UNKNOWN_HOST, rule.meta.origin.field("spec").field("hosts").item(index), (host, hint)
            )


def _unreached(rule: VirtualService) -> Iterator[Diagnostic]:
    """Rules, and matches of one rule, that stand behind one which every client's every request fulfils."""
    stopped_by = ""
    for http in rule.http:
        if stopped_by:
            yield Diagnostic(codes.NEVER_REACHED, http.origin, (stopped_by,))
            continue
        for match in http.matches or (None,):
            if stopped_by and match is not None:
                yield Diagnostic(codes.NEVER_REACHED, match.origin, (stopped_by,))
            elif _takes_all(match):
                stopped_by = _called(http, match)


def _takes_all(match: RequestMatch | None) -> bool:
    if not is_catch_all(match):
        return False
    return match is None or not any((match.port, match.source_labels, match.source_namespace, match.gateways))


def _called(rule: HttpRule, match: RequestMatch | None) -> str:
    return rule.name or (rule.origin if match is None else match.origin).path
