"""What one class of proxies gets, put together from tracked parts: by scope, by group of hosts, by listener."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import is_

from meshwright.compiler.built import Built
from meshwright.compiler.encode import Encoded, encode
from meshwright.compiler.envoy.clusters import DNS_TYPES, Reach, discovery, service_clusters
from meshwright.compiler.envoy.endpoints import service_endpoints
from meshwright.compiler.envoy.fixed_clusters import fixed_clusters
from meshwright.compiler.envoy.inbound_routes import inbound_route_configs
from meshwright.compiler.envoy.listeners_gateway import gateway_listeners
from meshwright.compiler.envoy.listeners_inbound import inbound_listeners
from meshwright.compiler.envoy.listeners_outbound import Claim, claims, http_proxy, outbound, virtual_outbound
from meshwright.compiler.envoy.routes import RouteBuilder, gateway_routes, own_routes, sidecar_routes
from meshwright.compiler.envoy.streams import Routed, Rules, service_streams
from meshwright.compiler.envoy.transport import encrypts
from meshwright.compiler.memo import Memo, Shared
from meshwright.compiler.resolve.endpoints import Endpoint
from meshwright.compiler.resolve.traffic_policy import client_credentials, policy_of
from meshwright.compiler.tracked import Derived, Ledger
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.mesh import Mesh, Scope
from meshwright.compiler.visibility.outbound_ports import Shape, shape
from meshwright.compiler.visibility.servers import merge_servers
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.model.chunked import NOTHING, ChunkedMapping
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.names import ROUTES, Hostname, Namespace, PortNumber, ResourceName, TypeUrl
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Resources
from meshwright.model.service import Service, ServicePort
from meshwright.model.settings import MeshSettings
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

MESH = frozenset({MESH_GATEWAY})
Place = tuple[str, PortNumber]
Parts = tuple[Encoded, ...]
NO_STREAMS = Routed(())


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """A scope together with the way in which its proxies reach services. One object per pair, as a cheap key."""

    scope: Scope
    reach: Reach


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """A class with what follows from it. One object per class, as a cheap key."""

    proxy_class: ProxyClass
    reached: Reached

    @property
    def scope(self) -> Scope:
        return self.reached.scope


@dataclass(frozen=True, slots=True)
class Bundle:
    """Encoded resources by type and name, what was found, and which secrets they refer to."""

    resources: Resources
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()


NO_BUNDLE = Bundle({})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a group of hosts wants of listeners, and what was wrong with the rules for its connections."""

    places: Mapping[Place, tuple[Claim, ...]]
    findings: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Gathering:
    """A Bundle in the making; the first resource of a name stands."""

    resources: dict[TypeUrl, dict[ResourceName, EncodedResource]] = field(
        default_factory=dict[TypeUrl, dict[ResourceName, EncodedResource]]
    )
    findings: dict[Diagnostic, None] = field(default_factory=dict[Diagnostic, None])
    secrets: dict[ResourceName, None] = field(default_factory=dict[ResourceName, None])

    def add(self, parts: Iterable[Encoded]) -> None:
        for part in parts:
            self.findings.update(dict.fromkeys(part.findings))
            self.secrets.update(dict.fromkeys(part.secrets))
            if (made := part.resource) is not None:
                self.resources.setdefault(made.type_url, {}).setdefault(made.name, made)

    def done(self) -> Bundle:
        return Bundle(self.resources, tuple(self.findings), tuple(sorted(self.secrets)))


