"""One group of services becomes its virtual hosts in every route configuration of one class of sidecars.

The group is what is remembered: a change of one service, or of a rule for it, builds one group again and leaves the
others as they are, bytes and all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from operator import is_

from meshwright.compiler.envoy.domains import domains, full_names, with_port
from meshwright.compiler.envoy.route_builder import RouteBuilder, destination_hosts
from meshwright.compiler.envoy.virtual_hosts import Frame, Part, Ruled
from meshwright.compiler.names import HTTP_PROXY, port_routes
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.outbound_ports import routes_name
from meshwright.compiler.visibility.owners import Owned
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.model.hosts import covers
from meshwright.model.names import Hostname, PortNumber, ResourceName
from meshwright.model.proxy import Interception
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

MESH = frozenset({MESH_GATEWAY})
HTTP_PORT = PortNumber(80)  # where hosts are served that only a VirtualService knows
DIGEST_BYTES = 16
Aliases = tuple[tuple[Hostname, Service], ...]
Reads = tuple[tuple[Hostname, VisibleService], ...]


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
class Piece:
    """An entry as it comes out when nobody else claims one of its `domains`, and the configuration it belongs to."""

    configuration: ResourceName
    entry: Entry
    domains: tuple[str, ...]
    part: Part
    digest: bytes


@dataclass(frozen=True, slots=True)
class Host:
    """The pieces of one host and what they were made of: nothing else decides about them.

    `reads` are the hosts that its rules send requests to, as they were seen; `touched` their buckets: all of them
    where a host is not there, for the finding about it proposes another one.
    """

    service: VisibleService | None
    rules: VirtualService | None
    aliases: tuple[Service, ...]
    reads: Reads
    touched: frozenset[int]
    pieces: tuple[Piece, ...]

    def is_of(
        self, service: VisibleService | None, rules: VirtualService | None, aliases: tuple[Service, ...]
    ) -> bool:
        """Whether it was made of these."""
        same = self.service is service and self.rules is rules and len(self.aliases) == len(aliases)
        return same and (not aliases or all(map(is_, self.aliases, aliases)))

    def holds(self, services: Mapping[Hostname, VisibleService], changed: frozenset[int]) -> bool:
        """Whether what its rules refer to is what it was; `changed` are the buckets with another content."""
        if self.touched.isdisjoint(changed):
            return True
        return len(self.touched) < BUCKETS and all(services.get(host) is seen for host, seen in self.reads)


Hosts = Mapping[Hostname, Host]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One group's part of one configuration. `domains` are all that it claims; `clean`: none of them twice.

    `serves` is False when only VirtualServices know its hosts, which alone make no configuration.
    """

    pieces: tuple[Piece, ...]
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


def aliases_in(services: Mapping[Hostname, VisibleService]) -> Aliases:
    """The ExternalName services of a bucket, with the hosts they stand for."""
    return tuple(
        (seen.service.alias_of, seen.service) for seen in services.values() if seen.service.alias_of is not None
    )


def reads_of(rules: VirtualService, services: Mapping[Hostname, VisibleService]) -> tuple[Reads, frozenset[int]]:
    """The hosts that rules refer to as they are seen, and the buckets of these (see `Host`)."""
    found: dict[Hostname, VisibleService] = {}
    for host in destination_hosts(rules):
        seen = services.get(host)
        if seen is None:
            return (), frozenset(range(BUCKETS))
        found[host] = seen
        target = seen.service.alias_of
        if target is not None:
            aimed = services.get(target)
            if aimed is None:
                return (), frozenset(range(BUCKETS))
            found[target] = aimed
    return tuple(found.items()), frozenset(map(bucket_of, found))


def covered(group: Group) -> frozenset[Hostname]:
    """The wildcards that include a host of the group."""
    return frozenset(
        pattern for pattern, _ in group.wildcards if any(covers(pattern, host) for host in group.services)
    )


