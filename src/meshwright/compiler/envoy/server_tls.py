"""A Gateway server's `tls` becomes the TLS context in which the gateway ends its clients' TLS."""

from meshwright.compiler.envoy.transport import MESH_SECRETS, trust_domains
from meshwright.compiler.features import client_tls, mutual_tls
from meshwright.compiler.proto import flag, pack, secret
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TransportSocket
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
)
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.model.gateway import ServerTls, ServerTlsMode
from meshwright.model.names import ResourceName
from meshwright.model.settings import MeshSettings

VERSIONS = {
    "TLSV1_0": TlsParameters.TLSv1_0,
    "TLSV1_1": TlsParameters.TLSv1_1,
    "TLSV1_2": TlsParameters.TLSv1_2,
    "TLSV1_3": TlsParameters.TLSv1_3,
}


def socket(tls: ServerTls, settings: MeshSettings, *, http: bool) -> TransportSocket:
    """ISTIO_MUTUAL uses the gateway's own certificate; else the credential, or files at the proxy."""
    alpn = mutual_tls.SERVER_HTTP if http else ()
    if tls.mode is ServerTlsMode.ISTIO_MUTUAL:
        return mutual_tls.server_socket(trust_domains(settings), alpn, settings.min_tls_version)
    common = CommonTlsContext(alpn_protocols=alpn)
    params = _params(tls)
    if params.ByteSize():
        common.tls_params.CopyFrom(params)
    client_tls.add_certificate(common, tls.credential_name, tls.server_certificate, tls.private_key)
    context = DownstreamTlsContext(common_tls_context=common)
    if tls.mode in (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL):
        _check_clients(context.common_tls_context, tls)
    context.require_client_certificate.CopyFrom(flag(value=tls.mode is ServerTlsMode.MUTUAL))
    return TransportSocket(name=mutual_tls.TLS_SOCKET, typed_config=pack(context))


def secrets(tls: ServerTls) -> tuple[ResourceName, ...]:
    """The SDS names that `socket` refers to."""
    if tls.mode is ServerTlsMode.ISTIO_MUTUAL:
        return MESH_SECRETS
    if not tls.credential_name:
        return ()
    name = client_tls.credential(tls.credential_name)
    checks = tls.mode in (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
    return (ResourceName(name), ResourceName(f"{name}-cacert")) if checks else (ResourceName(name),)


def _params(tls: ServerTls) -> TlsParameters:
    made = TlsParameters(cipher_suites=tls.cipher_suites)
    if tls.min_version in VERSIONS:
        made.tls_minimum_protocol_version = VERSIONS[tls.min_version]
    if tls.max_version in VERSIONS:
        made.tls_maximum_protocol_version = VERSIONS[tls.max_version]
    return made


def _check_clients(common: CommonTlsContext, tls: ServerTls) -> None:
    checks = CertificateValidationContext(
        match_typed_subject_alt_names=[
            SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=name))
            for name in tls.subject_alt_names
            for kind in client_tls.SAN_TYPES
        ]
    )
    if tls.credential_name:
        combined = common.combined_validation_context
        combined.default_validation_context.CopyFrom(checks)
        authority = f"{client_tls.credential(tls.credential_name)}-cacert"
        combined.validation_context_sds_secret_config.CopyFrom(secret(authority))
        return
    checks.trusted_ca.filename = tls.ca_certificates
    common.validation_context.CopyFrom(checks)
