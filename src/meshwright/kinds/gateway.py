"""Gateway documents."""

from collections.abc import Iterator
from difflib import get_close_matches

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, PORT, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.protocols import ProtocolName, protocol_of
from meshwright.kinds.schema import (
    ANYTHING,
    Enum,
    Flag,
    ListOf,
    Object,
    Text,
    Unsupported,
    UnsupportedGuard,
)
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway, Server, ServerHost, ServerTls, ServerTlsMode
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber
from meshwright.model.protocol import Protocol

_TLS_PORTS = (Protocol.HTTPS, Protocol.TLS)
_OWN_CERTIFICATE = (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
_VERSIONS = Enum(("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"))

_TLS = Object(
    fields={
        "mode": Enum(tuple(ServerTlsMode)),
        "httpsRedirect": Flag(),
        "credentialName": Text(),
        "serverCertificate": Text(),
        "privateKey": Text(),
        "caCertificates": Text(),
        "subjectAltNames": ListOf(Text(empty=False)),
        "minProtocolVersion": _VERSIONS,
        "maxProtocolVersion": _VERSIONS,
        "cipherSuites": ListOf(Text(empty=False)),
        "credentialNames": UnsupportedGuard("use credentialName"),
        "tlsCertificates": UnsupportedGuard("use credentialName"),
        "caCertCredentialName": UnsupportedGuard("put ca.crt into the Secret of credentialName"),
        "caCrl": UnsupportedGuard("use certificates that live shortly"),
        "verifyCertificateSpki": UnsupportedGuard("use subjectAltNames"),
        "verifyCertificateHash": UnsupportedGuard("use subjectAltNames"),
        "ecdhCurves": Unsupported("Envoy's own list is used"),
        "insecureSkipVerify": Unsupported("client certificates are always checked"),
    }
)


def _tls_fits_port(server: Fields) -> Iterator[Diagnostic]:
    """HTTPS and TLS ports need `tls`; the others take only a redirect to HTTPS."""
    protocol = protocol_of(server.child_or_empty("port").text("protocol"))
    tls, origin = server.child("tls"), server.origin.field("tls")
    if protocol in _TLS_PORTS:
        if tls is None:
            yield Diagnostic(codes.MISSING_FIELD, origin, ("`tls`", "with mode: SIMPLE and credentialName"))
        elif tls.flag("httpsRedirect"):
            wanted = "possible on a port that is HTTPS already"
            args = ("httpsRedirect", wanted, "it on a server with protocol: HTTP")
            yield Diagnostic(codes.BAD_FORMAT, origin.field("httpsRedirect"), args)
        else:
            yield from _certificates(tls)
    elif tls is not None and not (tls.flag("httpsRedirect") and not tls.has("credentialName")):
        wanted = f"possible with protocol {server.child_or_empty('port').text('protocol')}"
        yield Diagnostic(codes.BAD_FORMAT, origin, ("tls", wanted, "protocol: HTTPS beside it"))


def _certificates(tls: Fields) -> Iterator[Diagnostic]:
    """Modes that end TLS here need one certificate; the others none."""
    mode = ServerTlsMode(tls.text("mode", ServerTlsMode.PASSTHROUGH))
    files = [name for name in ("serverCertificate", "privateKey") if tls.text(name)]
    named = bool(tls.text("credentialName"))
    if mode in _OWN_CERTIFICATE and not named:
        missing = [name for name in ("serverCertificate", "privateKey") if name not in files]
        if len(missing) > 1:
            missing = ["credentialName"]
        for name in missing:
            example = "the name of a Secret with tls.crt and tls.key" if name == "credentialName" else "its file"
            yield Diagnostic(codes.MISSING_FIELD, tls.origin.field(name), (f"`{name}`", example))
    if named and files:
        yield Diagnostic(codes.ONE_OF, tls.origin.field(files[0]), (f"credentialName, {', '.join(files)}",))
    if mode is ServerTlsMode.MUTUAL and files and not tls.text("caCertificates"):
        example = "the file of the CA that signs the clients"
        yield Diagnostic(codes.MISSING_FIELD, tls.origin.field("caCertificates"), ("`caCertificates`", example))
    for index, cipher in enumerate(tls.texts("cipherSuites")):
        if cipher not in CIPHERS:
            near = get_close_matches(cipher, CIPHERS, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"use some of {', '.join(sorted(CIPHERS))}"
            yield Diagnostic(codes.UNKNOWN_CIPHER, tls.origin.field("cipherSuites").item(index), (cipher, hint))
    if mode in (ServerTlsMode.PASSTHROUGH, ServerTlsMode.AUTO_PASSTHROUGH) and (named or files):
        used = "credentialName" if named else files[0]
        yield Diagnostic(codes.CREDENTIAL_IGNORED, tls.origin.field(used), (used, mode.value))


CIPHERS = frozenset({
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
})  # fmt: skip
"""Suites up to TLS 1.2 that Envoy's library has. One that it has not makes it refuse the certificate, too late for
anybody to know which listener asked for it.
"""

_SERVER = Object(
    fields={
        "name": Text(),
        "bind": Text(formats.IP),
        "port": Object(
            fields={
                "number": PORT,
                "name": Text(formats.PORT_NAME),
                "protocol": ProtocolName(),
                "targetPort": ANYTHING,
            },
            required={"number": "e.g. 80", "protocol": "e.g. HTTP", "name": "e.g. http"},
        ),
        "hosts": ListOf(Text(formats.SERVER_HOST, empty=False), least=1),
        "tls": _TLS,
        "defaultEndpoint": Unsupported("bind a VirtualService instead"),
    },
    required={"port": "an object with number, name and protocol", "hosts": 'e.g. ["*"]'},
    rules=(_tls_fits_port,),
)
_SPEC = Object(
    fields={"selector": LABELS, "servers": ListOf(_SERVER, least=1)},
    required={"servers": "a list with `port` and `hosts`"},
)
SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": _SPEC, "status": ANYTHING},
    required={"spec": "an object with `selector` and `servers`"},
)


def read(root: Fields, meta: Meta, names: Names) -> tuple[Gateway]:
    """The checked document as a model value."""
    spec = root.child_or_empty("spec")
    servers = tuple(_read_server(fields, names) for fields in spec.items("servers"))
    return (Gateway(meta, Labels.of(spec.pairs("selector")), servers),)


def _read_server(fields: Fields, names: Names) -> Server:
    port = fields.child_or_empty("port")
    return Server(
        origin=fields.origin,
        port=PortNumber(port.number_or("number", 0)),
        port_name=port.text("name"),
        protocol=protocol_of(port.text("protocol")) or Protocol.TCP,
        hosts=tuple(_read_host(host, names) for host in fields.texts("hosts")),
        name=fields.text("name"),
        bind=fields.text("bind"),
        tls=_read_tls(fields.child("tls")),
    )


def _read_host(text: str, names: Names) -> ServerHost:
    space, slash, host = text.rpartition("/")
    namespace = "*" if not slash else names.namespace if space == "." else space
    return ServerHost(namespace, host.lower())


def _read_tls(fields: Fields | None) -> ServerTls | None:
    if fields is None:
        return None
    redirect = fields.flag("httpsRedirect")
    return ServerTls(
        mode=None if redirect else ServerTlsMode(fields.text("mode", ServerTlsMode.PASSTHROUGH)),
        https_redirect=redirect,
        credential_name=fields.text("credentialName"),
        server_certificate=fields.text("serverCertificate"),
        private_key=fields.text("privateKey"),
        ca_certificates=fields.text("caCertificates"),
        subject_alt_names=fields.texts("subjectAltNames"),
        min_version=_version(fields.text("minProtocolVersion")),
        max_version=_version(fields.text("maxProtocolVersion")),
        cipher_suites=tuple(name for name in fields.texts("cipherSuites") if name in CIPHERS),
    )


def _version(text: str) -> str:
    return "" if text == "TLS_AUTO" else text
