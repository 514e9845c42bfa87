"""A service as a class of clients sees it becomes its clusters: one per port, and one per subset of each port."""

from collections.abc import Iterator
from dataclasses import dataclass

from meshwright.compiler.built import Built
from meshwright.compiler.envoy.endpoints import assignment
from meshwright.compiler.envoy.transport import secrets, secure
from meshwright.compiler.features import client_tls, connection_pool, load_balancing, outlier_detection
from meshwright.compiler.names import object_path, outbound_cluster
from meshwright.compiler.proto import Json, ads, duration, pack, struct
from meshwright.compiler.resolve.endpoints import Endpoint
from meshwright.compiler.resolve.traffic_policy import Policy, policy_of
from meshwright.compiler.visibility.view import VisibleService
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.extensions.clusters.common.dns.v3.dns_pb2 import DnsLookupFamily
from meshwright.envoyapi.envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from meshwright.envoyapi.envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2 import (
    CaresDnsResolverConfig,
)
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt32Value
from meshwright.model import codes
from meshwright.model.destination_rule import Subset
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import CLUSTER, ElementPath, Milliseconds, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, Role
from meshwright.model.service import Registry, Resolution, Service, ServicePort
from meshwright.model.settings import MeshSettings

DNS_JITTER = Milliseconds(100)
QUERIES_PER_SOCKET = 100
DNS_TYPES = {Resolution.DNS: Cluster.STRICT_DNS, Resolution.DNS_ROUND_ROBIN: Cluster.LOGICAL_DNS}


@dataclass(frozen=True, slots=True)
class Reach:
    """How a class of proxies reaches services: gateways and loopback proxies cannot ask for the address that a
    client chose.
    """

    role: Role
    interception: Interception

    @property
    def knows_original_destination(self) -> bool:
        return self.role is Role.SIDECAR and self.interception is not Interception.NONE


def service_clusters(
    visible: VisibleService,
    endpoints: tuple[Endpoint, ...],
    reach: Reach,
    settings: MeshSettings,
    unusable: tuple[str, ...] = (),
) -> tuple[Built, ...]:
    """All clusters of one service. `endpoints` are read only for clusters that hold them (DNS). A cluster whose
    policy names one of the `unusable` credentials is left out: nothing goes there unencrypted instead.
    """
    service = visible.service
    if service.alias_of is not None:
        return ()
    subsets = visible.rule.subsets if visible.rule is not None else ()
    built = (
        _cluster(visible, port, subset, endpoints, reach, settings)
        for port in service.ports
        if port.protocol is not Protocol.UDP
        for subset in (None, *subsets)
    )
    return tuple(_deny(made, visible, unusable) if unusable else made for made in built if made is not None)


def _deny(built: Built, visible: VisibleService, unusable: tuple[str, ...]) -> Built:
    """A finding in place of the cluster, when it would wait for a credential that it cannot have."""
    missing = next((name for name in unusable if client_tls.credential(name) in _asked(built)), None)
    if missing is None or visible.rule is None:
        return built
    at = next((origin for place, origin in built.origins if place == "transport_socket"), visible.rule.meta.origin)
    why = "it is not in the client's namespace, or the rule has no workloadSelector"
    finding = Diagnostic(codes.CREDENTIAL_UNUSABLE, at.field("credentialName"), (missing, why))
    return Built(CLUSTER, built.name, Cluster(), findings=(finding,))


def _asked(built: Built) -> frozenset[str]:
    return frozenset(name.removesuffix("-cacert") for name in built.secrets)


def discovery(service: Service, policy: Policy, reach: Reach) -> Cluster.DiscoveryType | None:
    """How the members of a cluster are found; None when Envoy has no way that we support."""
    if load_balancing.is_passthrough(policy.load_balancing) and reach.knows_original_destination:
        return Cluster.ORIGINAL_DST
    match service.resolution:
        case Resolution.STATIC:
            return Cluster.EDS
        case Resolution.NONE:
            return Cluster.ORIGINAL_DST if reach.knows_original_destination else Cluster.EDS
        case Resolution.DNS | Resolution.DNS_ROUND_ROBIN:
            return DNS_TYPES[service.resolution]
        case Resolution.DYNAMIC_DNS:
            return None


