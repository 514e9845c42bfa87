"""The services and VirtualServices that a sidecar sees become its outbound route configurations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from operator import is_

from meshwright.compiler.built import Built
from meshwright.compiler.envoy import sidecar_hosts as hosts
from meshwright.compiler.envoy.gateway_routes import gateway_routes
from meshwright.compiler.envoy.route_builder import RouteBuilder, configuration
from meshwright.compiler.envoy.sidecar_hosts import Aliases, Chunk, Entry, Group, Owners
from meshwright.compiler.envoy.virtual_hosts import Part, packed
from meshwright.compiler.features.timeout import set_timeout
from meshwright.compiler.memo import ImpureError
from meshwright.compiler.names import HTTP_PROXY, PASSTHROUGH
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.names import ROUTES, Hostname, ResourceName
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings, OutboundMode
from meshwright.model.virtual_service import VirtualService

__all__ = ["RouteBuilder", "gateway_routes", "sidecar_routes"]

BAD_GATEWAY = 502
Buckets = tuple[Mapping[Hostname, VisibleService], ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A group with the chunks that were made of it, and the contents of the buckets that its rules refer to.

    `named` are the ExternalName services in it, for the groups of their targets.
    """

    group: Group
    chunks: Mapping[ResourceName, Chunk]
    covered: frozenset[Hostname]
    named: Aliases
    touched: tuple[tuple[int, Mapping[Hostname, VisibleService]], ...]

    def holds(self, group: Group, buckets: Buckets) -> bool:
        """Whether the same chunks would be made of this group now."""
        mine = self.group
        same = mine.services is group.services and _same_pairs(mine.owned, group.owned)
        same = same and _same_pairs(mine.wildcards, group.wildcards) and _same_pairs(mine.aliases, group.aliases)
        return same and all(buckets[index] is content for index, content in self.touched)


@dataclass(slots=True)
class SidecarMemory:
    """What is remembered of one class of sidecars from one compilation to the next."""

    settings: MeshSettings
    rules: tuple[VirtualService, ...] = ()
    owners: Owners | None = None
    groups: tuple[_Kept, ...] = ()
    foreign: dict[Hostname, Chunk] = field(default_factory=dict[Hostname, Chunk])
    rivals: dict[ResourceName, bool] = field(default_factory=dict[ResourceName, bool])
    built: dict[ResourceName, tuple[tuple[Chunk, ...], Built]] = field(
        default_factory=dict[ResourceName, tuple[tuple[Chunk, ...], Built]]
    )


def sidecar_routes(view: View, builder: RouteBuilder) -> tuple[Built, ...]:
    """One configuration per name that the class's listeners refer to; unchanged ones are the same objects as in
    the last compilation.
    """
    memory = builder.memory.get(view.proxy_class)
    if not isinstance(memory, SidecarMemory) or memory.settings != view.settings:
        memory = builder.memory[view.proxy_class] = SidecarMemory(view.settings)
    owners = _owners(memory, view.virtual_services, builder)
    memory.groups = _groups(memory, view, owners, builder)
    memory.built = _configurations(memory, view, owners, builder)
    made = tuple(built for _, built in memory.built.values())
    if not owners.findings:
        return made
    # an empty message carries findings only
    told = Built(ROUTES, ResourceName("virtual services"), RouteConfiguration(), findings=owners.findings)
    return (*made, told)


def _owners(memory: SidecarMemory, rules: tuple[VirtualService, ...], builder: RouteBuilder) -> Owners:
    """Classes that see the same VirtualServices share the answer; a group of hosts that stayed is the same object."""
    if memory.owners is None or not _same(memory.rules, rules):
        last = builder.owners
        known = last[1] if last is not None and isinstance(last[1], Owners) else None
        if known is None or last is None or last[0] is not rules:
            known = _stable(hosts.owners_of(rules), known)
            builder.owners = (rules, known)
        memory.rules, memory.owners = rules, known
    return memory.owners


def _stable(owners: Owners, last: Owners | None) -> Owners:
    if last is None:
        return owners
    pairs = zip(owners.exact, last.exact, strict=True)
    return replace(owners, exact=tuple(old if _same_pairs(new, old) else new for new, old in pairs))


