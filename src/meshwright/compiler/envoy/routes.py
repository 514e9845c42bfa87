"""The services and VirtualServices that a sidecar sees become its outbound route configurations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import compress
from operator import is_, is_not

from meshwright.compiler.built import Built
from meshwright.compiler.envoy import sidecar_hosts as hosts
from meshwright.compiler.envoy.gateway_routes import gateway_routes
from meshwright.compiler.envoy.route_builder import RouteBuilder, configuration
from meshwright.compiler.envoy.sidecar_hosts import Aliases, Chunk, Entry, Group, Hosts
from meshwright.compiler.envoy.virtual_hosts import Part, packed
from meshwright.compiler.features.timeout import set_timeout
from meshwright.compiler.memo import ImpureError
from meshwright.compiler.names import HTTP_PROXY, PASSTHROUGH, is_sniffed
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.owners import Owners
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.metric_tags import REFUSING_ROUTE
from meshwright.model.names import ROUTES, Hostname, ResourceName
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings, OutboundMode

__all__ = ["RouteBuilder", "gateway_routes", "own_routes", "sidecar_routes"]

BAD_GATEWAY = 502
Buckets = tuple[Mapping[Hostname, VisibleService], ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A group with what was made of it. `touched`: the buckets that its rules refer to. `named` are the ExternalName
    services in it, for the groups of their targets. `chunks` are parts of configurations that groups share, `own` the
    configurations of one service's port each.
    """

    group: Group
    hosts: Hosts
    chunks: Mapping[ResourceName, Chunk]
    own: Mapping[ResourceName, "_Made"]
    covered: frozenset[Hostname]
    named: Aliases
    touched: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Made:
    """A configuration and the chunks it was made of; `settled`: some of them claimed a domain twice."""

    chunks: tuple[Chunk, ...]
    settled: bool
    built: Built

    def holds(self, chunks: tuple[Chunk, ...]) -> bool:
        """Whether the same would be made of `chunks`."""
        if self.settled or len(self.chunks) != len(chunks):
            return _same(self.chunks, chunks)
        return all(
            old is new or (old.part is new.part and old.domains is new.domains)
            for old, new in zip(self.chunks, chunks, strict=True)
        )


@dataclass(slots=True)
class SidecarMemory:
    """What is remembered of one class of sidecars from one compilation to the next."""

    settings: MeshSettings
    owners: Owners | None = None
    buckets: Buckets = ()
    groups: tuple[_Kept, ...] = ()
    aliases: Mapping[int, Aliases] = field(default_factory=dict[int, Aliases])
    foreign: dict[Hostname, Chunk] = field(default_factory=dict[Hostname, Chunk])
    rivals: dict[ResourceName, bool] = field(default_factory=dict[ResourceName, bool])
    built: dict[ResourceName, _Made] = field(default_factory=dict[ResourceName, _Made])


def sidecar_routes(view: View, builder: RouteBuilder) -> tuple[Built, ...]:
    """The configurations that services share, one per port; those of single services' ports are `own_routes`.
    Unchanged ones are the same objects as in the last compilation.
    """
    memory = builder.memory.get(view.proxy_class)
    if not isinstance(memory, SidecarMemory) or memory.settings != view.settings:
        memory = builder.memory[view.proxy_class] = SidecarMemory(view.settings)
    if _regrouped(memory, view, builder):
        memory.built = _configurations(memory, view, builder)
    made = tuple(one.built for one in memory.built.values())
    findings = view.owners.findings()
    if not findings:
        return made
    # an empty message carries findings only
    return (*made, Built(ROUTES, ResourceName("virtual services"), RouteConfiguration(), findings=findings))


def own_routes(view: View, builder: RouteBuilder) -> tuple[tuple[Built, ...], ...]:
    """After `sidecar_routes`: by group of hosts the configurations of services' own listeners; () without any."""
    memory = builder.memory.get(view.proxy_class)
    assert isinstance(memory, SidecarMemory)
    found = [kept.own for kept in memory.groups]
    return tuple([tuple([one.built for one in own.values()]) for own in found]) if any(found) else ()


