"""The rules for one host and port become one serialised virtual host: what is remembered between compilations.

`virtual_host` is called through a memo, so it takes the narrowest values: a change anywhere else in the mesh
builds nothing here again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshwright.compiler.built import Origins
from meshwright.compiler.encode import nearest
from meshwright.compiler.envoy.http_route import RouteParts, default_route, rule_route
from meshwright.compiler.envoy.targets import Target
from meshwright.compiler.features.request_match import is_catch_all
from meshwright.compiler.proto import serialised
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.envoyapi.rules import Violation, violations
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ElementPath, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.request_match import RequestMatch
from meshwright.model.virtual_service import HttpRule, VirtualService

Selection = tuple[tuple[int, ...], ...]
"""Per rule of a VirtualService the numbers of its matches that the class gets; WHOLE for a rule without matches."""

WHOLE = -1


@dataclass(frozen=True, slots=True)
class Frame:
    """What a virtual host is called, which hosts it answers for, and the port that its requests come to.

    `opened_by` is the Gateway's server that opened the port; it answers for a host without rules.
    """

    name: str
    domains: tuple[str, ...]
    port: PortNumber
    require_tls: bool = False
    opened_by: Origin | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """A VirtualService, the part of it that a class gets, and the destinations it names."""

    rules: VirtualService
    selection: Selection
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a route configuration: serialised `virtual_hosts` entries with what belongs to them."""

    value: bytes
    origins: Origins = ()
    findings: tuple[Diagnostic, ...] = ()


def virtual_host(frame: Frame, own: Target | None, ruled: tuple[Ruled, ...]) -> Part:
    """`own`, the service itself, is used when no rule is left. `ruled` has several entries at gateways only."""
    routes = [route for entry in ruled for route in _routes(entry, frame.port)]
    if len(ruled) > 1:
        routes.sort(key=lambda pair: pair[1])  # stable: what takes every request goes last
    made = [route for route, _ in routes]
    if not made and own is not None:
        made = [default_route(own, frame.port)]
    refused = [(route, violations(route.route)) for route in made]
    findings = dict.fromkeys(
        finding for route, broken in refused for finding in (*route.findings, *_refused(route, broken))
    )
    made = [route for route, broken in refused if not broken]
    host = VirtualHost(
        name=frame.name,
        domains=frame.domains,
        routes=[route.route for route in made],
        require_tls=VirtualHost.ALL if frame.require_tls else VirtualHost.NONE,
        include_request_attempt_count=True,
    )
    return Part(packed(host), _origins(frame, own, ruled, made), tuple(findings))


def _refused(route: RouteParts, found: Iterable[Violation]) -> Iterator[Diagnostic]:
    """What Envoy would refuse, and the whole configuration with it: such a route is left out."""
    for broken in found:
        origins = tuple((ElementPath(path), origin) for path, origin in route.origins)
        origin = nearest(origins, broken.path)
        assert origin is not None, "a route has an origin of its own"
        yield Diagnostic(codes.ENVOY_REFUSES, origin, (broken.path, f"{broken.value} {broken.rule}"))


def packed(host: VirtualHost) -> bytes:
    """A virtual host as it stands in a serialised route configuration."""
    return serialised(RouteConfiguration(virtual_hosts=[host]))


def _routes(entry: Ruled, port: PortNumber) -> list[tuple[RouteParts, bool]]:
    """Routes in the order of the file, each with whether it takes every request; nothing follows one that does."""
    made: list[tuple[RouteParts, bool]] = []
    targets = {target.host: target for target in entry.targets}
    meta = entry.rules.meta
    for rule, chosen in zip(entry.rules.http, entry.selection, strict=True):
        for match in _matches(rule, chosen):
            last = is_catch_all(match)
            made.append((rule_route(meta, rule, match, targets, port), last))
            if last:
                return made
    return made


def _matches(rule: HttpRule, chosen: tuple[int, ...]) -> list[RequestMatch | None]:
    return [None if index == WHOLE else rule.matches[index] for index in chosen]


def _origins(frame: Frame, own: Target | None, ruled: tuple[Ruled, ...], made: list[RouteParts]) -> Origins:
    at = f"virtual_hosts[{frame.name}]"
    found: list[tuple[ElementPath, Origin]] = []
    caused_by = own.service.meta.origin if own is not None and own.service is not None else frame.opened_by
    if ruled:
        caused_by = ruled[0].rules.meta.origin
    if caused_by is not None:
        found.append((ElementPath(at), caused_by))
    for index, route in enumerate(made):
        for path, origin in route.origins:
            place = f"{at}.routes[{index}]{'.' if path else ''}{path}"
            found.append((ElementPath(place), origin))
    return tuple(found)
