"""Gateways and the VirtualServices bound to them become a gateway proxy's route configurations."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshwright.compiler.built import Built
from meshwright.compiler.envoy.route_builder import RouteBuilder, configuration
from meshwright.compiler.envoy.virtual_hosts import Frame, Part, Ruled, packed
from meshwright.compiler.visibility.servers import BoundServer, merge_servers
from meshwright.compiler.visibility.view import View
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import VirtualHost
from meshwright.model.gateway import Server
from meshwright.model.hosts import common
from meshwright.model.names import ElementPath, PortNumber, ResourceName
from meshwright.model.virtual_service import VirtualService


@dataclass(slots=True)
class _Host:
    """One host of a configuration: the VirtualServices for it, each with the Gateways through which it is bound."""

    server: Server
    require_tls: bool = False
    bound: dict[int, tuple[VirtualService, set[str]]] = field(
        default_factory=dict[int, tuple[VirtualService, set[str]]]
    )

    def bind(self, rules: VirtualService, gateway: str) -> None:
        self.bound.setdefault(id(rules), (rules, set()))[1].add(gateway)


def gateway_routes(view: View, builder: RouteBuilder) -> tuple[Built, ...]:
    """One configuration per name that the class's listeners refer to."""
    by_name: dict[ResourceName, list[BoundServer]] = {}
    for port in merge_servers(view.gateways, view.proxy_class.gateway_ports).value:
        for bound in port.servers:
            if bound.routes is not None:
                by_name.setdefault(bound.routes, []).append(bound)
    rules = tuple(sorted(view.virtual_services, key=_how_public))
    return tuple(_configuration(name, by_name[name], rules, view, builder) for name in sorted(by_name))


def _configuration(
    name: ResourceName,
    servers: list[BoundServer],
    rules: tuple[VirtualService, ...],
    view: View,
    builder: RouteBuilder,
) -> Built:
    hosts = _hosts(servers, rules)
    # hosts with the same rules share one virtual host, named after the first of them
    groups: dict[tuple[bool, PortNumber, int], tuple[tuple[Ruled, ...], list[str]]] = {}
    for host, entry in sorted(hosts.items()):
        port = entry.server.port
        found = (builder.ruled(rule, view, port, frozenset(through)) for rule, through in entry.bound.values())
        ruled = builder.together(tuple(one for one in found if one is not None))
        if ruled or entry.require_tls:
            groups.setdefault((entry.require_tls, port, id(ruled)), (ruled, []))[1].append(host)
    opened_by = servers[0].server.origin
    parts = [
        builder.part(Frame(f"{named[0]}:{port}", tuple(named), port, require_tls, opened_by), None, ruled)
        for (require_tls, port, _), (ruled, named) in groups.items()
    ]
    return configuration(name, parts or [_nothing(servers[0].server)])


def _hosts(servers: list[BoundServer], rules: tuple[VirtualService, ...]) -> dict[str, _Host]:
    hosts: dict[str, _Host] = {}
    for bound in servers:
        gateway, server = bound.gateway.meta, bound.server
        own_name = f"{gateway.namespace}/{gateway.name}"
        redirects = server.tls is not None and server.tls.https_redirect
        for rule in rules:
            if rule.http and own_name in rule.gateways:
                for host in _served(server, rule):
                    entry = hosts.setdefault(host, _Host(server))
                    entry.require_tls |= redirects
                    entry.bind(rule, own_name)
        if redirects:
            for served in server.hosts:
                hosts.setdefault(served.host, _Host(server)).require_tls = True
    return hosts


def _served(server: Server, rules: VirtualService) -> Iterable[str]:
    """The hosts for which the server takes requests that the VirtualService routes."""
    found = (
        common(served.host, host)
        for served in server.hosts
        if served.namespace in ("*", rules.meta.namespace)
        for host in rules.hosts
    )
    return dict.fromkeys(host for host in found if host is not None)


def _how_public(rules: VirtualService) -> int:
    """Rules that fewer namespaces see come first, as with Istio; the order is otherwise the rules' age."""
    if "*" in rules.export_to:
        return 2
    return 0 if rules.export_to == (rules.meta.namespace,) else 1


def _nothing(server: Server) -> Part:
    """No VirtualService routes anything here: every request is answered with 404."""
    name = f"blackhole:{server.port}"
    host = VirtualHost(name=name, domains=["*"])
    return Part(packed(host), ((ElementPath(f"virtual_hosts[{name}]"), server.origin),))
