"""What one class of proxies gets, put together from tracked parts: by scope, by group of hosts, by listener."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from meshwright.compiler.built import Built
from meshwright.compiler.encode import Encoded, encode
from meshwright.compiler.envoy.clusters import Reach, discovery, service_clusters
from meshwright.compiler.envoy.endpoints import service_endpoints
from meshwright.compiler.envoy.fixed_clusters import fixed_clusters
from meshwright.compiler.envoy.inbound_routes import inbound_route_configs
from meshwright.compiler.envoy.listeners_gateway import gateway_listeners
from meshwright.compiler.envoy.listeners_inbound import inbound_listeners
from meshwright.compiler.envoy.listeners_outbound import Claim, claims, http_proxy, outbound, virtual_outbound
from meshwright.compiler.envoy.routes import RouteBuilder, gateway_routes, sidecar_routes
from meshwright.compiler.envoy.streams import Routed, Rules, service_streams
from meshwright.compiler.envoy.transport import encrypts
from meshwright.compiler.memo import Memo
from meshwright.compiler.resolve.endpoints import Endpoint
from meshwright.compiler.resolve.traffic_policy import client_credentials, policy_of
from meshwright.compiler.tracked import Derived, Ledger
from meshwright.compiler.visibility.buckets import BUCKETS
from meshwright.compiler.visibility.mesh import Mesh, Scope
from meshwright.compiler.visibility.outbound_ports import Shape, shape
from meshwright.compiler.visibility.servers import merge_servers
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.names import Hostname, Namespace, PortNumber, ResourceName, TypeUrl
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Resources
from meshwright.model.service import ServicePort
from meshwright.model.settings import MeshSettings
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

MESH = frozenset({MESH_GATEWAY})
Place = tuple[str, PortNumber]
Parts = tuple[Encoded, ...]
NO_STREAMS = Routed(())


@dataclass(frozen=True, slots=True)
class Reached:
    """A scope together with the way in which its proxies reach services."""

    scope: Scope
    reach: Reach


@dataclass(frozen=True, slots=True)
class Bundle:
    """Encoded resources by type and name, what was found, and which secrets they refer to."""

    resources: Resources
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()


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

    def join(self, bundle: Bundle) -> None:
        for url, found in bundle.resources.items():
            self.resources.setdefault(url, {}).update(found)
        self.findings.update(dict.fromkeys(bundle.findings))
        self.secrets.update(dict.fromkeys(bundle.secrets))

    def done(self) -> Bundle:
        return Bundle(self.resources, tuple(self.findings), tuple(sorted(self.secrets)))


class Assembly:
    """The tables above a Mesh; `bundle(proxy_class)` is what a class gets."""

    def __init__(self, mesh: Mesh, ledger: Ledger) -> None:
        self._mesh = mesh
        self._builder = RouteBuilder(audit=ledger.audit)
        self._parts = Memo(_service_parts, audit=ledger.audit)
        self._reaches: dict[Reach, Reach] = {}
        self._listeners: dict[ProxyClass, dict[Place, tuple[tuple[Claim, ...], MeshSettings, Encoded]]] = {}
        self._encoded: dict[ProxyClass, dict[int, tuple[Built, Encoded]]] = {}
        self.host = Derived[tuple[Reached, Hostname], Parts](ledger, self._host)
        self.hosts = Derived[tuple[Reached, int], Bundle](ledger, self._host_bundle)
        self.claims = Derived[tuple[ProxyClass, int], Claims](ledger, self._claims)
        self.outbound = Derived[ProxyClass, Parts](ledger, self._outbound)
        self.own = Derived[ProxyClass, Parts](ledger, self._own)
        self.routes = Derived[ProxyClass, Parts](ledger, self._routed)
        self.bundle = Derived[ProxyClass, Bundle](ledger, self._bundle)

    def turn(self) -> None:
        """End a round."""
        self._parts.turn()

    def sweep(self, classes: frozenset[ProxyClass]) -> None:
        """Forget what none of `classes` needs; costs a look at everything."""
        reached = {self._reached(one) for one in classes}
        self.host.keep(lambda key: key[0] in reached)
        self.hosts.keep(lambda key: key[0] in reached)
        self.claims.keep(lambda key: key[0] in classes)
        for table in (self.outbound, self.own, self.routes, self.bundle):
            table.keep(classes.__contains__)
        self._listeners = {key: kept for key, kept in self._listeners.items() if key in classes}
        self._encoded = {key: kept for key, kept in self._encoded.items() if key in classes}
        self._builder.turn()
        for proxy_class in classes:
            self._routed(proxy_class)  # ask for all routes once: what nobody asks for goes
        self._builder.turn()

    # ---------------------------------------------------------------- of a class

    def _bundle(self, proxy_class: ProxyClass) -> Bundle:
        gathering = _Gathering()
        gathering.add(self.own(proxy_class))
        reached = self._reached(proxy_class)
        for bucket in range(BUCKETS):
            gathering.join(self.hosts((reached, bucket)))
        if _is_redirected(proxy_class):
            gathering.add(self.outbound(proxy_class))
        gathering.add(self.routes(proxy_class))
        return gathering.done()

    def _own(self, proxy_class: ProxyClass) -> Parts:
        """What depends on the class alone, and at gateways all listeners."""
        settings = self._mesh.settings
        built = [*fixed_clusters(proxy_class, settings)]
        if proxy_class.role is Role.ROUTER:
            view = self._view(proxy_class)
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

    def _routed(self, proxy_class: ProxyClass) -> Parts:
        view = self._view(proxy_class)
        make = gateway_routes if proxy_class.role is Role.ROUTER else sidecar_routes
        before = self._encoded.get(proxy_class, {})
        after: dict[int, tuple[Built, Encoded]] = {}
        for built in make(view, self._builder):
            after[id(built)] = before.get(id(built)) or (built, encode(built))
        self._encoded[proxy_class] = after
        return tuple(encoded for _, encoded in after.values())

    def _outbound(self, proxy_class: ProxyClass) -> Parts:
        """Listeners of all claims; one whose claims did not change is kept."""
        claimed: dict[Place, list[Claim]] = {}
        findings: list[Diagnostic] = []
        for bucket in range(BUCKETS):
            found = self.claims((proxy_class, bucket))
            findings += found.findings
            for place, wanted in found.places.items():
                claimed.setdefault(place, []).extend(wanted)
        settings = self._mesh.settings
        before = self._listeners.get(proxy_class, {})
        after: dict[Place, tuple[tuple[Claim, ...], MeshSettings, Encoded]] = {}
        for place in sorted(claimed):
            wanted = tuple(dict.fromkeys(claimed[place]))
            kept = before.get(place)
            if kept is None or kept[1] is not settings or kept[0] != wanted:
                kept = (wanted, settings, encode(outbound(wanted, settings)))
            after[place] = kept
        self._listeners[proxy_class] = after
        return (*(encoded for _, _, encoded in after.values()), Encoded(None, tuple(findings)))

    def _claims(self, key: tuple[ProxyClass, int]) -> Claims:
        proxy_class, bucket = key
        scope = scope_of(proxy_class)
        made: dict[Place, dict[Claim, None]] = {}
        findings: list[Diagnostic] = []
        for visible in self._mesh.bucket((scope, bucket)).values():
            for port in visible.service.ports:
                streams = self._streams(visible, port, proxy_class)
                findings += streams.findings
                for claim in claims(visible.service, port, self._addresses(visible), streams.streams):
                    made.setdefault((claim.bind, claim.port), {})[claim] = None
        return Claims({place: tuple(found) for place, found in made.items()}, tuple(findings))

    def _streams(self, visible: VisibleService, port: ServicePort, proxy_class: ProxyClass) -> Routed:
        if shape(visible.service, port) in (Shape.NONE, Shape.HTTP):
            return NO_STREAMS
        rules = Rules(proxy_class, MESH, TrackedServices(self._mesh, scope_of(proxy_class)))
        return service_streams(visible, port, self._streaming(proxy_class), rules)

    def _addresses(self, visible: VisibleService) -> tuple[Endpoint, ...]:
        """Endpoints are listened for one by one where clients choose among them."""
        service = visible.service
        return self._mesh.endpoints((service.meta.ref, service.host)) if service.headless else ()

    def _streaming(self, proxy_class: ProxyClass) -> tuple[VirtualService, ...]:
        return self._mesh.streaming(proxy_class.namespace, MESH_GATEWAY)

    def _view(self, proxy_class: ProxyClass) -> View:
        mesh = self._mesh
        scope = scope_of(proxy_class)
        buckets = tuple(mesh.bucket((scope, bucket)) for bucket in range(BUCKETS))
        services: dict[Hostname, VisibleService] = {}
        for bucket in buckets:
            services.update(bucket)
        chosen: tuple[Gateway, ...] = ()
        if proxy_class.role is Role.ROUTER:
            matched = frozenset(proxy_class.matched)
            chosen = tuple(one for one in mesh.gateways() if one.meta.ref in matched)
        return View(
            proxy_class=proxy_class,
            settings=mesh.settings,
            services=services,
            virtual_services=self._bound(proxy_class.namespace, chosen, proxy_class.role),
            gateways=chosen,
            secrets=mesh.secrets(proxy_class.namespace),
            buckets=buckets,
        )

    def _bound(self, namespace: Namespace, gateways: Iterable[Gateway], role: Role) -> tuple[VirtualService, ...]:
        if role is Role.SIDECAR:
            return self._mesh.virtual_services((namespace, MESH_GATEWAY))
        names = [f"{one.meta.namespace}/{one.meta.name}" for one in gateways]
        found = [self._mesh.virtual_services((namespace, name)) for name in names]
        if len(found) == 1:
            return found[0]
        once = {id(rule): rule for rules in found for rule in rules}
        return tuple(sorted(once.values(), key=lambda rule: rule.meta.age))

    # ---------------------------------------------------------------- of a scope

    def _reached(self, proxy_class: ProxyClass) -> Reached:
        reach = Reach(proxy_class.role, proxy_class.interception)
        return Reached(scope_of(proxy_class), self._reaches.setdefault(reach, reach))

    def _host_bundle(self, key: tuple[Reached, int]) -> Bundle:
        reached, bucket = key
        gathering = _Gathering()
        for host in self._mesh.hosts(bucket):
            gathering.add(self.host((reached, host)))
        return gathering.done()

    def _host(self, key: tuple[Reached, Hostname]) -> Parts:
        reached, host = key
        mesh = self._mesh
        visible = mesh.visible((host, reached.scope))
        if visible is None:
            return ()
        service = visible.service
        endpoints = mesh.endpoints((service.meta.ref, service.host))
        unusable = tuple(self._unusable(visible, reached.scope))
        return self._parts(visible, endpoints, reached.reach, mesh.settings, unusable)

    def _unusable(self, visible: VisibleService, scope: Scope) -> Iterator[str]:
        """Credentials of the service's rule that this scope may not have, or that are not there."""
        rule = visible.rule
        names = client_credentials(rule) if rule is not None else ()
        if not names:
            return
        secrets = self._mesh.secrets(scope.namespace)
        allowed = scope.role is Role.ROUTER or bool(rule is not None and rule.workload_selector)
        yield from (name for name in names if not allowed or name not in secrets)


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


def scope_of(proxy_class: ProxyClass) -> Scope:
    """What of a class decides which services and rules it sees."""
    rules = tuple(ref for ref in proxy_class.matched if ref.kind == "DestinationRule")
    return Scope(proxy_class.role, proxy_class.namespace, rules)


def _is_redirected(proxy_class: ProxyClass) -> bool:
    return proxy_class.role is Role.SIDECAR and proxy_class.interception is not Interception.NONE


def _service_parts(
    visible: VisibleService,
    endpoints: tuple[Endpoint, ...],
    reach: Reach,
    settings: MeshSettings,
    unusable: tuple[str, ...],
) -> Parts:
    """Clusters and load assignments of one service."""
    built = [*service_clusters(visible, endpoints, reach, settings, unusable)]
    built += _assignments(visible, endpoints, reach, settings)
    return tuple(map(encode, built))


def _assignments(
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