def _regrouped(memory: SidecarMemory, view: View, builder: RouteBuilder) -> bool:
    """Bring the groups up to date; whether there was anything to do."""
    buckets, owners, before = view.buckets or _buckets(view.services), view.owners, memory.owners
    everything = range(BUCKETS)
    if before is None or before.wildcards is not owners.wildcards:
        changed = dirty = frozenset(everything)
    else:
        changed = frozenset(compress(everything, map(is_not, memory.buckets, buckets)))
        dirty = changed.union(compress(everything, map(is_not, before.exact, owners.exact)))
    if changed:
        dirty |= _touched(memory, changed)
        aliases = _aliases(memory, buckets, changed)
        dirty |= {at for at in everything if not _same_pairs(memory.aliases.get(at, ()), aliases.get(at, ()))}
        memory.aliases = aliases
    memory.buckets, memory.owners = buckets, owners
    groups = list(memory.groups or (None,) * BUCKETS)
    for index in sorted(dirty):
        kept = groups[index]
        groups[index] = _keep(_group(memory, owners, index), kept, view, builder, changed)
    memory.groups = tuple(kept for kept in groups if kept is not None)
    if builder.audit:
        _audit(memory, owners, view, builder)
    return bool(dirty)


def _touched(memory: SidecarMemory, changed: frozenset[int]) -> frozenset[int]:
    """The groups whose rules refer to a bucket in `changed`."""
    return frozenset(index for index, kept in enumerate(memory.groups) if not kept.touched.isdisjoint(changed))


def _group(memory: SidecarMemory, owners: Owners, index: int) -> Group:
    wildcards, aliases = owners.wildcards.hosts, memory.aliases.get(index, ())
    return Group(memory.buckets[index], owners.exact[index].hosts, wildcards, aliases)


def _aliases(memory: SidecarMemory, buckets: Buckets, changed: frozenset[int]) -> Mapping[int, Aliases]:
    """The ExternalName services by the bucket of the host they stand for."""
    found: dict[int, list[tuple[Hostname, Service]]] = {}
    for index, bucket in enumerate(buckets):
        for target, service in hosts.aliases_in(bucket) if index in changed else memory.groups[index].named:
            found.setdefault(bucket_of(target), []).append((target, service))
    return {index: tuple(pairs) for index, pairs in found.items()}


def _keep(group: Group, last: _Kept | None, view: View, builder: RouteBuilder, changed: frozenset[int]) -> _Kept:
    made = hosts.hosts_of(group, view, builder, last.hosts if last is not None else {}, changed)
    known: Mapping[ResourceName, _Made] = last.own if last is not None else {}
    before = {name: one.chunks[0] for name, one in known.items()}
    before.update(last.chunks if last is not None else {})
    chunks = hosts.chunks_of(made, before)
    own: dict[ResourceName, _Made] = {}
    for name in [name for name in chunks if is_sniffed(name)]:
        alone, old = (chunks.pop(name),), known.get(name)
        own[name] = old if old is not None and old.holds(alone) else _joined(name, alone, view, builder)
    around = frozenset[int]().union(*(host.touched for host in made.values()))
    return _Kept(group, made, chunks, own, hosts.covered(group), hosts.aliases_in(group.services), around)


def _audit(memory: SidecarMemory, owners: Owners, view: View, builder: RouteBuilder) -> None:
    """What was kept must come out equal when it is made anew."""
    for index, kept in enumerate(memory.groups):
        if hosts.hosts_of(_group(memory, owners, index), view, builder, {}, frozenset()) != kept.hosts:
            raise ImpureError(view.proxy_class, index)


def _configurations(memory: SidecarMemory, view: View, builder: RouteBuilder) -> dict[ResourceName, _Made]:
    by_name: dict[ResourceName, list[Chunk]] = {HTTP_PROXY: []} if hosts.is_proxied(view) else {}
    for kept in memory.groups:
        for name, chunk in kept.chunks.items():
            by_name.setdefault(name, []).append(chunk)
    foreign = by_name.get(hosts.foreign_routes(view))
    if foreign is not None:
        foreign.extend(_wildcard_chunks(memory, view, builder))
    made: dict[ResourceName, _Made] = {}
    for name in sorted(by_name):
        chunks = tuple(by_name[name])
        if name == HTTP_PROXY or any(chunk.serves for chunk in chunks):
            last = memory.built.get(name)
            made[name] = (
                last if last is not None and last.holds(chunks) else _built(name, chunks, view, builder, memory)
            )
    return made


def _wildcard_chunks(memory: SidecarMemory, view: View, builder: RouteBuilder) -> Iterable[Chunk]:
    """Wildcards that no service's host fulfils are hosts that only VirtualServices know."""
    name = hosts.foreign_routes(view)
    covered = frozenset[Hostname]().union(*(kept.covered for kept in memory.groups))
    for pattern, rules in view.owners.wildcards.hosts:
        entry = None if pattern in covered else hosts.foreign_entry(pattern, rules, view, builder)
        if entry is not None:
            made = memory.foreign.get(pattern)
            if made is None or not _same(made.pieces[0].entry.ruled, entry.ruled):
                made = memory.foreign[pattern] = hosts.chunk((hosts.piece(name, entry, builder),))
            yield made