def _cluster(
    visible: VisibleService,
    port: ServicePort,
    subset: Subset | None,
    endpoints: tuple[Endpoint, ...],
    reach: Reach,
    settings: MeshSettings,
) -> Built | None:
    service = visible.service
    policy = policy_of(visible.rule, subset, port.number)
    kind = discovery(service, policy, reach)
    if kind is None:
        return None
    name = outbound_cluster(port.number, service.host, subset.name if subset else None)
    cluster = Cluster(name=name, alt_stat_name=f"{name};", type=kind)
    connection_pool.apply(cluster, policy.connection_pool, settings.connect_timeout)
    connection_pool.apply_protocol(cluster, port.protocol, policy.connection_pool)
    cluster.common_lb_config.healthy_panic_threshold.SetInParent()  # unhealthy ones are never used for want of better
    load_balancing.apply(cluster, policy.load_balancing)
    outlier_detection.apply(cluster, policy.outlier_detection)
    if not _discover(cluster, service, port, tuple(one for one in endpoints if one.is_in(subset)), settings):
        return None
    secure(cluster, visible, port, subset, policy, settings)
    _describe(cluster, visible, subset, policy)
    origins = tuple(_origins(port, subset, policy))
    return Built(CLUSTER, name, cluster, origins, secrets=secrets(visible, policy, settings))


def _discover(
    cluster: Cluster, service: Service, port: ServicePort, members: tuple[Endpoint, ...], settings: MeshSettings
) -> bool:
    """Fill in what the cluster's type needs; False when Envoy could never use the cluster."""
    if cluster.type != Cluster.ORIGINAL_DST and cluster.lb_policy == Cluster.CLUSTER_PROVIDED:
        cluster.lb_policy = Cluster.LEAST_REQUEST  # PASSTHROUGH where no client chose an address
    match cluster.type:
        case Cluster.EDS:
            cluster.eds_cluster_config.service_name = cluster.name
            cluster.eds_cluster_config.eds_config.CopyFrom(ads(wait=False))
        case Cluster.ORIGINAL_DST:
            cluster.lb_policy = Cluster.CLUSTER_PROVIDED
            cluster.ClearField("ring_hash_lb_config")
            cluster.ClearField("maglev_lb_config")
        case _:
            return _resolve(cluster, service, port, members, settings)
    return True


def _resolve(
    cluster: Cluster, service: Service, port: ServicePort, members: tuple[Endpoint, ...], settings: MeshSettings
) -> bool:
    """DNS: the endpoints' names, or the host itself when no endpoint is listed."""
    if not service.endpoints and not service.host.startswith("*"):
        target = port.target if isinstance(port.target, int) else port.number
        members = (Endpoint(service.host, ((port.number, PortNumber(target)),), service.meta.labels),)
    loads = assignment(cluster.name, port.number, members, encrypts=False)
    if not loads.endpoints:
        return False
    cluster.load_assignment.CopyFrom(loads)
    resolver = CaresDnsResolverConfig(udp_max_queries=UInt32Value(value=QUERIES_PER_SOCKET))
    dns = DnsCluster(
        dns_refresh_rate=duration(settings.dns_refresh_rate),
        dns_jitter=duration(DNS_JITTER),
        respect_dns_ttl=True,
        dns_lookup_family=DnsLookupFamily.V4_ONLY,
        all_addresses_in_single_endpoint=service.resolution is Resolution.DNS_ROUND_ROBIN,
    )
    dns.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    dns.typed_dns_resolver_config.typed_config.CopyFrom(pack(resolver))
    cluster.cluster_type.name = "envoy.clusters.dns"  # replaces the type, whose own settings are deprecated
    cluster.cluster_type.typed_config.CopyFrom(pack(dns))
    return True


def _describe(cluster: Cluster, visible: VisibleService, subset: Subset | None, policy: Policy) -> None:
    """Istio's metadata: whom the cluster stands for (telemetry reads it), and by which rule."""
    service = visible.service
    name = service.meta.name if service.registry is Registry.KUBERNETES else service.host
    facts: dict[str, Json] = {"services": [{"host": service.host, "name": name, "namespace": service.meta.namespace}]}
    if service.mesh_external:
        facts["external"] = True
    if visible.rule is not None:
        meta = visible.rule.meta
        facts["config"] = object_path("networking.istio.io", "v1", meta.namespace, "destination-rule", meta.name)
    if subset is not None:
        facts["subset"] = subset.name
    if policy.tls is not None and policy.tls.mode in ("SIMPLE", "MUTUAL"):
        facts["alpn_override"] = "false"
    cluster.metadata.filter_metadata["istio"].CopyFrom(struct(facts))


def _origins(port: ServicePort, subset: Subset | None, policy: Policy) -> Iterator[tuple[ElementPath, Origin]]:
    yield ElementPath(""), subset.origin if subset is not None else port.origin
    if policy.origin is None:
        return
    for path, block, field in _BLOCKS:
        if getattr(policy, block) is not None:
            yield ElementPath(path), policy.origin.field(field)


_BLOCKS = (
    ("lb_policy", "load_balancing", "loadBalancer"),
    ("circuit_breakers", "connection_pool", "connectionPool"),
    ("outlier_detection", "outlier_detection", "outlierDetection"),
    ("transport_socket", "tls", "tls"),
)
