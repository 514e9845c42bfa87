"""The services and VirtualServices that a sidecar sees become its outbound route configurations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from meshwright.compiler.built import Built
from meshwright.compiler.envoy.domains import domains, full_names, with_port
from meshwright.compiler.envoy.gateway_routes import gateway_routes
from meshwright.compiler.envoy.route_builder import RouteBuilder, configuration
from meshwright.compiler.envoy.virtual_hosts import Frame, Part, Ruled, packed
from meshwright.compiler.features.timeout import set_timeout
from meshwright.compiler.names import HTTP_PROXY, PASSTHROUGH, port_routes
from meshwright.compiler.resolve.hosts import covers
from meshwright.compiler.visibility.outbound_ports import route_names, routes_name
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Hostname, PortNumber, ResourceName
from meshwright.model.proxy import Interception
from meshwright.model.service import Service
from meshwright.model.settings import OutboundMode
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

__all__ = ["RouteBuilder", "gateway_routes", "sidecar_routes"]

MESH = frozenset({MESH_GATEWAY})
HTTP_PORT = PortNumber(80)  # where hosts are served that only a VirtualService knows
BAD_GATEWAY = 502


@dataclass(frozen=True, slots=True)
class Owners:
    """Which VirtualService routes which host: the most specific, and of equal ones the oldest."""

    exact: dict[str, VirtualService]
    wildcards: tuple[tuple[str, VirtualService], ...]  # longest first
    findings: tuple[Diagnostic, ...]

    def of(self, host: str) -> VirtualService | None:
        """The VirtualService for a service's host."""
        if (owner := self.exact.get(host)) is not None:
            return owner
        return next((owner for pattern, owner in self.wildcards if covers(pattern, host)), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """A virtual host to be: `must` are domains it claims before others get to claim `may`."""

    host: Hostname
    port: PortNumber
    must: tuple[str, ...]
    may: tuple[str, ...]
    service: VisibleService | None
    ruled: tuple[Ruled, ...]


@dataclass(frozen=True, slots=True)
class _Sidecar:
    """One view whose route configurations are in the making."""

    view: View
    builder: RouteBuilder
    owners: Owners
    aliases: Mapping[Hostname, tuple[Service, ...]]
    proxied: bool  # clients name the proxy (http_proxy) instead of being intercepted

    def entries(self) -> dict[ResourceName, list[Entry]]:
        """Per configuration: services in the order of their hosts, then hosts that only VirtualServices know."""
        found: dict[ResourceName, list[Entry]] = {name: [] for name in self.names()}
        for seen in self.view.services.values():
            for port in seen.service.ports:
                own = routes_name(seen.service, port)
                if own is not None:
                    found[HTTP_PROXY if self.proxied else own].append(self._service_entry(own, seen, port.number))
        shared = found.get(HTTP_PROXY if self.proxied else port_routes(HTTP_PORT))
        if shared is not None:
            shared.extend(self._foreign_entries())
        return found

    def names(self) -> tuple[ResourceName, ...]:
        services = (seen.service for seen in self.view.services.values())
        return (HTTP_PROXY,) if self.proxied else route_names(services)

    def built(self, name: ResourceName, entries: list[Entry], findings: tuple[Diagnostic, ...]) -> Built:
        """Claim the domains, full names before short ones, and join the virtual hosts."""
        claimed = {domain for entry in entries for domain in entry.must}
        parts: list[Part] = []
        taken = set[str]()
        for entry in entries:
            mine = tuple(domain for domain in dict.fromkeys(entry.must) if domain not in taken)
            free = (domain for domain in dict.fromkeys(entry.may) if domain not in claimed and domain not in taken)
            names = (*mine, *free)
            taken.update(names)
            if names:
                frame = Frame(f"{entry.host}:{entry.port}", names, entry.port)
                parts.append(self.builder.part(frame, entry.service, entry.ruled))
        if "*" not in taken:
            parts.append(_everything_else(_unknown_hosts(self.view, proxied=self.proxied)))
        return configuration(name, parts, ignore_port=not self.proxied, findings=findings)

    def _service_entry(self, own: ResourceName, seen: VisibleService, port: PortNumber) -> Entry:
        service = seen.service
        rules = self.owners.of(service.host)
        ruled = None if rules is None else self.builder.ruled(rules, self.view, port, MESH)
        ruling = () if ruled is None else (ruled,)
        if not self.proxied and own != port_routes(port):  # a listener of this service alone
            return Entry(service.host, port, ("*",), (), seen, ruling)
        named = (service, *self.aliases.get(service.host, ()))
        namespace, suffix = self.view.proxy_class.namespace, self.view.settings.cluster_domain
        must = tuple(domain for one in named for domain in full_names(one))
        may = tuple(domain for one in named for domain in domains(one, namespace, suffix))
        if self.proxied:
            must, may = with_port(must, port), with_port(may, port)
        return Entry(service.host, port, must, may, seen, ruling)

    def _foreign_entries(self) -> Iterator[Entry]:
        known = self.view.services
        for host, rules in sorted((*self.owners.exact.items(), *self.owners.wildcards), key=itemgetter(0)):
            if host in known or (host.startswith("*") and any(covers(host, service) for service in known)):
                continue
            ruled = self.builder.ruled(rules, self.view, HTTP_PORT, MESH)
            if ruled is not None:
                must = with_port((host,), HTTP_PORT) if self.proxied else (host,)
                yield Entry(Hostname(host), HTTP_PORT, must, (), None, (ruled,))


def sidecar_routes(view: View, builder: RouteBuilder) -> tuple[Built, ...]:
    """One configuration per name that the class's listeners refer to."""
    proxied = view.proxy_class.interception is Interception.NONE
    made = _Sidecar(view, builder, _owners(view.virtual_services), _aliases(view), proxied)
    findings = made.owners.findings
    built: list[Built] = []
    for name, entries in made.entries().items():
        built.append(made.built(name, entries, findings))
        findings = ()  # told once
    return tuple(built)


def _owners(rules: Iterable[VirtualService]) -> Owners:
    """`rules` come oldest first; those without http rules own nothing here."""
    exact: dict[str, VirtualService] = {}
    wildcards: dict[str, VirtualService] = {}
    findings: list[Diagnostic] = []
    for rule in rules:
        for index, host in enumerate(rule.hosts if rule.http else ()):
            owner = (wildcards if host.startswith("*") else exact).setdefault(host, rule)
            if owner is not rule:
                at = rule.meta.origin.field("spec").field("hosts").item(index)
                findings.append(Diagnostic(codes.HOST_TAKEN, at, (str(owner.meta.ref), host)))
    longest_first = sorted(wildcards.items(), key=lambda pair: (-len(pair[0]), pair[0]))
    return Owners(exact, tuple(longest_first), tuple(findings))


def _aliases(view: View) -> dict[Hostname, tuple[Service, ...]]:
    """ExternalName services by the host they stand for."""
    found: dict[Hostname, tuple[Service, ...]] = {}
    for seen in view.services.values():
        target = seen.service.alias_of
        if target is not None:
            found[target] = (*found.get(target, ()), seen.service)
    return found


def _unknown_hosts(view: View, *, proxied: bool) -> VirtualHost:
    """What happens to requests for hosts that no virtual host answers for.

    A forward proxy has no original destination to pass a request on to, so there they are refused too.
    """
    if proxied or view.settings.outbound_mode is OutboundMode.REGISTRY_ONLY:
        refuse = Route(name="block_all", match=RouteMatch(prefix="/"))
        refuse.direct_response.status = BAD_GATEWAY
        return VirtualHost(name="block_all", domains=["*"], routes=[refuse], include_request_attempt_count=True)
    allow = Route(name="allow_any", match=RouteMatch(prefix="/"))
    allow.route.cluster = PASSTHROUGH
    set_timeout(allow.route, None)
    return VirtualHost(name="allow_any", domains=["*"], routes=[allow], include_request_attempt_count=True)


def _everything_else(host: VirtualHost) -> Part:
    return Part(packed(host))
