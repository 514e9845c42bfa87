"""One group of services becomes its virtual hosts in every route configuration of one class of sidecars.

The group is what is remembered: a change of one service, or of a rule for it, builds one group again and leaves the
others as they are, bytes and all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from meshwright.compiler.envoy.domains import domains, full_names, with_port
from meshwright.compiler.envoy.route_builder import RouteBuilder, destination_hosts
from meshwright.compiler.envoy.virtual_hosts import Frame, Part, Ruled
from meshwright.compiler.names import HTTP_PROXY, port_routes
from meshwright.compiler.resolve.hosts import covers
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.outbound_ports import routes_name
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Hostname, PortNumber, ResourceName
from meshwright.model.proxy import Interception
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

MESH = frozenset({MESH_GATEWAY})
HTTP_PORT = PortNumber(80)  # where hosts are served that only a VirtualService knows
DIGEST_BYTES = 16
Owned = tuple[tuple[Hostname, VirtualService], ...]
Aliases = tuple[tuple[Hostname, Service], ...]


@dataclass(frozen=True, slots=True)
class Owners:
    """Which VirtualService routes which host: the most specific, and of equal ones the oldest.

    `exact` holds hosts by bucket, `wildcards` patterns, longest first.
    """

    exact: tuple[Owned, ...]
    wildcards: Owned
    findings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A virtual host to be: `must` are domains it claims before others get to claim `may`.

    `service` is None for a host that only a VirtualService knows.
    """

    host: Hostname
    port: PortNumber
    must: tuple[str, ...]
    may: tuple[str, ...]
    service: VisibleService | None
    ruled: tuple[Ruled, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One group's part of one configuration. `domains` are all that it claims; `clean`: none of them twice.

    `serves` is False when only VirtualServices know its hosts, which alone make no configuration.
    """

    entries: tuple[Entry, ...]
    part: Part
    digest: bytes
    domains: frozenset[str]
    clean: bool
    serves: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The services of one bucket and everything that decides about their virtual hosts."""

    services: Mapping[Hostname, VisibleService]
    owned: Owned
    wildcards: Owned
    aliases: Aliases


def owners_of(rules: Iterable[VirtualService]) -> Owners:
    """`rules` come oldest first; those without http rules, or for gateways only, own nothing here."""
    exact: dict[Hostname, VirtualService] = {}
    wildcards: dict[Hostname, VirtualService] = {}
    findings: list[Diagnostic] = []
    for rule in rules:
        for index, host in enumerate(rule.hosts if rule.http and MESH_GATEWAY in rule.gateways else ()):
            owner = (wildcards if host.startswith("*") else exact).setdefault(host, rule)
            if owner is not rule:
                at = rule.meta.origin.field("spec").field("hosts").item(index)
                findings.append(Diagnostic(codes.HOST_TAKEN, at, (str(owner.meta.ref), host)))
    groups: list[list[tuple[Hostname, VirtualService]]] = [[] for _ in range(BUCKETS)]
    for host, rule in sorted(exact.items(), key=lambda pair: pair[0]):
        groups[bucket_of(host)].append((host, rule))
    longest_first = sorted(wildcards.items(), key=lambda pair: (-len(pair[0]), pair[0]))
    return Owners(tuple(tuple(group) for group in groups), tuple(longest_first), tuple(findings))


def aliases_in(services: Mapping[Hostname, VisibleService]) -> Aliases:
    """The ExternalName services of a bucket, with the hosts they stand for."""
    return tuple(
        (seen.service.alias_of, seen.service) for seen in services.values() if seen.service.alias_of is not None
    )


def touched(group: Group, services: Mapping[Hostname, VisibleService]) -> frozenset[int]:
    """The buckets whose content the group's rules refer to. A host that nobody has concerns all of them: the finding
    about it proposes another host.
    """
    found: set[int] = set()
    rules = {id(rule): rule for _, rule in (*group.owned, *group.wildcards)}
    for rule in rules.values():
        for host in destination_hosts(rule):
            seen = services.get(host)
            if seen is None:
                return frozenset(range(BUCKETS))
            found.add(bucket_of(host))
            target = seen.service.alias_of
            if target is not None:
                found.add(bucket_of(target))
    return frozenset(found)


def covered(group: Group) -> frozenset[Hostname]:
    """The wildcards that include a host of the group."""
    return frozenset(
        pattern for pattern, _ in group.wildcards if any(covers(pattern, host) for host in group.services)
    )


def chunks_of(group: Group, view: View, builder: RouteBuilder) -> dict[ResourceName, Chunk]:
    """The group's part of each configuration."""
    found: dict[ResourceName, list[Entry]] = {}
    for name, entry in _entries(group, view, builder):
        found.setdefault(name, []).append(entry)
    return {name: chunk(entries, builder) for name, entries in found.items()}


def chunk(entries: list[Entry], builder: RouteBuilder) -> Chunk:
    """Virtual hosts with all the domains they ask for."""
    parts = [builder.part(frame(entry, wanted(entry)), entry.service, entry.ruled) for entry in entries]
    claimed = [domain for entry in entries for domain in wanted(entry)]
    once = frozenset(claimed)
    part = joined(parts)
    return Chunk(
        tuple(entries),
        part,
        blake2b(part.value, digest_size=DIGEST_BYTES).digest(),
        once,
        clean=len(once) == len(claimed),
        serves=any(entry.service is not None for entry in entries),
    )


def wanted(entry: Entry) -> tuple[str, ...]:
    """The domains of an entry that meets no rival."""
    return tuple(dict.fromkeys((*entry.must, *entry.may)))


def frame(entry: Entry, names: tuple[str, ...]) -> Frame:
    return Frame(f"{entry.host}:{entry.port}", names, entry.port)


def joined(parts: Iterable[Part]) -> Part:
    """Pieces of a configuration, one after the other."""
    pieces = tuple(parts)
    return Part(
        b"".join(piece.value for piece in pieces),
        tuple(origin for piece in pieces for origin in piece.origins),
        tuple(dict.fromkeys(finding for piece in pieces for finding in piece.findings)),
    )


def foreign_entry(host: Hostname, rules: VirtualService, view: View, builder: RouteBuilder) -> Entry | None:
    """A host that no service has: it is served on port 80, for whoever asks for it there."""
    ruled = builder.ruled(rules, view, HTTP_PORT, MESH)
    if ruled is None:
        return None
    must = with_port((host,), HTTP_PORT) if is_proxied(view) else (host,)
    return Entry(host, HTTP_PORT, must, (), None, (ruled,))


def foreign_routes(view: View) -> ResourceName:
    """The configuration that serves such hosts."""
    return HTTP_PROXY if is_proxied(view) else port_routes(HTTP_PORT)


def is_proxied(view: View) -> bool:
    """Whether clients name the proxy (http_proxy) instead of being intercepted."""
    return view.proxy_class.interception is Interception.NONE


def _entries(group: Group, view: View, builder: RouteBuilder) -> Iterator[tuple[ResourceName, Entry]]:
    owned = dict(group.owned)
    aliases: dict[Hostname, list[Service]] = {}
    for target, service in group.aliases:
        aliases.setdefault(target, []).append(service)
    for host, seen in group.services.items():
        rules = owned.get(host) or next((rule for pattern, rule in group.wildcards if covers(pattern, host)), None)
        names = (seen.service, *aliases.get(host, ()))
        for port in seen.service.ports:
            own = routes_name(seen.service, port)
            if own is not None:
                ruled = None if rules is None else builder.ruled(rules, view, port.number, MESH)
                entry = _service_entry(own, names, port.number, view)
                ruling = () if ruled is None else (ruled,)
                made = Entry(host, port.number, *entry, seen, ruling)
                yield HTTP_PROXY if is_proxied(view) else own, made
    for host, rules in group.owned:
        if host not in group.services:
            foreign = foreign_entry(host, rules, view, builder)
            if foreign is not None:
                yield foreign_routes(view), foreign


def _service_entry(
    own: ResourceName, named: tuple[Service, ...], port: PortNumber, view: View
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The domains that a service must and may have."""
    if not is_proxied(view) and own != port_routes(port):  # a listener of this service alone
        return ("*",), ()
    namespace, suffix = view.proxy_class.namespace, view.settings.cluster_domain
    must = tuple(domain for one in named for domain in full_names(one))
    may = tuple(domain for one in named for domain in domains(one, namespace, suffix))
    if is_proxied(view):
        return with_port(must, port), with_port(may, port)
    return must, may
