"""The only door of the compiler: a Snapshot in, encoded resources per proxy class out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from meshwright.compiler.built import Built
from meshwright.compiler.encode import Encoded, encode
from meshwright.compiler.envoy.bootstrap import Sockets, live_bootstrap
from meshwright.compiler.envoy.clusters import Reach, discovery, service_clusters
from meshwright.compiler.envoy.endpoints import service_endpoints
from meshwright.compiler.envoy.fixed_clusters import fixed_clusters
from meshwright.compiler.envoy.inbound_routes import inbound_route_configs
from meshwright.compiler.envoy.listeners_gateway import gateway_listeners
from meshwright.compiler.envoy.listeners_inbound import inbound_listeners
from meshwright.compiler.envoy.listeners_outbound import Claim, claims, http_proxy, outbound, virtual_outbound
from meshwright.compiler.envoy.routes import RouteBuilder, gateway_routes, sidecar_routes
from meshwright.compiler.envoy.static_bootstrap import StaticSecret, resources_json, static_bootstrap
from meshwright.compiler.envoy.streams import Rules, service_streams
from meshwright.compiler.envoy.transport import encrypts
from meshwright.compiler.resolve import destination_rules, peer_authentication, services
from meshwright.compiler.resolve.endpoints import Endpoint, Surroundings, endpoints_of, selected
from meshwright.compiler.resolve.traffic_policy import policy_of
from meshwright.compiler.visibility.classes import router_class, sidecar_class
from meshwright.compiler.visibility.outbound_ports import Shape, shape
from meshwright.compiler.visibility.servers import merge_servers
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.names import Hostname, Namespace, ProxyName, ResourceName, TypeUrl
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, Proxy, ProxyClass, Role
from meshwright.model.published import EncodedResource, Published, Resources
from meshwright.model.service import Service
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.model.workload import Workload

__all__ = [
    "Compiler",
    "Sockets",
    "StaticSecret",
    "explain_class",
    "live_bootstrap",
    "resources_json",
    "static_bootstrap",
]
MESH = frozenset({MESH_GATEWAY})


class Compiler:
    """Keeps what it may need again; `audit` makes it compute everything anew and compare (for tests)."""

    def __init__(self, *, audit: bool = False) -> None:
        self._audit = audit
        self._routes = RouteBuilder(audit=audit)

    def compile(self, snapshot: Snapshot) -> Published:
        """Everything that the proxies of `snapshot` need. Pure: equal snapshots give equal results."""
        mesh = _Mesh(snapshot)
        classes: dict[ProxyClass, Resources] = {}
        secrets: dict[ProxyClass, tuple[ResourceName, ...]] = {}
        proxies: dict[ProxyName, ProxyClass] = {}
        findings: dict[Diagnostic, None] = {}
        for proxy in sorted(snapshot.proxies, key=lambda proxy: proxy.name):
            proxy_class = mesh.class_of(proxy)
            proxies[proxy.name] = proxy_class
            if proxy_class not in classes:
                classes[proxy_class], secrets[proxy_class], found = self._class(mesh, proxy_class)
                findings.update(dict.fromkeys(found))
        self._routes.turn()
        return Published(proxies, classes, secrets, tuple(findings))

    def _class(
        self, mesh: "_Mesh", proxy_class: ProxyClass
    ) -> tuple[Resources, tuple[ResourceName, ...], tuple[Diagnostic, ...]]:
        view = mesh.view(proxy_class)
        resources: dict[TypeUrl, dict[ResourceName, EncodedResource]] = {}
        findings: list[Diagnostic] = []
        names: dict[ResourceName, None] = {}
        for built in self._built(mesh, view):
            made: Encoded = encode(built)
            findings += made.findings
            if made.resource is not None:
                resources.setdefault(built.type_url, {}).setdefault(built.name, made.resource)
                names.update(dict.fromkeys(made.secrets))
        return resources, tuple(sorted(names)), tuple(findings)

    def _built(self, mesh: "_Mesh", view: View) -> Iterator[Built]:
        proxy_class = view.proxy_class
        reach = Reach(proxy_class.role, proxy_class.interception)
        yield from fixed_clusters(proxy_class, view.settings)
        for visible in view.services.values():
            endpoints = mesh.endpoints(visible.service)
            yield from service_clusters(visible, endpoints, reach, view.settings)
            yield from _assignments(visible, endpoints, reach, view)
        if proxy_class.role is Role.ROUTER:
            merged = merge_servers(view.gateways, proxy_class.gateway_ports).value
            yield from gateway_listeners(view, merged)
            yield from gateway_routes(view, self._routes)
            return
        yield from inbound_listeners(proxy_class, view.settings)
        yield from inbound_route_configs(proxy_class)
        yield from sidecar_routes(view, self._routes)
        if proxy_class.interception is Interception.NONE:
            yield http_proxy(proxy_class.address, view.settings)
        else:
            yield virtual_outbound(view.settings)
            yield from _outbound(mesh, view)


def _assignments(
    visible: VisibleService, endpoints: tuple[Endpoint, ...], reach: Reach, view: View
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
                tls = encrypts(visible, policy, view.settings)
                yield service_endpoints(service, port, subset, endpoints, encrypts=tls)


def _outbound(mesh: "_Mesh", view: View) -> Iterator[Built]:
    rules = Rules(view.proxy_class, MESH, view.services)
    claimed: dict[tuple[str, int], list[Claim]] = {}
    for visible in view.services.values():
        service = visible.service
        for port in service.ports:
            streams = ()
            if shape(service, port) in (Shape.SNIFFED, Shape.STREAM):
                streams = service_streams(visible, port, view.virtual_services, rules).streams
            for claim in claims(service, port, mesh.endpoints(service), streams):
                claimed.setdefault((claim.bind, claim.port), []).append(claim)
    for key in sorted(claimed):
        yield outbound(claimed[key], view.settings)


@dataclass(slots=True)
class _Mesh:
    snapshot: Snapshot
    _endpoints: dict[int, tuple[Endpoint, ...]] = field(default_factory=dict[int, tuple[Endpoint, ...]])

    def policies(self, namespace: str) -> peer_authentication.Policies:
        root = self.snapshot.settings.root_namespace
        objects = self.snapshot.peer_authentications
        return peer_authentication.policies_of(
            (one for one in objects if one.meta.namespace == root),
            [one for one in objects if one.meta.namespace == namespace],
            is_root=namespace == root,
        )

    def endpoints(self, service: Service) -> tuple[Endpoint, ...]:
        found = self._endpoints.get(id(service))
        if found is None:
            workloads = selected(service, self.snapshot.workloads)
            by_address = {one.address: one for one in self.snapshot.workloads if one.address}
            namespaces = {one.meta.namespace for one in self.snapshot.workloads}
            around = Surroundings(
                {name: self.policies(name) for name in namespaces}, self.snapshot.settings.trust_domain
            )
            found = self._endpoints[id(service)] = endpoints_of(service, workloads, by_address, around)
        return found

    def selecting(self, workload: Workload) -> tuple[Service, ...]:
        address = workload.address
        return tuple(
            sorted(
                (
                    service
                    for service in self.snapshot.services
                    if selected(service, (workload,))
                    or any(listed.address == address for listed in service.endpoints if address)
                ),
                key=lambda service: service.meta.age,
            )
        )

    def class_of(self, proxy: Proxy) -> ProxyClass:
        workload = proxy.workload
        namespace = workload.meta.namespace
        mine = [
            rule
            for rule in self.snapshot.destination_rules
            if rule.workload_selector and rule.meta.namespace == namespace
        ]
        version = self.snapshot.envoy_version
        if proxy.role is Role.ROUTER:
            return router_class(proxy, self.selecting(workload), self.gateways(workload), mine, version)
        rules = self.virtual_services(namespace, MESH)
        return sidecar_class(proxy, self.selecting(workload), self.policies(namespace), mine, rules, version)

    def gateways(self, workload: Workload) -> tuple[Gateway, ...]:
        chosen = (one for one in self.snapshot.gateways if workload.labels.includes(one.selector))
        return tuple(sorted(chosen, key=lambda one: one.meta.age))

    def virtual_services(self, namespace: str, gateways: frozenset[str]) -> tuple[VirtualService, ...]:
        visible = (
            one
            for one in self.snapshot.virtual_services
            if ("*" in one.export_to or namespace in one.export_to or namespace == one.meta.namespace)
            and not gateways.isdisjoint(_bound(one))
        )
        return tuple(sorted(visible, key=lambda one: one.meta.age))

    def view(self, proxy_class: ProxyClass) -> View:
        snapshot = self.snapshot
        matched = frozenset(proxy_class.matched)
        chosen = tuple(
            sorted((one for one in snapshot.gateways if one.meta.ref in matched), key=lambda one: one.meta.age)
        )
        bound = MESH
        if proxy_class.role is Role.ROUTER:
            bound = frozenset(f"{one.meta.namespace}/{one.meta.name}" for one in chosen)
        return View(
            proxy_class=proxy_class,
            settings=snapshot.settings,
            services=dict(self._visible(proxy_class)),
            virtual_services=self.virtual_services(proxy_class.namespace, bound),
            gateways=chosen,
            secrets={one.meta.name: one for one in snapshot.secrets if one.meta.namespace == proxy_class.namespace},
        )

    def _visible(self, proxy_class: ProxyClass) -> Iterator[tuple[Hostname, VisibleService]]:
        by_host: dict[Hostname, list[Service]] = {}
        for service in self.snapshot.services:
            by_host.setdefault(service.host, []).append(service)
        for host in sorted(by_host):
            service = services.pick(by_host[host], proxy_class.namespace)
            if service is not None:
                yield host, self._visible_service(service, proxy_class)

    def _visible_service(self, service: Service, proxy_class: ProxyClass) -> VisibleService:
        endpoints = self.endpoints(service)
        mode = MutualTlsMode.DISABLE if service.mesh_external else self.policies(service.meta.namespace).wide
        return VisibleService(
            service=service,
            rule=self._rule(service, proxy_class),
            server_mode=mode,
            identities=tuple(sorted({one.identity for one in endpoints if one.identity})),
            all_have_proxy=bool(endpoints) and all(one.has_proxy for one in endpoints),
        )

    def _rule(self, service: Service, proxy_class: ProxyClass) -> DestinationRule | None:
        root = self.snapshot.settings.root_namespace
        client = proxy_class.namespace
        rules = self.snapshot.destination_rules

        def exported(namespace: str) -> list[DestinationRule]:
            return [
                one for one in rules if one.meta.namespace == namespace and destination_rules.is_exported(one, client)
            ]

        own = [one for one in rules if one.meta.namespace == client]
        if client == root:
            own = [one for one in own if one.export_to == (client,) or one.workload_selector]
        levels = (own, exported(service.meta.namespace), exported(Namespace(root)))
        return destination_rules.effective(service.host, levels, client, frozenset(proxy_class.matched))


def _bound(rule: VirtualService) -> Iterable[str]:
    named = set(rule.gateways)
    for http in rule.http:
        for match in http.matches:
            named.update(match.gateways or ())
    return named


def explain_class(published: Published, proxy: ProxyName) -> str:
    """The class key of a proxy as text, one part a line. Raises KeyError for an unknown proxy."""
    found = published.proxies[proxy]
    lines = [
        f"role: {found.role.value}",
        f"namespace: {found.namespace}",
        f"interception: {found.interception.value}",
        f"envoy: {found.envoy_version}",
        *(f"inbound: {one.port} {one.protocol.value} {one.mode.value}" for one in found.inbound),
        f"other ports: {found.passthrough_mode.value}",
        *(f"selected by: {ref}" for ref in found.matched),
        *(f"condition holds: {ref} {path}" for ref, path in found.rules),
        *(f"port: {number} at {target}" for number, target in found.gateway_ports),
        *(
            f"{name}: {value}"
            for name, value in (("sockets", found.ingress_sockets), ("address", found.address))
            if value
        ),
    ]
    alike = sorted(name for name, other in published.proxies.items() if other == found and name != proxy)
    return "\n".join([*lines, f"same class: {', '.join(alike) or 'nobody'}"])
