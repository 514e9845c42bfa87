"""Which encryption a cluster speaks: as its DestinationRule says, else mutual TLS where both ends can."""

from meshwright.compiler.features import client_tls, connection_pool, mutual_tls
from meshwright.compiler.names import ROOT_CERTIFICATE, WORKLOAD_CERTIFICATE, outbound_sni
from meshwright.compiler.proto import pack, struct
from meshwright.compiler.resolve.traffic_policy import Policy
from meshwright.compiler.visibility.view import VisibleService
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TransportSocket
from meshwright.envoyapi.envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from meshwright.envoyapi.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from meshwright.model.client_tls import ClientTls, ClientTlsMode
from meshwright.model.destination_rule import Subset
from meshwright.model.names import ResourceName
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.protocol import Protocol
from meshwright.model.service import ServicePort
from meshwright.model.settings import MeshSettings

MESH_SECRETS = (WORKLOAD_CERTIFICATE, ROOT_CERTIFICATE)
RAW_BUFFER = "envoy.transport_sockets.raw_buffer"


def trust_domains(settings: MeshSettings) -> tuple[str, ...]:
    """The mesh's own domain and its aliases."""
    return (settings.trust_domain, *settings.trust_domain_aliases)


def is_automatic(visible: VisibleService, policy: Policy, settings: MeshSettings) -> bool:
    """Whether each endpoint of the service gets mutual TLS when it can speak it."""
    return (
        policy.tls is None
        and settings.auto_mutual_tls
        and not visible.service.mesh_external
        and visible.server_mode is not MutualTlsMode.DISABLE
        and (not _keeps_addresses(visible, policy) or visible.all_have_proxy)
    )


def encrypts(visible: VisibleService, policy: Policy, settings: MeshSettings) -> bool:
    """Whether endpoints are to be marked as able to speak mutual TLS."""
    if policy.tls is not None:
        return policy.tls.mode is ClientTlsMode.ISTIO_MUTUAL
    return is_automatic(visible, policy, settings)


def secrets(visible: VisibleService, policy: Policy, settings: MeshSettings) -> tuple[ResourceName, ...]:
    """The SDS names that the cluster's transport socket refers to."""
    tls = policy.tls
    if encrypts(visible, policy, settings):
        return MESH_SECRETS
    if tls is None or not tls.credential_name or tls.mode is ClientTlsMode.DISABLE:
        return ()
    name = client_tls.credential(tls.credential_name)
    authority = () if tls.insecure_skip_verify else (ResourceName(f"{name}-cacert"),)
    return (ResourceName(name), *authority) if tls.mode is ClientTlsMode.MUTUAL else authority


def secure(
    cluster: Cluster,
    visible: VisibleService,
    port: ServicePort,
    subset: Subset | None,
    policy: Policy,
    settings: MeshSettings,
) -> None:
    """Set the cluster's transport socket, or the matches by which each endpoint gets its own."""
    if policy.tls is not None:
        _explicit(cluster, visible, port, subset, policy, settings)
    elif is_automatic(visible, policy, settings):
        socket = _mesh_socket(visible, port, subset, policy, settings)
        if cluster.type == Cluster.ORIGINAL_DST:
            cluster.transport_socket.CopyFrom(socket)  # its endpoints have no metadata
            return
        encrypted = cluster.transport_socket_matches.add(name="tlsMode-istio", transport_socket=socket)
        encrypted.match.CopyFrom(struct({"tlsMode": "istio"}))
        plain = cluster.transport_socket_matches.add(name="tlsMode-disabled")
        plain.match.SetInParent()
        plain.transport_socket.CopyFrom(TransportSocket(name=RAW_BUFFER, typed_config=pack(RawBuffer())))


def _keeps_addresses(visible: VisibleService, policy: Policy) -> bool:
    """Endpoints that are reached by the client's choice of address cannot be told apart."""
    balancing = policy.load_balancing
    return visible.service.headless or (balancing is not None and balancing.simple == "PASSTHROUGH")


def _explicit(
    cluster: Cluster,
    visible: VisibleService,
    port: ServicePort,
    subset: Subset | None,
    policy: Policy,
    settings: MeshSettings,
) -> None:
    tls = policy.tls
    assert tls is not None
    match tls.mode:
        case ClientTlsMode.DISABLE:
            return
        case ClientTlsMode.ISTIO_MUTUAL:
            cluster.transport_socket.CopyFrom(_mesh_socket(visible, port, subset, policy, settings))
        case ClientTlsMode.SIMPLE | ClientTlsMode.MUTUAL:
            names = visible.service.subject_alt_names
            http2 = connection_pool.is_http2(port.protocol, policy.connection_pool)
            cluster.transport_socket.CopyFrom(client_tls.socket(tls, names, http2=http2))
            _follow_host(cluster, tls, names, port.protocol)


def _follow_host(cluster: Cluster, tls: ClientTls, names: tuple[str, ...], protocol: Protocol) -> None:
    """Without names of the user's, server name and checked name are the request's host: HTTP only."""
    sni, san = client_tls.auto_names(tls, names)
    if not (sni or san) or not (protocol.is_http or protocol is Protocol.AUTO):
        return
    options = HttpProtocolOptions()
    if connection_pool.HTTP_OPTIONS in cluster.typed_extension_protocol_options:
        cluster.typed_extension_protocol_options[connection_pool.HTTP_OPTIONS].Unpack(options)
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    options.upstream_http_protocol_options.auto_sni = sni
    options.upstream_http_protocol_options.auto_san_validation = san
    cluster.typed_extension_protocol_options[connection_pool.HTTP_OPTIONS].CopyFrom(pack(options))


def _mesh_socket(
    visible: VisibleService, port: ServicePort, subset: Subset | None, policy: Policy, settings: MeshSettings
) -> TransportSocket:
    tls = policy.tls
    sni = outbound_sni(port.number, visible.service.host, subset.name if subset else None)
    names = visible.identities
    if tls is not None:
        sni = tls.sni or sni
        names = tls.subject_alt_names or names
    alpn = _alpn(port.protocol, http2=connection_pool.is_http2(port.protocol, policy.connection_pool))
    return mutual_tls.client_socket(sni, names, trust_domains(settings), alpn)


def _alpn(protocol: Protocol, *, http2: bool) -> tuple[str, ...]:
    if http2:
        return mutual_tls.CLIENT_HTTP2
    if protocol.is_http:
        return mutual_tls.CLIENT_HTTP1
    return mutual_tls.CLIENT_DETECTED if protocol is Protocol.AUTO else mutual_tls.CLIENT_STREAM
