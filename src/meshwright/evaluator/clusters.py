"""A cluster that a request was sent to: its endpoints, and how each of them is spoken to."""

from dataclasses import dataclass

from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import Metadata, TransportSocket
from meshwright.envoyapi.envoy.config.core.v3.health_check_pb2 import HealthStatus
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from meshwright.envoyapi.google.protobuf.struct_pb2 import Struct
from meshwright.evaluator.configuration import Configuration
from meshwright.evaluator.routes import without_port
from meshwright.evaluator.values import Call

MATCH_METADATA = "envoy.transport_socket_match"
TLS_SOCKET = "envoy.transport_sockets.tls"
WORKLOAD_CERTIFICATE = "default"
SERVED = (HealthStatus.UNKNOWN, HealthStatus.HEALTHY)


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a client speaks to an endpoint. `own` = with the mesh's certificate. `names`: exact identities that it
    accepts, empty for anyone's of its trust domains.
    """

    is_tls: bool = False
    own: bool = False
    server_name: str = ""
    alpn: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return "plain" if not self.is_tls else "mutual TLS" if self.own else "TLS"


PLAIN = Encryption()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one request may end. `known` False: outside of the mesh, or found by its name when needed."""

    address: str
    port: int
    encryption: Encryption
    known: bool = True

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.port else self.address


def endpoints(configuration: Configuration, cluster: Cluster, call: Call) -> tuple[Endpoint, ...]:
    """The endpoints that get requests now."""
    kind = cluster.WhichOneof("cluster_discovery_type")
    if kind == "type" and cluster.type == Cluster.ORIGINAL_DST:
        return (Endpoint(call.address or without_port(call.host), call.port, _encryption(cluster, None)),)
    if kind == "type" and cluster.type == Cluster.EDS:
        name = cluster.eds_cluster_config.service_name or cluster.name
        return _of(cluster, configuration.endpoints(name))
    if not cluster.HasField("load_assignment") and kind == "cluster_type":
        return (Endpoint(without_port(call.host), call.port, _encryption(cluster, None), known=False),)
    return _of(cluster, cluster.load_assignment)


def _of(cluster: Cluster, assignment: ClusterLoadAssignment | None) -> tuple[Endpoint, ...]:
    """Those of the first priority that has healthy ones."""
    if assignment is None:
        return ()
    by_priority: dict[int, list[Endpoint]] = {}
    for locality in assignment.endpoints:
        for each in locality.lb_endpoints:
            if each.health_status in SERVED:
                by_priority.setdefault(locality.priority, []).append(_endpoint(cluster, each))
    return tuple(by_priority[min(by_priority)]) if by_priority else ()


def _endpoint(cluster: Cluster, each: LbEndpoint) -> Endpoint:
    place = each.endpoint.address.socket_address
    encryption = _encryption(cluster, each.metadata)
    if each.endpoint.address.HasField("pipe"):
        return Endpoint(each.endpoint.address.pipe.path, 0, encryption, known=False)
    has_type = cluster.WhichOneof("cluster_discovery_type") == "type"
    listed = has_type and cluster.type in (Cluster.EDS, Cluster.STATIC)
    return Endpoint(place.address, place.port_value, encryption, known=listed)


def _encryption(cluster: Cluster, metadata: Metadata | None) -> Encryption:
    """The first match whose words all stand in the endpoint's metadata, else the cluster's own socket."""
    said = None
    if metadata is not None and MATCH_METADATA in metadata.filter_metadata:
        said = metadata.filter_metadata[MATCH_METADATA]
    for match in cluster.transport_socket_matches:
        if _includes(said, match.match):
            return _read(match.transport_socket)
    return _read(cluster.transport_socket) if cluster.HasField("transport_socket") else PLAIN


def _includes(said: Struct | None, wanted: Struct) -> bool:
    if said is None:
        return not wanted.fields
    return all(key in said.fields and said.fields[key] == wanted.fields[key] for key in wanted.fields)


def _read(socket: TransportSocket) -> Encryption:
    if socket.name != TLS_SOCKET:
        return PLAIN
    context = UpstreamTlsContext()
    socket.typed_config.Unpack(context)
    common = context.common_tls_context
    matchers = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    names = tuple(each.matcher.exact for each in matchers if each.matcher.WhichOneof("match_pattern") == "exact")
    own = any(each.name == WORKLOAD_CERTIFICATE for each in common.tls_certificate_sds_secret_configs)
    return Encryption(
        is_tls=True, own=own, server_name=context.sni, alpn=tuple(common.alpn_protocols), names=names if own else ()
    )
