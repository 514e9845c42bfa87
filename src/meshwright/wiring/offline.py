"""Compiling without a mesh: documents in, what one proxy would get out, as values for JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from meshwright.compiler.compile import (
    Compiler,
    StaticSecret,
    explain_class,
    resources_json,
    static_bootstrap,
)
from meshwright.documents.render import as_json
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName, ResourceName
from meshwright.model.proxy import Proxy
from meshwright.wiring.explaining import Explainable
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.snapshot import offline_snapshot

ADMIN_SOCKET = "/tmp/meshwright-admin.sock"  # noqa: S108 - a default for a bootstrap that a person tries out
THROW_AWAY_DAYS = 7


class OfflineMesh:
    """Everything that the documents describe, compiled once."""

    def __init__(self, loaded: LoadedMesh) -> None:
        self._loaded = loaded
        self._snapshot = offline_snapshot(loaded.objects, loaded.settings)
        self._published = Compiler().compile(self._snapshot)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What readers and compiler found."""
        return self._loaded.diagnostics + self._published.diagnostics

    @property
    def proxies(self) -> tuple[ProxyName, ...]:
        """Every proxy, sorted."""
        return tuple(sorted(self._published.proxies))

    def find(self, words: str) -> ProxyName | None:
        """The proxy meant by POD.NAMESPACE, POD (namespace default), or a Deployment's NAME.NAMESPACE."""
        name, _, namespace = words.rpartition("/")[2].partition(".")
        space = namespace or "default"
        exact = ProxyName(f"{name}.{space}")
        if exact in self._published.proxies and "/" not in words:
            return exact
        loads = (proxy.workload for proxy in self._snapshot.proxies)
        owned = sorted(load.proxy_name for load in loads if (load.owner, load.meta.namespace) == (name, space))
        return owned[0] if owned else None

    def resources(self, proxy: ProxyName, kind: str | None = None) -> dict[str, Any]:
        """The contract of `compile -o json`; with `kind` that list alone beside the diagnostics."""
        made = resources_json(self._published, proxy)
        if kind is not None:
            made = {kind: made[kind]}
        return {**made, "diagnostics": [as_json(each, self._loaded.lines) for each in self.diagnostics]}

    def bootstrap(self, proxy: ProxyName) -> dict[str, Any]:
        """One static bootstrap with throw-away certificates that `envoy --mode validate` accepts and that runs."""
        meant = next(each for each in self._snapshot.proxies if each.name == proxy)
        names = self._published.secrets[self._published.proxies[proxy]]
        secrets = throw_away_secrets(meant, names, self._loaded.settings.trust_domain)
        return static_bootstrap(self._published, meant, self._loaded.settings, ADMIN_SOCKET, secrets)

    def explainable(self) -> Explainable:
        """The mesh, to ask it where requests go."""
        return Explainable(self._snapshot, self._published, self._loaded.lines)

    def explain_class(self, proxy: ProxyName) -> str:
        """The key that decides the proxy's bytes, as text."""
        return explain_class(self._published, proxy)


def throw_away_secrets(
    proxy: Proxy, names: tuple[ResourceName, ...], trust_domain: str
) -> Mapping[ResourceName, StaticSecret]:
    """A CA of its own that nobody trusts, and certificates of it under every name that is asked for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    load = proxy.workload
    key = ec.generate_private_key(ec.SECP256R1())
    uri = f"spiffe://{trust_domain}/ns/{load.meta.namespace}/sa/{load.service_account}"
    now = datetime.now(UTC)
    nobody = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "meshwright throw-away")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=2))
        .not_valid_after(now + timedelta(days=THROW_AWAY_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    pair = StaticSecret(certificate_chain=chain, private_key=private)
    trust = StaticSecret(trusted_ca=chain)
    return {name: trust if name == "ROOTCA" or name.endswith("-cacert") else pair for name in names}