class Assembly:
    """The tables above a Mesh; `bundle(client(proxy_class))` is what a class gets."""

    def __init__(self, mesh: Mesh, ledger: Ledger) -> None:
        self._mesh = mesh
        self._builder = RouteBuilder(audit=ledger.audit)
        self._make_clusters = Memo(_clusters, audit=ledger.audit)
        self._make_assignments = Memo(_assignments, audit=ledger.audit)
        # scopes that see the same share what is put together for them
        self._group = Shared[Parts, Bundle](_gathered)
        self._join = Shared[Bundle, Bundle](_joined)
        self._plain: dict[int, tuple[Service, Sequence[Claim] | None]] = {}  # holds what its key is made of
        self._reaches: dict[Reach, Reach] = {}  # one object each: scopes of equal reach share clusters
        self._reached: dict[tuple[Scope, Reach], Reached] = {}
        self._clients: dict[ProxyClass, Client] = {}
        self._listeners: dict[Client, dict[Place, tuple[tuple[Claim, ...], MeshSettings, Encoded]]] = {}
        self._grouped: dict[Client, Sequence[tuple[tuple[Built, ...], tuple[Encoded, ...], Bundle]]] = {}
        self._encoded: dict[Client, dict[int, tuple[Built, Encoded]]] = {}
        self.clusters = Derived[tuple[Reached, Hostname], Parts](ledger, self._clusters)
        self.assignments = Derived[tuple[Reached, Hostname], Parts](ledger, self._assignments)
        self.cluster_groups = Derived[tuple[Reached, int], Bundle](ledger, self._cluster_group)
        self.assignment_groups = Derived[tuple[Reached, int], Bundle](ledger, self._assignment_group)
        self.all_clusters = Derived[Reached, Bundle](ledger, self._all_clusters)
        self.all_assignments = Derived[Reached, Bundle](ledger, self._all_assignments)
        self.claims = Derived[tuple[Client, int], Claims](ledger, self._claims)
        self.outbound = Derived[Client, Parts](ledger, self._outbound)
        self.own = Derived[Client, Parts](ledger, self._own)
        self.local = Derived[Client, Bundle](ledger, self._local)
        self.routes = Derived[Client, Bundle](ledger, self._routed)
        self.bundle = Derived[Client, Bundle](ledger, self._bundle)

    def turn(self, classes: Collection[ProxyClass]) -> None:
        """End a round. `classes` are all that there are now."""
        self._builder.turn(classes)
        self._make_clusters.turn()
        self._make_assignments.turn()
        self._group.turn()
        self._join.turn()

    def client(self, proxy_class: ProxyClass) -> Client:
        """The key of a class."""
        found = self._clients.get(proxy_class)
        if found is None:
            rules = tuple(ref for ref in proxy_class.matched if ref.kind == "DestinationRule")
            scope = self._mesh.scope(proxy_class.role, proxy_class.namespace, rules)
            reach = Reach(proxy_class.role, proxy_class.interception)
            reach = self._reaches.setdefault(reach, reach)
            reached = self._reached.setdefault((scope, reach), Reached(scope, reach))
            found = self._clients[proxy_class] = Client(proxy_class, reached)
        return found

    def sweep(self, classes: frozenset[ProxyClass]) -> frozenset[Scope]:
        """Forget what none of `classes` needs, and say which scopes they need; costs a look at everything."""
        self._clients = {key: client for key, client in self._clients.items() if key in classes}
        clients = frozenset(self._clients.values())
        self._reached = {key: one for key, one in self._reached.items() if any(one is c.reached for c in clients)}
        reached = frozenset(self._reached.values())
        self.clusters.keep(lambda key: key[0] in reached)
        self.assignments.keep(lambda key: key[0] in reached)
        self.cluster_groups.keep(lambda key: key[0] in reached)
        self.assignment_groups.keep(lambda key: key[0] in reached)
        self.all_clusters.keep(reached.__contains__)
        self.all_assignments.keep(reached.__contains__)
        self._plain.clear()
        self.claims.keep(lambda key: key[0] in clients)
        for table in (self.outbound, self.own, self.local, self.routes, self.bundle):
            table.keep(clients.__contains__)
        self._listeners = {key: kept for key, kept in self._listeners.items() if key in clients}
        self._grouped = {key: kept for key, kept in self._grouped.items() if key in clients}
        self._encoded = {key: kept for key, kept in self._encoded.items() if key in clients}
        return frozenset(one.scope for one in reached)

    # ---------------------------------------------------------------- of a class

    def _bundle(self, client: Client) -> Bundle:
        """What comes first stands where two have a name. Only the hosts' parts are large; they are never copied."""
        layers = [
            self.all_clusters(client.reached),
            self.all_assignments(client.reached),
            self.local(client),
            self.routes(client),
        ]
        resources: dict[TypeUrl, Mapping[ResourceName, EncodedResource]] = {}
        for layer in layers:
            for url, found in layer.resources.items():
                known = resources.get(url)
                if known is None:
                    resources[url] = found
                elif isinstance(known, ChunkedMapping):
                    resources[url] = known.with_rest(found)
                elif isinstance(found, ChunkedMapping):
                    resources[url] = found.with_rest(known)
                else:
                    resources[url] = {**found, **known}
        findings = dict.fromkeys(chain.from_iterable(layer.findings for layer in layers))
        secrets = {name for layer in layers for name in layer.secrets}
        return Bundle(resources, tuple(findings), tuple(sorted(secrets)))

    def _local(self, client: Client) -> Bundle:
        """What no change of a service's routes, endpoints or policy concerns."""
        gathering = _Gathering()
        gathering.add(self.own(client))
        if client.reached.reach.knows_original_destination:
            gathering.add(self.outbound(client))
        return gathering.done()

    def _own(self, client: Client) -> Parts:
        """What depends on the class alone, and at gateways all listeners."""
        settings, proxy_class = self._mesh.settings, client.proxy_class
        built = [*fixed_clusters(proxy_class, settings)]
        if proxy_class.role is Role.ROUTER:
            view = self._view(client)
            merged = merge_servers(view.gateways, proxy_class.gateway_ports)
            built += gateway_listeners(view, merged.value)
            return (*map(encode, built), Encoded(None, merged.findings))
        built += inbound_listeners(proxy_class, settings)
        built += inbound_route_configs(proxy_class)
        if proxy_class.interception is Interception.NONE:
            built.append(http_proxy(proxy_class.address, settings))
        else:
            built.append(virtual_outbound(settings))
        return tuple(map(encode, built))

    def _routed(self, client: Client) -> Bundle:
        view = self._view(client)
        make = gateway_routes if client.proxy_class.role is Role.ROUTER else sidecar_routes
        before = self._encoded.get(client, {})
        after: dict[int, tuple[Built, Encoded]] = {}
        for built in make(view, self._builder):
            after[id(built)] = before.get(id(built)) or (built, encode(built))
        self._encoded[client] = after
        gathering = _Gathering()
        gathering.add(encoded for _, encoded in after.values())
        shared = gathering.done()
        own = self._own_routes(client, view) if client.proxy_class.role is Role.SIDECAR else ()
        if not any(bundle.resources for bundle in own):
            return shared
        chunks = tuple(bundle.resources.get(ROUTES, NOTHING) for bundle in own)
        findings = dict.fromkeys(chain.from_iterable(bundle.findings for bundle in (shared, *own)))
        secrets = {name for bundle in (shared, *own) for name in bundle.secrets}
        rest = shared.resources.get(ROUTES, NOTHING)
        return Bundle({ROUTES: ChunkedMapping(chunks, route_group_of, rest)}, tuple(findings), tuple(sorted(secrets)))

    def _own_routes(self, client: Client, view: View) -> tuple[Bundle, ...]:
        """The routes of listeners that one service has alone, by group; a group that stayed is the same object."""
        before = self._grouped.get(client, ())
        after: list[tuple[tuple[Built, ...], tuple[Encoded, ...], Bundle]] = []
        for index, built in enumerate(own_routes(view, self._builder)):
            kept = before[index] if before else ((), (), NO_BUNDLE)
            if len(kept[0]) != len(built) or not all(map(is_, kept[0], built)):
                known = {id(one): encoded for one, encoded in zip(kept[0], kept[1], strict=True)}
                encoded = tuple(known.get(id(one)) or encode(one) for one in built)
                kept = (built, encoded, _gathered((encoded,)))
            after.append(kept)
        self._grouped[client] = after
        return tuple(bundle for _, _, bundle in after)

    def _outbound(self, client: Client) -> Parts:
        """Listeners of all claims; one whose claims did not change is kept."""
        claimed: dict[Place, list[Claim]] = {}
        findings: list[Diagnostic] = []
        for bucket in range(BUCKETS):
            found = self.claims((client, bucket))
            findings += found.findings
            for place, wanted in found.places.items():
                claimed.setdefault(place, []).extend(wanted)
        settings = self._mesh.settings
        before = self._listeners.get(client, {})
        after: dict[Place, tuple[tuple[Claim, ...], MeshSettings, Encoded]] = {}
        for place in sorted(claimed):
            wanted = tuple(dict.fromkeys(claimed[place]))
            kept = before.get(place)
            if kept is None or kept[1] is not settings or kept[0] != wanted:
                kept = (wanted, settings, encode(outbound(wanted, settings)))
            after[place] = kept
        self._listeners[client] = after
        return (*(encoded for _, _, encoded in after.values()), Encoded(None, tuple(findings)))

    def _claims(self, key: tuple[Client, int]) -> Claims:
        client, bucket = key
        made: dict[Place, dict[Claim, None]] = {}
        findings: list[Diagnostic] = []
        for visible in self._mesh.bucket((client.scope, bucket)).values():
            wanted = self._plain_claims(visible.service)
            if wanted is None:
                routed = [(port, self._streams(visible, port, client)) for port in visible.service.ports]
                addresses = self._addresses(visible)
                wanted = [
                    claim for port, one in routed for claim in claims(visible.service, port, addresses, one.streams)
                ]
                findings += [finding for _, one in routed for finding in one.findings]
            for claim in wanted:
                made.setdefault((claim.bind, claim.port), {})[claim] = None
        return Claims({place: tuple(found) for place, found in made.items()}, tuple(findings))

    def _plain_claims(self, service: Service) -> Sequence[Claim] | None:
        """What a service wants whose ports are for HTTP alone, so that nothing but the service decides it; None for
        others.
        """
        kept = self._plain.get(id(service))
        if kept is None:
            plain = all(shape(service, port) in (Shape.NONE, Shape.HTTP) for port in service.ports)
            made = [claim for port in service.ports for claim in claims(service, port, (), ())] if plain else None
            kept = self._plain[id(service)] = (service, made)
        return kept[1]

    def _streams(self, visible: VisibleService, port: ServicePort, client: Client) -> Routed:
        if shape(visible.service, port) in (Shape.NONE, Shape.HTTP):
            return NO_STREAMS
        rules = Rules(client.proxy_class, MESH, TrackedServices(self._mesh, client.scope))
        virtual_services = self._mesh.streaming(client.proxy_class.namespace, MESH_GATEWAY)
        return service_streams(visible, port, virtual_services, rules)

    def _addresses(self, visible: VisibleService) -> tuple[Endpoint, ...]:
        """Endpoints are listened for one by one where clients choose among them."""
        service = visible.service
        return self._mesh.endpoints((service.meta.ref, service.host)) if service.headless else ()

    def _view(self, client: Client) -> View:
        mesh, scope, proxy_class = self._mesh, client.scope, client.proxy_class
        services = mesh.seen(scope)
        if proxy_class.role is Role.SIDECAR:
            owners = mesh.owners(proxy_class.namespace)
            return View(proxy_class, mesh.settings, services, (), (), {}, services.chunks()[:BUCKETS], owners)
        matched = frozenset(proxy_class.matched)
        chosen = tuple(one for one in mesh.gateways() if one.meta.ref in matched)
        return View(
            proxy_class=proxy_class,
            settings=mesh.settings,
            services=services,
            virtual_services=self._bound(proxy_class.namespace, chosen),
            gateways=chosen,
            secrets=mesh.secrets(proxy_class.namespace),
        )

    def _bound(self, namespace: Namespace, gateways: Iterable[Gateway]) -> tuple[VirtualService, ...]:
        names = [f"{one.meta.namespace}/{one.meta.name}" for one in gateways]
        found = [self._mesh.virtual_services((namespace, name)) for name in names]
        if len(found) == 1:
            return found[0]
        once = {id(rule): rule for rules in found for rule in rules}
        return tuple(sorted(once.values(), key=lambda rule: rule.meta.age))

    # ---------------------------------------------------------------- of a scope

    def _all_clusters(self, reached: Reached) -> Bundle:
        return self._join(tuple([self.cluster_groups((reached, bucket)) for bucket in range(BUCKETS)]))

    def _all_assignments(self, reached: Reached) -> Bundle:
        return self._join(tuple([self.assignment_groups((reached, bucket)) for bucket in range(BUCKETS)]))

    def _cluster_group(self, key: tuple[Reached, int]) -> Bundle:
        reached, bucket = key
        return self._group(tuple([self.clusters((reached, host)) for host in self._mesh.hosts(bucket)]))

    def _assignment_group(self, key: tuple[Reached, int]) -> Bundle:
        reached, bucket = key
        return self._group(tuple([self.assignments((reached, host)) for host in self._mesh.hosts(bucket)]))

    def _clusters(self, key: tuple[Reached, Hostname]) -> Parts:
        """Made without a look at endpoints, but where they stand in the cluster itself."""
        reached, host = key
        mesh = self._mesh
        visible = mesh.visible((host, reached.scope))
        if visible is None:
            return ()
        service = visible.service
        listed = mesh.endpoints((service.meta.ref, service.host)) if service.resolution in DNS_TYPES else ()
        unusable = tuple(self._unusable(visible, reached.scope))
        return self._make_clusters(visible, listed, reached.reach, mesh.settings, unusable)

    def _assignments(self, key: tuple[Reached, Hostname]) -> Parts:
        reached, host = key
        mesh = self._mesh
        visible = mesh.visible((host, reached.scope))
        if visible is None:
            return ()
        service = visible.service
        endpoints = mesh.endpoints((service.meta.ref, service.host))
        return self._make_assignments(visible, endpoints, reached.reach, mesh.settings)

    def _unusable(self, visible: VisibleService, scope: Scope) -> Iterator[str]:
        """Credentials of the service's rule that this scope may not have, or that are not there."""
        rule = visible.rule
        names = client_credentials(rule) if rule is not None else ()
        if not names:
            return
        secrets = self._mesh.secrets(scope.namespace)
        allowed = scope.role is Role.ROUTER or bool(rule is not None and rule.workload_selector)
        yield from (name for name in names if not allowed or name not in secrets or secrets[name].problem)


