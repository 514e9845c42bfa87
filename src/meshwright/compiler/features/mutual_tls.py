"""Mutual TLS inside the mesh: the TLS contexts of both sides, and how a server tells its kinds of clients apart.

ALPN does the telling, as in Istio: what comes with one of MESH_PROTOCOLS is a sidecar and its TLS is ended;
other TLS is the application's own. Istio's `istio.alpn` filter (which sets the client's list per request) is
not in Envoy, so the list stands in the cluster, by what the cluster speaks. The server's list never holds
Istio's names for HTTP: Envoy would take a negotiated "istio" for HTTP/1.1 and break HTTP/2.
"""

from collections.abc import Iterable

from meshwright.compiler.names import ROOT_CERTIFICATE, WORKLOAD_CERTIFICATE
from meshwright.compiler.proto import pack, secret
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TransportSocket
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import BoolValue

TLS_SOCKET = "envoy.transport_sockets.tls"
HTTP_PROTOCOLS = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
STREAM_PROTOCOLS = ("istio-peer-exchange", "istio")
MESH_PROTOCOLS = (*HTTP_PROTOCOLS, *STREAM_PROTOCOLS)
CLIENT_HTTP1 = ("istio-http/1.1", "istio", "http/1.1")
CLIENT_HTTP2 = ("istio-h2", "istio", "h2")
CLIENT_DETECTED = ("istio-http/1.1", "istio-h2", "istio")  # nothing is negotiated: the server reads the preface
CLIENT_STREAM = STREAM_PROTOCOLS
SERVER_HTTP = ("h2", "http/1.1")
SERVER_STREAM = ("istio-peer-exchange", "h2", "http/1.1")
SERVER_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)


def client_socket(
    sni: str, names: Iterable[str], trust_domains: Iterable[str], alpn: Iterable[str]
) -> TransportSocket:
    """What a proxy starts towards a workload of the mesh: its own certificate, and the server must be one of
    `names` (SPIFFE URIs; when there are none, anyone of the trust domains).
    """
    common = _common(names, trust_domains, alpn)
    common.tls_params.CopyFrom(_params("TLSV1_2"))
    context = UpstreamTlsContext(sni=sni, common_tls_context=common)
    return TransportSocket(name=TLS_SOCKET, typed_config=pack(context))


def server_socket(trust_domains: Iterable[str], alpn: Iterable[str], min_version: str) -> TransportSocket:
    """What a sidecar asks of its clients: a certificate of the trust domains."""
    common = _common((), trust_domains, alpn)
    common.tls_params.CopyFrom(_params(min_version))
    common.tls_params.cipher_suites.extend(SERVER_CIPHERS)
    context = DownstreamTlsContext(require_client_certificate=BoolValue(value=True), common_tls_context=common)
    return TransportSocket(name=TLS_SOCKET, typed_config=pack(context))


def _common(names: Iterable[str], trust_domains: Iterable[str], alpn: Iterable[str]) -> CommonTlsContext:
    made = CommonTlsContext(alpn_protocols=alpn)
    made.tls_certificate_sds_secret_configs.append(secret(WORKLOAD_CERTIFICATE))
    validation = made.combined_validation_context
    validation.validation_context_sds_secret_config.CopyFrom(secret(ROOT_CERTIFICATE))
    matchers = [StringMatcher(exact=name) for name in names] or [
        StringMatcher(prefix=f"spiffe://{domain}/") for domain in trust_domains
    ]
    validation.default_validation_context.CopyFrom(
        CertificateValidationContext(
            match_typed_subject_alt_names=[
                SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.URI, matcher=matcher) for matcher in matchers
            ]
        )
    )
    return made


def _params(min_version: str) -> TlsParameters:
    oldest = TlsParameters.TLSv1_3 if min_version == "TLSV1_3" else TlsParameters.TLSv1_2
    return TlsParameters(
        tls_minimum_protocol_version=oldest,
        tls_maximum_protocol_version=TlsParameters.TLSv1_3,
    )
