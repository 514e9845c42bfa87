"""TLS that a client proxy starts because a DestinationRule says so (SIMPLE, MUTUAL) becomes a TLS context.

Files are paths at the proxy; a credential is served over the stream.
"""

from collections.abc import Iterable

from meshwright.compiler.proto import pack, secret
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
)
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.model.client_tls import ClientTls, ClientTlsMode

TLS_SOCKET = "envoy.transport_sockets.tls"
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
SAN_TYPES = (SubjectAltNameMatcher.DNS, SubjectAltNameMatcher.URI)


def credential(name: str) -> str:
    """The SDS name of a Secret."""
    return f"kubernetes://{name}"


def socket(tls: ClientTls, service_names: Iterable[str], *, http2: bool) -> TransportSocket:
    """`service_names` are the SANs that a ServiceEntry wants when the rule names none."""
    context = UpstreamTlsContext(sni=tls.sni, common_tls_context=_common(tls, tuple(service_names)))
    if http2:
        context.common_tls_context.alpn_protocols.append("h2")
    return TransportSocket(name=TLS_SOCKET, typed_config=pack(context))


def names_host_itself(tls: ClientTls) -> bool:
    """Whether server name and checked name follow the request's host, as the user gave no `sni`."""
    return not tls.sni


def checks_host(tls: ClientTls, service_names: Iterable[str]) -> bool:
    """Whether the certificate must bear the request's host, for want of better names."""
    return not tls.sni and not tls.subject_alt_names and not tuple(service_names) and not tls.insecure_skip_verify


def _common(tls: ClientTls, service_names: tuple[str, ...]) -> CommonTlsContext:
    made = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=TlsParameters.TLSv1_2, tls_maximum_protocol_version=TlsParameters.TLSv1_3
        )
    )
    if tls.mode is ClientTlsMode.MUTUAL:
        add_certificate(made, tls.credential_name, tls.client_certificate, tls.private_key)
    if not tls.insecure_skip_verify:
        _validation(made, tls, service_names)
    return made


def add_certificate(made: CommonTlsContext, credential_name: str, certificate: str, private_key: str) -> None:
    """What this side shows: a credential by its name, else the files."""
    if credential_name:
        made.tls_certificate_sds_secret_configs.append(secret(credential(credential_name)))
    else:
        made.tls_certificates.append(
            TlsCertificate(
                certificate_chain=DataSource(filename=certificate), private_key=DataSource(filename=private_key)
            )
        )


def _validation(made: CommonTlsContext, tls: ClientTls, service_names: tuple[str, ...]) -> None:
    checks = CertificateValidationContext(
        match_typed_subject_alt_names=[
            SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=name))
            for name in tls.subject_alt_names or service_names
            for kind in SAN_TYPES
        ]
    )
    if tls.credential_name:
        combined = made.combined_validation_context
        combined.default_validation_context.CopyFrom(checks)
        combined.validation_context_sds_secret_config.CopyFrom(secret(f"{credential(tls.credential_name)}-cacert"))
        return
    checks.trusted_ca.filename = tls.ca_certificates or SYSTEM_ROOTS
    made.validation_context.CopyFrom(checks)


def auto_names(tls: ClientTls, service_names: Iterable[str]) -> tuple[bool, bool]:
    """(auto_sni, auto_san_validation) of the cluster's upstream HTTP options."""
    return names_host_itself(tls), checks_host(tls, service_names)
