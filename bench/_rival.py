"""The rival: two Envoys configured by hand with the least that does the same job as two sidecars.

Client application -> (redirected to 15001) client Envoy -> TLS 1.3, both sides with P-256 certificates and SPIFFE
names -> (redirected to 15006) server Envoy -> server application. Everything is static; there is no access log, no
retry policy, no statistics of ours, no metadata, no detection of protocols. What is not written here is Envoy's
default.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TYPE = "type.googleapis.com/"
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MANAGER = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
}
BODY = "meshwright benchmark ".ljust(1024, ".")
ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A workload's certificate and key, and its CA, as PEM."""

    chain: str
    key: str
    authority: str


def certificates(identities: tuple[str, ...]) -> tuple[Certificate, ...]:
    """P-256 certificates of one new CA for SPIFFE identities."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "rival")])
    plain = _builder(authority_name, authority_name, authority_key.public_key())
    is_authority = plain.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    authority = _pem(is_authority.sign(authority_key, hashes.SHA256()))
    made: list[Certificate] = []
    for identity in identities:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        leaf = _builder(x509.Name([]), authority_name, key.public_key()).add_extension(names, critical=True)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made.append(Certificate(_pem(leaf.sign(authority_key, hashes.SHA256())), private.decode(), authority))
    return tuple(made)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - ONE_DAY,
        not_valid_after=now + ONE_DAY,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def application(port: int) -> dict[str, Any]:
    """The server application of both sides: an Envoy that answers everything with 200 and 1 KiB."""
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": BODY}}}
    hosts = [{"name": "all", "domains": ["*"], "routes": [answer]}]
    return {"static_resources": {"listeners": [_listener("app", port, _manager("app", hosts))]}}


def client_proxy(
    server: tuple[str, int], hosts: dict[str, bool], own: Certificate, server_identity: str, admin: str
) -> dict[str, Any]:
    """The client's Envoy. `hosts`: for each host name whether HTTP/2 is spoken between the proxies."""
    clusters: list[dict[str, Any]] = []
    virtual: list[dict[str, Any]] = []
    for host, http2 in hosts.items():
        route = {"match": {"prefix": "/"}, "route": {"cluster": host}}
        virtual.append({"name": host, "domains": [host, f"{host}:*"], "routes": [route]})
        context = {
            "@type": TLS + "UpstreamTlsContext",
            "common_tls_context": _tls(own, server_identity, "h2" if http2 else "http/1.1"),
        }
        protocol: dict[str, Any] = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
        clusters.append(_cluster(host, server) | {
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
            "typed_extension_protocol_options": {
                HTTP_OPTIONS: {"@type": TYPE + HTTP_OPTIONS, "explicit_http_config": protocol}
            },
        })  # fmt: skip
    listener = _listener("outbound", 15001, _manager("outbound", virtual))
    return _bootstrap(admin, [listener], clusters)


def server_proxy(port: int, own: Certificate, client_identity: str, admin: str) -> dict[str, Any]:
    """The server's Envoy in front of the application at 127.0.0.1:`port`."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app"}}
    manager = _manager("inbound", [{"name": "all", "domains": ["*"], "routes": [route]}])
    context = {
        "@type": TLS + "DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": _tls(own, client_identity, "h2", "http/1.1"),
    }
    listener = _listener("inbound", 15006, manager)
    listener["filter_chains"][0]["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": context,
    }
    return _bootstrap(admin, [listener], [_cluster("app", ("127.0.0.1", port))])


def _bootstrap(admin: str, listeners: list[dict[str, Any]], clusters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o660}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _tls(own: Certificate, peer: str, *alpn: str) -> dict[str, Any]:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(alpn),
        "tls_certificates": [
            {"certificate_chain": {"inline_string": own.chain}, "private_key": {"inline_string": own.key}}
        ],
        "validation_context": {
            "trusted_ca": {"inline_string": own.authority},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer}}],
        },
    }


def _listener(name: str, port: int, manager: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _manager(name: str, virtual_hosts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": MANAGER,
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": virtual_hosts},
        "http_filters": [ROUTER],
    }


def _cluster(name: str, address: tuple[str, int]) -> dict[str, Any]:
    host, port = address
    endpoint = {"address": {"socket_address": {"address": host, "port_value": port}}}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