def _gathered(parts: tuple[Parts, ...]) -> Bundle:
    gathering = _Gathering()
    for part in parts:
        gathering.add(part)
    return gathering.done()


def _joined(bundles: tuple[Bundle, ...]) -> Bundle:
    """The groups of all hosts stay apart, as chunks."""
    urls = dict.fromkeys(chain.from_iterable(bundle.resources for bundle in bundles))
    resources = {
        url: ChunkedMapping(tuple(bundle.resources.get(url, NOTHING) for bundle in bundles), group_of) for url in urls
    }
    findings = dict.fromkeys(chain.from_iterable(bundle.findings for bundle in bundles))
    secrets = {name for bundle in bundles for name in bundle.secrets}
    return Bundle(resources, tuple(findings), tuple(sorted(secrets)))


def group_of(name: ResourceName) -> int:
    """The group of the host in the name of a cluster or load assignment (see `names.outbound_cluster`)."""
    return bucket_of(name.rpartition("|")[2])


def route_group_of(name: ResourceName) -> int:
    """The group of the host in the name of a service's own routes (see `names.sniffed_routes`)."""
    return bucket_of(name.partition(":")[0])


class TrackedServices(Mapping[Hostname, VisibleService]):
    """What a scope sees as a mapping that reads no more of the mesh than it is asked for."""

    def __init__(self, mesh: Mesh, scope: Scope) -> None:
        self._mesh = mesh
        self._scope = scope

    def __getitem__(self, host: Hostname) -> VisibleService:
        found = self._mesh.visible((host, self._scope))
        if found is None:
            raise KeyError(host)
        return found

    def __iter__(self) -> Iterator[Hostname]:
        for bucket in range(BUCKETS):
            yield from self._mesh.bucket((self._scope, bucket))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _clusters(
    visible: VisibleService,
    endpoints: tuple[Endpoint, ...],
    reach: Reach,
    settings: MeshSettings,
    unusable: tuple[str, ...],
) -> Parts:
    return tuple(map(encode, service_clusters(visible, endpoints, reach, settings, unusable)))


def _assignments(
    visible: VisibleService, endpoints: tuple[Endpoint, ...], reach: Reach, settings: MeshSettings
) -> Parts:
    return tuple(map(encode, _loads(visible, endpoints, reach, settings)))


def _loads(
    visible: VisibleService, endpoints: tuple[Endpoint, ...], reach: Reach, settings: MeshSettings
) -> Iterator[Built]:
    service = visible.service
    if service.alias_of is not None:
        return
    subsets = visible.rule.subsets if visible.rule is not None else ()
    for port in service.ports:
        if port.protocol is Protocol.UDP:
            continue
        for subset in (None, *subsets):
            policy = policy_of(visible.rule, subset, port.number)
            if discovery(service, policy, reach) == Cluster.EDS:
                tls = encrypts(visible, policy, settings)
                yield service_endpoints(service, port, subset, endpoints, encrypts=tls)