def _rivals(memory: SidecarMemory, name: ResourceName, chunks: tuple[Chunk, ...]) -> bool:
    """Whether two chunks claim one domain; looked at again only when a chunk claims others than before."""
    last = memory.built.get(name)
    if last is not None and name in memory.rivals and len(last.chunks) == len(chunks):
        pairs = zip(last.chunks, chunks, strict=True)
        if all(old.domains is new.domains or old.domains == new.domains for old, new in pairs):
            return memory.rivals[name]
    return len(frozenset[str]().union(*(chunk.domains for chunk in chunks))) < sum(len(c.domains) for c in chunks)


def _built(
    name: ResourceName, chunks: tuple[Chunk, ...], view: View, builder: RouteBuilder, memory: SidecarMemory
) -> _Made:
    rivals = memory.rivals[name] = _rivals(memory, name, chunks)
    return _joined(name, chunks, view, builder, rivals=rivals)


def _joined(
    name: ResourceName, chunks: tuple[Chunk, ...], view: View, builder: RouteBuilder, *, rivals: bool = False
) -> _Made:
    pieces = [chunk.part for chunk in chunks]
    digest = b"".join([chunk.digest for chunk in chunks])
    settled = rivals or not all(chunk.clean for chunk in chunks)
    if settled:
        pieces, digest = _settled([piece.entry for chunk in chunks for piece in chunk.pieces], builder), b""
    if not any("*" in chunk.domains for chunk in chunks):
        rest = Part(packed(_unknown_hosts(view)))
        pieces, digest = [*pieces, rest], digest and digest + rest.value
    short = blake2b(digest, digest_size=hosts.DIGEST_BYTES).digest() if digest else b""
    built = configuration(name, pieces, ignore_port=not hosts.is_proxied(view), tail_digest=short)
    return _Made(chunks, settled, built)


def _settled(entries: list[Entry], builder: RouteBuilder) -> list[Part]:
    """Some want the same domain: full names go before short ones, services before others, then the host decides."""
    claimed = {domain for entry in entries for domain in entry.must}
    parts: list[Part] = []
    taken = set[str]()
    for entry in sorted(entries, key=lambda entry: (entry.service is None, entry.host)):
        mine = tuple(domain for domain in dict.fromkeys(entry.must) if domain not in taken)
        free = (domain for domain in dict.fromkeys(entry.may) if domain not in claimed and domain not in taken)
        names = (*mine, *free)
        taken.update(names)
        if names:
            parts.append(builder.part(hosts.frame(entry, names), entry.service, entry.ruled))
    return parts


def _unknown_hosts(view: View) -> VirtualHost:
    """What happens to requests for hosts that no virtual host answers for.

    A forward proxy has no original destination to pass a request on to, so there they are refused too.
    """
    if hosts.is_proxied(view) or view.settings.outbound_mode is OutboundMode.REGISTRY_ONLY:
        refuse = Route(name=REFUSING_ROUTE, match=RouteMatch(prefix="/"))
        refuse.direct_response.status = BAD_GATEWAY
        return VirtualHost(name=REFUSING_ROUTE, domains=["*"], routes=[refuse], include_request_attempt_count=True)
    allow = Route(name="allow_any", match=RouteMatch(prefix="/"))
    allow.route.cluster = PASSTHROUGH
    set_timeout(allow.route, None)
    return VirtualHost(name="allow_any", domains=["*"], routes=[allow], include_request_attempt_count=True)


def _buckets(services: Mapping[Hostname, VisibleService]) -> Buckets:
    """For a view that comes without."""
    made: tuple[dict[Hostname, VisibleService], ...] = tuple({} for _ in range(BUCKETS))
    for host, seen in services.items():
        made[bucket_of(host)][host] = seen
    return made


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two sequences hold the very same objects."""
    return one is other or (len(one) == len(other) and all(map(is_, one, other)))


def _same_pairs(one: Sequence[tuple[str, object]], other: Sequence[tuple[str, object]]) -> bool:
    """Whether the same names have the very same objects."""
    if one is other:
        return True
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(mine[1] is its[1] and mine[0] == its[0] for mine, its in pairs)
