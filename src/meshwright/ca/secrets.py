"""Certificates and keys as the Secret messages that Envoy fetches by SDS.

Names are Istio's: `default` and `ROOTCA` for a workload, `kubernetes://<credential>` and
`kubernetes://<credential>-cacert` at gateways. What cannot be used is not served (a listener that needs it then
accepts nothing), and its owner gets a diagnostic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshwright.ca.authority import LeafCertificate
from meshwright.model.codes import NO_CREDENTIAL
from meshwright.model.config import SecretContent
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.names import SECRET, ResourceName, Version
from meshwright.model.published import EncodedResource

LEAF_NAME = "default"
ROOTS_NAME = "ROOTCA"
PREFIX = "kubernetes://"
CA_SUFFIX = "-cacert"
PAIRS = (("tls.crt", "tls.key"), ("cert", "key"))
CA_KEYS = ("ca.crt", "cacert")

Secrets = Mapping[ResourceName, EncodedResource]


@dataclass(frozen=True, slots=True, repr=False)
class SecretResource(EncodedResource):
    """A resource whose bytes must not be seen: its text shows the name and version only."""

    def __repr__(self) -> str:
        return f"SecretResource({self.name}, version={self.version})"


def workload_secrets(leaf: LeafCertificate, roots_pem: bytes) -> dict[ResourceName, EncodedResource]:
    """What a workload's proxy gets: its certificate with key, and whom it trusts."""
    found = (tls_secret(LEAF_NAME, leaf.chain_pem, leaf.key_pem), trust_secret(ROOTS_NAME, roots_pem))
    return {item.name: item for item in found}


def tls_secret(name: str, chain_pem: bytes, key_pem: bytes) -> EncodedResource:
    """A certificate chain and its key."""
    from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource
    from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
    from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
    from meshwright.envoyapi.resource import encode

    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_bytes=chain_pem), private_key=DataSource(inline_bytes=key_pem)
    )
    version, pieces = encode(name, Secret(name=name, tls_certificate=certificate))
    return SecretResource(SECRET, ResourceName(name), Version(version), pieces)


def trust_secret(name: str, roots_pem: bytes) -> EncodedResource:
    """The certificates by which peers are checked."""
    from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource
    from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext
    from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
    from meshwright.envoyapi.resource import encode

    context = CertificateValidationContext(trusted_ca=DataSource(inline_bytes=roots_pem))
    version, pieces = encode(name, Secret(name=name, validation_context=context))
    return SecretResource(SECRET, ResourceName(name), Version(version), pieces)


def gateway_secrets(contents: Iterable[SecretContent]) -> Checked[dict[ResourceName, EncodedResource]]:
    """The credentials of one namespace: everything in `contents` that a gateway can use.

    A Secret `<credential>-cacert` of its own wins over a CA inside the Secret `<credential>`, as in Istio.
    """
    made: dict[ResourceName, EncodedResource] = {}
    findings: list[Diagnostic] = []
    for content in sorted(contents, key=lambda content: (content.meta.name.endswith(CA_SUFFIX), content.meta.name)):
        one = credential(content)
        made.update((item.name, item) for item in one.value)
        findings += one.findings
    return Checked(made, tuple(findings))


def credential(content: SecretContent) -> Checked[tuple[EncodedResource, ...]]:
    """The one or two SDS secrets of a Kubernetes Secret; none of them when any part is unusable."""
    from meshwright.ca import certificates

    data, name = dict(content.data), content.meta.name
    pair = next(((data[c], data[k]) for c, k in PAIRS if c in data and k in data), None)
    trusted = next((data[key] for key in CA_KEYS if data.get(key)), None)
    problem = ""
    if pair is not None:
        problem = certificates.problem_of_server(*pair)
    elif any(key in data for keys in PAIRS for key in keys):
        problem = "it has only one of certificate and key"
    if not problem and trusted is not None:
        problem = certificates.problem_of_bundle(trusted)
    if problem:
        fix = f"kubectl create secret tls {name} -n {content.meta.namespace} --cert=FILE --key=FILE"
        return Checked((), (Diagnostic(NO_CREDENTIAL, content.meta.origin, (name, problem, fix)),))
    made: list[EncodedResource] = []
    if pair is not None:
        made.append(tls_secret(PREFIX + name, *pair))
    if trusted is not None:
        made.append(trust_secret(PREFIX + name.removesuffix(CA_SUFFIX) + CA_SUFFIX, trusted))
    return Checked(tuple(made))