def _groups(memory: SidecarMemory, view: View, owners: Owners, builder: RouteBuilder) -> tuple[_Kept, ...]:
    buckets = view.buckets or _buckets(view.services)
    aliases: dict[int, list[tuple[Hostname, Service]]] = {}
    for index, bucket in enumerate(buckets):
        kept = memory.groups[index] if memory.groups else None
        known = kept is not None and kept.group.services is bucket
        for target, service in kept.named if kept is not None and known else hosts.aliases_in(bucket):
            aliases.setdefault(bucket_of(target), []).append((target, service))
    made: list[_Kept] = []
    for index, bucket in enumerate(buckets):
        group = Group(bucket, owners.exact[index], owners.wildcards, tuple(aliases.get(index, ())))
        kept = memory.groups[index] if memory.groups else None
        if kept is None or not kept.holds(group, buckets):
            kept = _keep(group, buckets, view, builder)
        elif builder.audit and hosts.chunks_of(group, view, builder) != kept.chunks:
            raise ImpureError(view.proxy_class, index)
        made.append(kept)
    return tuple(made)


def _keep(group: Group, buckets: Buckets, view: View, builder: RouteBuilder) -> _Kept:
    touched = tuple((index, buckets[index]) for index in sorted(hosts.touched(group, view.services)))
    named = hosts.aliases_in(group.services)
    return _Kept(group, hosts.chunks_of(group, view, builder), hosts.covered(group), named, touched)


def _configurations(
    memory: SidecarMemory, view: View, owners: Owners, builder: RouteBuilder
) -> dict[ResourceName, tuple[tuple[Chunk, ...], Built]]:
    by_name: dict[ResourceName, list[Chunk]] = {HTTP_PROXY: []} if hosts.is_proxied(view) else {}
    for kept in memory.groups:
        for name, chunk in kept.chunks.items():
            by_name.setdefault(name, []).append(chunk)
    foreign = by_name.get(hosts.foreign_routes(view))
    if foreign is not None:
        foreign.extend(_wildcard_chunks(memory, view, owners, builder))
    made: dict[ResourceName, tuple[tuple[Chunk, ...], Built]] = {}
    for name in sorted(by_name):
        chunks = tuple(by_name[name])
        if name != HTTP_PROXY and not any(chunk.serves for chunk in chunks):
            continue
        last = memory.built.get(name)
        made[name] = (
            last
            if last is not None and _same(last[0], chunks)
            else (chunks, _built(name, chunks, view, builder, memory))
        )
    return made


def _wildcard_chunks(memory: SidecarMemory, view: View, owners: Owners, builder: RouteBuilder) -> Iterable[Chunk]:
    """Wildcards that no service's host fulfils are hosts that only VirtualServices know."""
    covered = frozenset[Hostname]().union(*(kept.covered for kept in memory.groups))
    for pattern, rules in owners.wildcards:
        entry = None if pattern in covered else hosts.foreign_entry(pattern, rules, view, builder)
        if entry is not None:
            made = memory.foreign.get(pattern)
            if made is None or not _same(made.entries[0].ruled, entry.ruled):
                made = memory.foreign[pattern] = hosts.chunk([entry], builder)
            yield made


def _rivals(memory: SidecarMemory, name: ResourceName, chunks: tuple[Chunk, ...]) -> bool:
    """Whether two chunks claim one domain; looked at again only when a chunk claims others than before."""
    last = memory.built.get(name)
    if last is not None and name in memory.rivals and len(last[0]) == len(chunks):
        pairs = zip(last[0], chunks, strict=True)
        if all(old.domains is new.domains or old.domains == new.domains for old, new in pairs):
            return memory.rivals[name]
    return len(frozenset[str]().union(*(chunk.domains for chunk in chunks))) < sum(len(c.domains) for c in chunks)


def _built(
    name: ResourceName, chunks: tuple[Chunk, ...], view: View, builder: RouteBuilder, memory: SidecarMemory
) -> Built:
    rivals = memory.rivals[name] = _rivals(memory, name, chunks)
    pieces = [chunk.part for chunk in chunks]
    digest = b"".join(chunk.digest for chunk in chunks)
    if rivals or not all(chunk.clean for chunk in chunks):
        pieces, digest = _settled([entry for chunk in chunks for entry in chunk.entries], builder), b""
    if not any("*" in chunk.domains for chunk in chunks):
        rest = Part(packed(_unknown_hosts(view)))
        pieces, digest = [*pieces, rest], digest and digest + rest.value
    short = blake2b(digest, digest_size=hosts.DIGEST_BYTES).digest() if digest else b""
    return configuration(name, pieces, ignore_port=not hosts.is_proxied(view), tail_digest=short)


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
        refuse = Route(name="block_all", match=RouteMatch(prefix="/"))
        refuse.direct_response.status = BAD_GATEWAY
        return VirtualHost(name="block_all", domains=["*"], routes=[refuse], include_request_attempt_count=True)
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