def hosts_of(group: Group, view: View, builder: RouteBuilder, last: Hosts, changed: frozenset[int]) -> Hosts:
    """The hosts of a group. Those of `last` are kept which nothing concerns that is different now; `changed` are the
    buckets with another content than when `last` was made.
    """
    owned = dict(group.owned)
    aliases: dict[Hostname, tuple[Service, ...]] = {}
    for target, service in group.aliases:
        aliases[target] = (*aliases.get(target, ()), service)
    made: dict[Hostname, Host] = {}
    for host, seen in group.services.items():
        rules = owned.get(host) or next((rule for pattern, rule in group.wildcards if covers(pattern, host)), None)
        names = aliases.get(host, ())
        old = last.get(host)
        if old is None or not (old.is_of(seen, rules, names) and old.holds(view.services, changed)):
            old = _host(host, seen, rules, names, view, builder)
        made[host] = old
    for host, rules in group.owned:
        if host not in made:
            old = last.get(host)
            if old is None or not (old.is_of(None, rules, ()) and old.holds(view.services, changed)):
                old = _foreign_host(host, rules, view, builder)
            made[host] = old
    return made


def chunks_of(hosts: Hosts, last: Mapping[ResourceName, Chunk]) -> dict[ResourceName, Chunk]:
    """A group's part of each configuration."""
    found: dict[ResourceName, list[Piece]] = {}
    for host in hosts.values():
        for piece in host.pieces:
            found.setdefault(piece.configuration, []).append(piece)
    return {name: chunk(tuple(pieces), last.get(name)) for name, pieces in found.items()}


def chunk(pieces: tuple[Piece, ...], last: Chunk | None = None) -> Chunk:
    """Virtual hosts with all the domains they ask for. What is the same as in `last` are the same objects."""
    serves = any(piece.entry.service is not None for piece in pieces)
    if last is not None and len(last.pieces) == len(pieces):
        if all(map(is_, last.pieces, pieces)):
            return last
        if all(old.part is new.part for old, new in zip(last.pieces, pieces, strict=True)):
            return Chunk(pieces, last.part, last.digest, last.domains, last.clean, serves)
    claimed = list(chain.from_iterable([piece.domains for piece in pieces]))
    once = frozenset(claimed)
    digest = blake2b(b"".join(piece.digest for piece in pieces), digest_size=DIGEST_BYTES).digest()
    return Chunk(pieces, joined(piece.part for piece in pieces), digest, once, len(once) == len(claimed), serves)


def piece(configuration: ResourceName, entry: Entry, builder: RouteBuilder) -> Piece:
    """An entry with all the domains it asks for."""
    names = wanted(entry)
    part = builder.part(frame(entry, names), entry.service, entry.ruled)
    return Piece(configuration, entry, names, part, blake2b(part.value, digest_size=DIGEST_BYTES).digest())


def wanted(entry: Entry) -> tuple[str, ...]:
    """The domains of an entry that meets no rival."""
    return tuple(dict.fromkeys((*entry.must, *entry.may)))


def frame(entry: Entry, names: tuple[str, ...]) -> Frame:
    return Frame(f"{entry.host}:{entry.port}", names, entry.port)


def joined(parts: Iterable[Part]) -> Part:
    """Pieces of a configuration, one after the other."""
    pieces = tuple(parts)
    return Part(
        b"".join([piece.value for piece in pieces]),
        tuple(chain.from_iterable([piece.origins for piece in pieces])),
        tuple(dict.fromkeys(chain.from_iterable([piece.findings for piece in pieces]))),
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


def _host(
    host: Hostname,
    seen: VisibleService,
    rules: VirtualService | None,
    aliases: tuple[Service, ...],
    view: View,
    builder: RouteBuilder,
) -> Host:
    made: list[Piece] = []
    for port in seen.service.ports:
        own = routes_name(seen.service, port)
        if own is not None:
            ruled = None if rules is None else builder.ruled(rules, view, port.number, MESH)
            domains = _service_entry(own, (seen.service, *aliases), port.number, view)
            entry = Entry(host, port.number, *domains, seen, () if ruled is None else (ruled,))
            made.append(piece(HTTP_PROXY if is_proxied(view) else own, entry, builder))
    reads, around = ((), frozenset[int]()) if rules is None else reads_of(rules, view.services)
    return Host(seen, rules, aliases, reads, around, tuple(made))


def _foreign_host(host: Hostname, rules: VirtualService, view: View, builder: RouteBuilder) -> Host:
    entry = foreign_entry(host, rules, view, builder)
    made = () if entry is None else (piece(foreign_routes(view), entry, builder),)
    return Host(None, rules, (), *reads_of(rules, view.services), made)


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
