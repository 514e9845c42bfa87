"""The snapshot as tracked tables: its objects in groups, what they mean together, what each scope of clients sees.

Everything a compilation asks of the mesh is asked here, so that what was asked is known (see `tracked`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge

from meshwright.compiler.resolve import destination_rules, peer_authentication, services
from meshwright.compiler.resolve.endpoints import Endpoint, Surroundings, endpoints_of, selected
from meshwright.compiler.resolve.peer_authentication import Accepted, Policies
from meshwright.compiler.tracked import Derived, Ledger, Source
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.classes import router_class, sidecar_class
from meshwright.compiler.visibility.owners import WILDCARDS, Owners, Ownership, owned_buckets, ownership
from meshwright.compiler.visibility.view import VisibleService
from meshwright.model.chunked import ChunkedMapping
from meshwright.model.config import SecretRef
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.names import Hostname, Namespace, ProxyName
from meshwright.model.origin import ObjectRef
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.proxy import Proxy, ProxyClass, Role
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.model.workload import Workload

ALL = ""
EVERYONE = "*"
WILD = "*"
HOST = "/"  # no namespace: the group of all rules for one host
OWNS = "owns"
INDEX_LABEL = "app"

ServiceKey = tuple[ObjectRef, Hostname]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Clients that see the same services and rules: `matched` are the DestinationRules whose selector chose them.
    One object per value (see Mesh.scope), as a cheap key.
    """

    role: Role
    namespace: Namespace
    matched: tuple[ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Reachable:
    """What clients have to know of a service's endpoints to encrypt."""

    server_mode: MutualTlsMode
    identities: tuple[str, ...]
    all_have_proxy: bool


class Mesh:
    """All tables below the proxy classes. `feed` starts a round."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settings = Source[str, tuple[MeshSettings, str]](ledger, lambda _: (ALL,))
        self._services = Source[tuple[str, ...] | ServiceKey, Service](ledger, _service_keys)
        self._buckets = Source[int, Service](ledger, lambda service: (bucket_of(service.host),))
        self._workloads = Source[tuple[str, ...], Workload](ledger, _workload_keys)
        self._rules = Source[tuple[str, str], DestinationRule](ledger, _rule_keys, _age)
        self._policies = Source[str, PeerAuthentication](ledger, lambda policy: (ALL, policy.meta.namespace))
        self._also_accepted = Source[str, PeerAuthentication](ledger, lambda policy: (ALL, policy.meta.namespace))
        self._virtual_services = Source[tuple[str, ...], VirtualService](ledger, _virtual_service_keys, _age)
        self._gateways = Source[str, Gateway](ledger, lambda _: (ALL,), _age)
        self._secrets = Source[str, SecretRef](ledger, lambda secret: (secret.meta.namespace,))
        self._proxies = Source[int | str, Proxy](ledger, _proxy_keys)
        self.policies = Derived[str, Policies](ledger, self._policies_of)
        self.accepted = Derived[str, Accepted](ledger, self._accepted_in)
        self.hosts = Derived[int, tuple[Hostname, ...]](ledger, self._hosts_of)
        self.backing = Derived[ServiceKey, tuple[Endpoint, ...]](ledger, self._backing_of)
        self.endpoints = Derived[ServiceKey, tuple[Endpoint, ...]](ledger, self._endpoints_of)
        self.reachable = Derived[ServiceKey, Reachable](ledger, self._reachable)
        self.picked = Derived[tuple[Hostname, Namespace], Service | None](ledger, self._pick)
        self.rule = Derived[tuple[ServiceKey, Scope], DestinationRule | None](ledger, self._rule)
        self.visible = Derived[tuple[Hostname, Scope], VisibleService | None](ledger, self._visible)
        self.bucket = Derived[tuple[Scope, int], Mapping[Hostname, VisibleService]](ledger, self._bucket)
        self.seen = Derived[Scope, ChunkedMapping[Hostname, VisibleService]](ledger, self._seen_by)
        self.owned = Derived[tuple[str, int], Ownership](ledger, self._ownership)
        self.owners = Derived[str, Owners](ledger, self._owners)
        self.virtual_services = Derived[tuple[Namespace, str], tuple[VirtualService, ...]](ledger, self._bound)
        self.conditional = Derived[Namespace, tuple[VirtualService, ...]](ledger, self._conditional)
        self.proxy_class = Derived[ProxyName, ProxyClass](ledger, self._class_of)
        self.proxy_groups = Derived[int, Mapping[ProxyName, ProxyClass]](ledger, self._proxy_bucket)
        self.class_groups = Derived[int, tuple[ProxyClass, ...]](ledger, self._classes_in)
        self.proxies = Derived[int, ChunkedMapping[ProxyName, ProxyClass]](ledger, self._all_proxies)
        self.classes = Derived[int, tuple[ProxyClass, ...]](ledger, self._all_classes)
        self._last = (MeshSettings(), "")
        self._scopes: dict[tuple[Role, Namespace, tuple[ObjectRef, ...]], Scope] = {}
        self._classes: dict[ProxyClass, ProxyClass] = {}  # equal classes are one object
        # scopes that see the same of a service share one value; it holds what its key is made of
        self._seen: dict[tuple[int, int, int], tuple[VisibleService, Reachable]] = {}

    def feed(self, snapshot: Snapshot) -> None:
        """Start a round with a new picture of the mesh."""
        if (snapshot.settings, snapshot.envoy_version) != self._last or not self._ledger.round:
            self._last = (snapshot.settings, snapshot.envoy_version)
        self._ledger.begin()
        self._settings.feed((self._last,))
        self._services.feed(snapshot.services)
        self._buckets.feed(snapshot.services)
        self._workloads.feed(snapshot.workloads)
        self._rules.feed(snapshot.destination_rules)
        self._policies.feed(snapshot.peer_authentications)
        also = snapshot.also_accepted
        self._also_accepted.feed(snapshot.peer_authentications if also is None else also)
        self._virtual_services.feed(snapshot.virtual_services)
        self._gateways.feed(snapshot.gateways)
        self._secrets.feed(snapshot.secrets)
        self._proxies.feed(snapshot.proxies)

    def scope(self, role: Role, namespace: Namespace, matched: tuple[ObjectRef, ...]) -> Scope:
        """The one object of a scope."""
        key = (role, namespace, matched)
        return self._scopes.setdefault(key, Scope(role, namespace, matched))

    def sweep(self, classes: Iterable[ProxyClass], scopes: frozenset[Scope]) -> None:
        """Forget what none of `classes` sees, and what is about objects that are gone."""
        hosts = {service.host for service in self._services_alive()}
        namespaces = {scope.namespace for scope in scopes}
        for table in (self.endpoints, self.reachable):
            table.keep(lambda key: bool(self._services.get(key)))
        self.picked.keep(lambda key: key[0] in hosts and key[1] in namespaces)
        self.rule.keep(lambda key: key[0][1] in hosts and key[1] in scopes)
        self.visible.keep(lambda key: key[0] in hosts and key[1] in scopes)
        self.bucket.keep(lambda key: key[0] in scopes)
        self.seen.keep(scopes.__contains__)
        self.owners.keep(namespaces.__contains__)
        self.owned.keep(lambda key: key[0] == EVERYONE or key[0] in namespaces)
        self.proxy_class.keep(lambda name: bool(self._proxies.get(name)))
        self._seen.clear()
        self._scopes = {key: scope for key, scope in self._scopes.items() if scope in scopes}
        self._classes = {one: one for one in classes}

    def _services_alive(self) -> Iterator[Service]:
        for bucket in range(BUCKETS):
            yield from self._buckets.get(bucket)

    # ---------------------------------------------------------------- objects

    @property
    def settings(self) -> MeshSettings:
        return self._settings.get(ALL)[0][0]

    @property
    def envoy_version(self) -> str:
        return self._settings.get(ALL)[0][1]

    def gateways(self) -> tuple[Gateway, ...]:
        """All Gateways, oldest first."""
        return self._gateways.get(ALL)

    def secrets(self, namespace: str) -> dict[str, SecretRef]:
        """The Secrets of a namespace by name."""
        return {secret.meta.name: secret for secret in self._secrets.get(namespace)}

    def services_of(self, host: Hostname) -> tuple[Service, ...]:
        """All services that declare a host."""
        return self._services.get(("host", host))

    def services_in(self, bucket: int) -> tuple[Service, ...]:
        """All services whose hosts are in a group, sorted."""
        return tuple(sorted(self._buckets.get(bucket), key=lambda service: (service.host, service.meta.age)))

    def rules_in(self, namespace: str, host: str) -> tuple[DestinationRule, ...]:
        """The DestinationRules of a namespace for exactly this host; WILD for all with wildcards."""
        return self._rules.get((namespace, host))

    def virtual_services_in(self, bucket: int) -> tuple[VirtualService, ...]:
        """All VirtualServices whose names are in a group, oldest first."""
        return self._virtual_services.get(("bucket", str(bucket)))

    def streaming(self, namespace: Namespace, gateway: str) -> tuple[VirtualService, ...]:
        """As `virtual_services`, but only those with rules for connections."""
        found = (
            *self._virtual_services.get(("streams", EVERYONE)),
            *self._virtual_services.get(("streams", namespace)),
        )
        bound = (rule for rule in dict.fromkeys(found) if gateway in rule.gateways)
        return tuple(sorted(bound, key=_age))

    def all_rules_in(self, bucket: int) -> tuple[DestinationRule, ...]:
        """All DestinationRules for hosts of a group, oldest first."""
        return self._rules.get((ALL, str(bucket)))

    def rules_for(self, host: Hostname) -> tuple[DestinationRule, ...]:
        """All DestinationRules that name exactly this host (or wildcard), of every namespace, oldest first."""
        return self._rules.get((HOST, host))

    def virtual_services_named(self, namespace: str, name: str) -> tuple[VirtualService, ...]:
        """The VirtualService of a name, if there is one."""
        return self._virtual_services.get(("name", namespace, name))

    def proxy(self, name: ProxyName) -> Proxy:
        """A proxy that is known to be there."""
        return self._proxies.get(name)[0]

    def policed(self) -> tuple[str, ...]:
        """The namespaces that have PeerAuthentications, sorted."""
        return tuple(sorted({policy.meta.namespace for policy in self._policies.get(ALL)}))

    def routers_in(self, bucket: int) -> tuple[Proxy, ...]:
        """The gateways among the proxies of a group."""
        return self._proxies.get(~bucket)

    def policies_in(self, namespace: str) -> tuple[PeerAuthentication, ...]:
        """The PeerAuthentications of a namespace."""
        return self._policies.get(namespace)

    def proxies_in(self, bucket: int) -> tuple[Proxy, ...]:
        """The proxies whose names are in a group."""
        return self._proxies.get(bucket)

    def selected_by(self, service: Service) -> tuple[Workload, ...]:
        """The workloads that a service selects."""
        if not service.selector:
            return ()
        return selected(service, self._workloads.get((service.meta.namespace, *_index_pair(service))))

    def selecting(self, workload: Workload) -> tuple[Service, ...]:
        """The services that a workload serves, oldest first."""
        namespace = workload.meta.namespace
        found = [
            service
            for pair in workload.labels.pairs
            for service in self._services.get(("selector", namespace, *pair))
            if workload.labels.includes(service.selector)
        ]
        if workload.address:
            found += self._services.get(("address", workload.address))
        return tuple(sorted(dict.fromkeys(found), key=lambda service: service.meta.age))

    # ---------------------------------------------------------------- derived

    def _policies_of(self, namespace: str) -> Policies:
        return self._policies_among(self._policies, namespace)

    def _accepted_in(self, namespace: str) -> Accepted:
        """Clients follow the one set of policies or the other, never the mesh's policy of one with the namespace's of
        the other: what only such a mixture allows is taken at no time.
        """
        found = (self._policies_among(source, namespace) for source in (self._policies, self._also_accepted))
        return Accepted(tuple(dict.fromkeys(found)))

    def _policies_among(self, source: Source[str, PeerAuthentication], namespace: str) -> Policies:
        root = self.settings.root_namespace
        return peer_authentication.policies_of(source.get(root), source.get(namespace), is_root=namespace == root)

    def _hosts_of(self, bucket: int) -> tuple[Hostname, ...]:
        return tuple(sorted({service.host for service in self._buckets.get(bucket)}))

    def _endpoints_of(self, key: ServiceKey) -> tuple[Endpoint, ...]:
        """Those that may be sent traffic."""
        return tuple(endpoint for endpoint in self.backing(key) if endpoint.ready)

    def _backing_of(self, key: ServiceKey) -> tuple[Endpoint, ...]:
        """Ready or not: what clusters say of a service must not change with its pods' readiness."""
        service = self._service(key)
        if service is None:
            return ()
        workloads = self.selected_by(service)
        pods = {listed.address: self._workloads.get(("address", listed.address)) for listed in service.endpoints}
        by_address = {address: min(found, key=_name) for address, found in pods.items() if found and address}
        namespaces = {pod.meta.namespace for pod in (*workloads, *by_address.values())}
        around = Surroundings({name: self.policies(name) for name in namespaces}, self.settings.trust_domain)
        return endpoints_of(service, workloads, by_address, around)

    def _reachable(self, key: ServiceKey) -> Reachable:
        service = self._service(key)
        assert service is not None
        endpoints = self.backing(key)
        external = service.mesh_external
        return Reachable(
            MutualTlsMode.DISABLE if external else self.policies(service.meta.namespace).wide,
            tuple(sorted({one.identity for one in endpoints if one.identity})),
            bool(endpoints) and all(one.has_proxy for one in endpoints),
        )

    def _service(self, key: ServiceKey) -> Service | None:
        return next(iter(self._services.get(key)), None)

    def _pick(self, key: tuple[Hostname, Namespace]) -> Service | None:
        host, namespace = key
        return services.pick(self.services_of(host), namespace)

    def _rule(self, key: tuple[ServiceKey, Scope]) -> DestinationRule | None:
        (ref, host), scope = key
        client, root = scope.namespace, self.settings.root_namespace

        def known(namespace: str) -> list[DestinationRule]:
            return [*self.rules_in(namespace, host), *self.rules_in(namespace, WILD)]

        def exported(namespace: str) -> list[DestinationRule]:
            return [rule for rule in known(namespace) if destination_rules.is_exported(rule, client)]

        own = known(client)
        if client == root:
            own = [rule for rule in own if rule.export_to == (client,) or rule.workload_selector]
        levels = (own, exported(ref.namespace), exported(root))
        return destination_rules.effective(host, levels, client, frozenset(scope.matched))

    def _visible(self, key: tuple[Hostname, Scope]) -> VisibleService | None:
        host, scope = key
        service = self.picked((host, scope.namespace))
        if service is None:
            return None
        service_key = (service.meta.ref, host)
        known = self.reachable(service_key)
        rule = self.rule((service_key, scope))
        found = self._seen.get((id(service), id(rule), id(known)))
        if found is None:
            seen = VisibleService(service, rule, known.server_mode, known.identities, known.all_have_proxy)
            self._seen[id(service), id(rule), id(known)] = found = (seen, known)
        return found[0]

    def _bucket(self, key: tuple[Scope, int]) -> Mapping[Hostname, VisibleService]:
        scope, bucket = key
        found = ((host, self.visible((host, scope))) for host in self.hosts(bucket))
        return {host: visible for host, visible in found if visible is not None}

    def _seen_by(self, scope: Scope) -> ChunkedMapping[Hostname, VisibleService]:
        """All that a scope sees."""
        return ChunkedMapping(tuple(self.bucket((scope, bucket)) for bucket in range(BUCKETS)), bucket_of)

    def _ownership(self, key: tuple[str, int]) -> Ownership:
        """Among the VirtualServices that clients of a namespace see; namespaces without own ones share an answer."""
        namespace, bucket = key
        private = self._virtual_services.get((OWNS, namespace, str(bucket))) if namespace != EVERYONE else ()
        if not private and namespace != EVERYONE:
            return self.owned((EVERYONE, bucket))
        public = self._virtual_services.get((OWNS, EVERYONE, str(bucket)))
        once = {id(rule): rule for rule in merge(public, private, key=_age)}
        return ownership(once.values(), bucket)

    def _owners(self, namespace: str) -> Owners:
        exact = tuple(self.owned((namespace, bucket)) for bucket in range(BUCKETS))
        return Owners(exact, self.owned((namespace, WILDCARDS)))

    def _bound(self, key: tuple[Namespace, str]) -> tuple[VirtualService, ...]:
        """Those that clients of a namespace see and that are bound to a gateway (`mesh` too), oldest first."""
        namespace, gateway = key
        public = self._virtual_services.get((gateway, EVERYONE))
        private = self._virtual_services.get((gateway, namespace))
        if not private:
            return public
        return tuple(dict.fromkeys(merge(public, private, key=lambda rule: rule.meta.age)))

    def _conditional(self, namespace: Namespace) -> tuple[VirtualService, ...]:
        """Those with conditions on source labels that sidecars of a namespace see."""
        found = dict.fromkeys(
            (*self._virtual_services.get(("labels", EVERYONE)), *self._virtual_services.get(("labels", namespace)))
        )
        return tuple(found)

    # ---------------------------------------------------------------- proxies

    def _class_of(self, name: ProxyName) -> ProxyClass:
        proxy = self._proxies.get(name)[0]
        workload = proxy.workload
        namespace = Namespace(workload.meta.namespace)
        rules = self._rules.get((namespace, ALL))
        serving = self.selecting(workload)
        if proxy.role is Role.ROUTER:
            chosen = (one for one in self.gateways() if workload.labels.includes(one.selector))
            return self._same(router_class(proxy, serving, chosen, rules, self.envoy_version))
        conditional = self.conditional(namespace)
        policies = self.accepted(namespace)
        return self._same(sidecar_class(proxy, serving, policies, rules, conditional, self.envoy_version))

    def _same(self, proxy_class: ProxyClass) -> ProxyClass:
        return self._classes.setdefault(proxy_class, proxy_class)

    def _proxy_bucket(self, bucket: int) -> Mapping[ProxyName, ProxyClass]:
        names = sorted(proxy.name for proxy in self._proxies.get(bucket))
        return {name: self.proxy_class(name) for name in names}

    def _classes_in(self, bucket: int) -> tuple[ProxyClass, ...]:
        return tuple({id(one): one for one in self.proxy_groups(bucket).values()}.values())

    def _all_proxies(self, _: int) -> ChunkedMapping[ProxyName, ProxyClass]:
        return ChunkedMapping(tuple(self.proxy_groups(bucket) for bucket in range(BUCKETS)), bucket_of)

    def _all_classes(self, _: int) -> tuple[ProxyClass, ...]:
        return tuple({id(one): one for bucket in range(BUCKETS) for one in self.class_groups(bucket)}.values())


# ---------------------------------------------------------------- keys of groups


def _name(workload: Workload) -> ObjectRef:
    return workload.meta.ref


def _age(item: VirtualService | Gateway | DestinationRule) -> tuple[bool, str, str, str]:
    return item.meta.age


def _service_keys(service: Service) -> Iterator[tuple[str, ...] | ServiceKey]:
    yield (service.meta.ref, service.host)
    yield ("host", service.host)
    if service.selector:
        yield ("selector", service.meta.namespace, *_index_pair(service))
    for listed in service.endpoints:
        yield ("address", listed.address)


def _index_pair(service: Service) -> tuple[str, str]:
    """The one pair of a selector by which workloads are looked up: the label that tells most."""
    pairs = service.selector.pairs
    return next((pair for pair in pairs if pair[0] == INDEX_LABEL), pairs[0])


def _workload_keys(workload: Workload) -> Iterator[tuple[str, ...]]:
    for pair in workload.labels.pairs:
        yield (workload.meta.namespace, *pair)
    if workload.address:
        yield ("address", workload.address)


def _proxy_keys(proxy: Proxy) -> Iterator[int | str]:
    """By name and by group; gateways once more, in groups of their own."""
    bucket = bucket_of(proxy.name)
    yield from (proxy.name, bucket)
    if proxy.role is Role.ROUTER:
        yield ~bucket


def _rule_keys(rule: DestinationRule) -> Iterator[tuple[str, str]]:
    yield (ALL, str(bucket_of(rule.host)))
    yield (HOST, rule.host)
    yield (rule.meta.namespace, WILD if rule.host.startswith(WILD) else rule.host)
    if rule.workload_selector:
        yield (rule.meta.namespace, ALL)


def _virtual_service_keys(rule: VirtualService) -> Iterator[tuple[str, ...]]:
    """By gateway and by who may see it; and once more where source labels or connections are asked for."""
    places: Iterable[str] = rule.export_to
    if EVERYONE not in rule.export_to:
        places = dict.fromkeys((*rule.export_to, rule.meta.namespace))
    matches = [
        *(match for http in rule.http for match in http.matches),
        *(match for stream in (*rule.tcp, *rule.tls) for match in stream.matches),
    ]
    yield ("bucket", str(bucket_of(rule.meta.name)))
    yield ("name", rule.meta.namespace, rule.meta.name)
    gateways = dict.fromkeys(rule.gateways)
    for match in matches:
        gateways.update(dict.fromkeys(match.gateways or ()))
    buckets = owned_buckets(rule)
    for place in places:
        yield from ((OWNS, place, str(bucket)) for bucket in buckets)
        for gateway in gateways:
            yield (gateway, place)
        if MESH_GATEWAY in gateways and any(match.source_labels for match in matches):
            yield ("labels", place)
        if rule.tcp or rule.tls:
            yield ("streams", place)
